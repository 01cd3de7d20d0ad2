"""Patches and nodes over OSC, and what survives a killed process or engine."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from tests import accepted
from tests.control.fake_engine import FakeEngine, FakeTime
from tests.control.rig import CATALOG, Client, Rig, rig

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import EVENTS_OUT, Port
from antiphon.kernel.control.commands import turns
from antiphon.kernel.control.state import StateFolder, clear
from antiphon.kernel.engine.link import EngineStarted, NodeState, PlanRefused
from antiphon.kernel.errors import FileError
from antiphon.kernel.graph import patch
from antiphon.kernel.wire.osc import encode
from antiphon.reloading import patch_watch
from antiphon.reloading.patch_watch import MAX_LISTED_CHANGES, reload_line
from antiphon.web import control_status

GAIN, LEARN = 3, 7
PATCH = """
format = 1
name = "One gain"
tempo = 75
[nodes.a]
type = "gain"
gain = 1.75
[nodes.late]
type = "gain"
[wires]
"in" = "a"
"a" = "late"
"late" = "out"
"""


def put_patch(home: Path, name: str, text: str = PATCH) -> None:
    folder = home / "data" / "patches"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(text)


async def test_loading_a_patch(live: Rig, client: Client, home: Path) -> None:
    put_patch(home, "mine")
    live.engine.hold_plans = True
    assert await client.ask("/patch/load", "mine", 0.5) == []
    # Its addresses are there at once, though it does not play yet.
    assert await client.ask("/node/late/gain", 0.25) == []
    client.bundle(live.time.timetag(0.1), encode("/node/late/gain", 1.25), encode("/node/late/learn"))
    live.engine.hold_plans = False
    await live.settle(2)
    assert client.heard() == [("/done", ("/patch/load", "mine"))]
    _serial, graph, ids, tempo, fade = live.engine.loads[-1]
    assert (tempo, fade) == (75.0, 0.5)
    assert ids == {"a": 1, "late": 3}
    assert dict(graph.node("a").values) == {"gain": 1.75}
    assert live.engine.values[3, GAIN] == 0.25
    await live.move(0.2)
    assert live.engine.values[3, GAIN] == 1.25
    assert live.engine.values[3, LEARN] == 1.0
    assert live.app.session.state.shown.name == "One gain"
    assert "mine" in (await client.later("/patch/list"))[0][1]
    (home / "data" / "patches" / "mine.toml").write_text(PATCH.replace("1.75", "0.75"))
    assert await client.ask("/patch/reload") == [("/done", ("/patch/reload", "One gain"))]
    assert live.app.executor.value("a", "gain") == 0.75


async def test_a_first_engine_that_says_it_starts_after_the_patch_was_asked_for_is_not_asked_twice(
    live: Rig, client: Client, home: Path
) -> None:
    put_patch(home, "mine")
    asked = len(live.engine.loads)
    live.engine.hold_plans = True
    assert await client.ask("/patch/load", "mine") == []
    live.engine.say(EngineStarted(live.engine.pid))
    await live.settle(2)
    live.engine.hold_plans = False
    await live.settle(2)
    assert client.heard() == [("/done", ("/patch/load", "mine"))]
    assert len(live.engine.loads) == asked + 1


async def test_saving_a_patch(live: Rig, client: Client, home: Path) -> None:
    await client.ask("/node/a/gain", 1.5)
    await client.ask("/node/add", "gain", "c", "b")
    assert await client.ask("/patch/save", "kept") == [("/done", ("/patch/save", "kept"))]
    await client.ask("/node/remove", "c")
    assert await client.ask("/patch/load", "kept") == [("/done", ("/patch/load", "kept"))]
    assert [n.name for n in live.app.graph.nodes] == ["a", "b", "c"]
    assert live.app.executor.value("a", "gain") == 1.5
    for name in ("../x", "a/b", "", ".hidden"):
        await client.refused("/patch/save", name)


@pytest.mark.parametrize("text", ["format = 1\n[nodes.a]\ntype='nothing'\n", "x = [", "\0"])
async def test_a_bad_patch_leaves_the_last_good_one_playing(live: Rig, client: Client, home: Path, text: str) -> None:
    put_patch(home, "bad", text)
    assert "bad.toml" in await client.refused("/patch/load", "bad")
    assert live.app.session.state.shown.name == "two gains"
    assert len(live.engine.loads) == 1


async def test_editing_the_graph(live: Rig, client: Client) -> None:
    assert await client.ask("/node/add", "gain", "c", "a") == []
    assert [n.name for n in live.app.graph.nodes] == ["a", "c", "b"]
    assert await client.ask("/node/c/gain", 0.5) == []
    assert live.engine.values[3, GAIN] == 0.5
    assert await client.ask("/node/move", "c") == []
    assert [n.name for n in live.app.graph.nodes] == ["c", "a", "b"]
    assert await client.ask("/node/disconnect", "c", "a") == []
    assert await client.ask("/node/connect", "c.out", "a.in") == []
    assert await client.ask("/node/remove", "c") == []
    ((_, (_, reason)),) = await client.ask("/node/c/gain", 0.5)
    assert "no node 'c'" in reason
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (0.5,))]


async def test_the_engine_refuses_and_all_is_as_before(live: Rig, client: Client) -> None:
    before = live.app.session.state.current()
    live.engine.refuse = "the node c cannot be made"
    assert await client.refused("/node/add", "gain", "c", "b") == "the node c cannot be made"
    assert live.app.session.state.current() == before
    assert "/node/c/gain" not in {r.address for r in live.app.router.exact.values()}
    assert await client.ask("/node/a/size", 512) == [("/fail", ("/node/a/size", "the node c cannot be made"))]
    assert live.app.executor.value("a", "size") == 256
    live.engine.refuse = ""
    assert await client.ask("/node/a/size", 512) == []
    assert live.app.executor.value("a", "size") == 512


async def test_a_flood_of_plans_is_asked_for_one_at_a_time(live: Rig, client: Client) -> None:
    live.engine.hold_plans = True
    for n in range(40):
        client.send("/node/a/label", f"text {n}")
    await live.settle()
    assert len(live.engine.loads) == 2
    live.engine.hold_plans = False
    await live.settle(3)
    assert len(live.engine.loads) == 3
    assert dict(live.engine.loads[-1][1].node("a").values)["label"] == "text 39"


async def test_a_new_engine_gets_patch_values_schedule_and_syncs(live: Rig, client: Client) -> None:
    await client.ask("/node/a/gain", 1.9)
    await client.ask("/tempo", 77.0)
    client.bundle(live.time.timetag(1.0), encode("/node/b/gain", 0.25), encode("/sync", 5))
    await live.settle()
    client.send("/sync", 6)
    for _ in range(12):
        import asyncio

        await asyncio.sleep(0)
    live.engine.say(NodeState(2, "failed", "it raised"))
    live.engine.start(5555)
    await live.settle(3)
    assert {n["state"] for n in control_status.status(live.app)["nodes"]} == {"running"}
    _, graph, ids, tempo, _ = live.engine.loads[-1]
    assert ids == {"a": 1, "b": 2}
    assert dict(graph.node("a").values) == {"gain": pytest.approx(1.9)}
    assert tempo == 77.0
    assert client.heard() == [("/synced", (6,))]
    await live.move(1.1)
    assert live.engine.values[2, GAIN] == 0.25
    assert client.heard() == [("/synced", (5,))]


async def test_a_control_process_killed_is_taken_up_where_it_was(tmp_path: Path, home: Path) -> None:
    engine = FakeEngine(FakeTime())
    async with rig(tmp_path / "state", engine=engine) as first:
        surface, client = first.client(), first.client()
        await surface.ask("/notify", 1)
        await client.ask("/node/a/gain", 1.9)
        await client.ask("/node/b/label", "hello")
        await client.ask("/node/add", "gain", "c", "b")
        await client.ask("/node/c/gain", 0.3)
        await client.ask("/tempo", 77.0)
        await client.ask("/nothing")
        loads = len(engine.loads)
        before = first.app.session.state.current(), dict(engine.values), first.app.session.state.shown.name
        # Killed: what the state folder holds now is all there is.
        kept = {p.name: p.read_bytes() for p in (tmp_path / "state").iterdir()}
        ids = {n.name: n.id for n in first.app.session.state.nodes.values()}
        port = surface.port
    for name, data in kept.items():
        (tmp_path / "state" / name).write_bytes(data)
    async with rig(tmp_path / "state", engine=engine) as again:
        assert (again.app.session.state.current(), dict(engine.values), again.app.session.state.shown.name) == before
        assert {n.name: n.id for n in again.app.session.state.nodes.values()} == ids
        assert again.app.session.state.tempo == 77.0
        assert len(engine.loads) == loads  # the engine played on and was not disturbed
        listening = again.client(port)
        client = again.client()
        await client.ask("/node/c/gain", 0.4)
        assert ("/node/c/gain", (pytest.approx(0.4),)) in listening.heard()
        assert await client.ask("/node/a/gain") == [("/node/a/gain", (pytest.approx(1.9),))]


async def test_both_killed_the_new_engine_is_given_the_patch(tmp_path: Path, home: Path) -> None:
    engine = FakeEngine(FakeTime())
    async with rig(tmp_path / "state", engine=engine) as first:
        await first.client().ask("/node/a/gain", 1.9)
    other = FakeEngine(engine.time, pid=777)
    async with rig(tmp_path / "state", engine=other) as again:
        assert dict(other.loads[-1][1].node("a").values) == {"gain": pytest.approx(1.9)}
        assert await again.client().ask("/node/a/gain") == [("/node/a/gain", (pytest.approx(1.9),))]
        other.pid, other.state, loads = 778, "starting", len(other.loads)
    # a control that was killed had heard that this one starts, and asked it for nothing yet
    async with rig(tmp_path / "state", engine=other) as third:
        other.state = "running"
        await third.settle(ticks=turns.SLOW)
        assert dict(other.loads[loads][1].node("a").values) == {"gain": pytest.approx(1.9)}
        await third.settle(ticks=turns.SLOW)
        assert len(other.loads) == loads + 1


async def test_two_patches_after_a_restart_are_answered_however_many_macros_each_has(
    tmp_path: Path, home: Path
) -> None:
    for name, gain, macros in (("first", 1.5, 2), ("more", 0.5, 2), ("fewer", 0.5, 1)):
        targets = "".join(f'm{n} = ["a.gain", 0, {n + 1}]\n' for n in range(macros))
        put_patch(home, name, f"{PATCH.replace('1.75', str(gain))}[macros]\n{targets}")
    engine = FakeEngine(FakeTime())
    async with rig(tmp_path / "state", engine=engine) as first:
        assert await first.client().ask("/patch/load", "first") == [("/done", ("/patch/load", "first"))]
    async with rig(tmp_path / "state", engine=engine) as again:
        client = again.client()
        client.send("/patch/load", "more")
        client.send("/patch/load", "fewer")
        await again.settle(ticks=3)
        assert client.heard() == [("/done", ("/patch/load", name)) for name in ("more", "fewer")]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 9}', '{"format": 1}', '{"format": 1, "session": {"graph": 5}}']
)
async def test_a_damaged_state_is_a_fresh_start(tmp_path: Path, home: Path, content: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "state.json").write_text(content)
    (tmp_path / "state" / "values.bin").write_bytes(b"\xff" * 5000)
    async with rig(tmp_path / "state") as live:
        assert await live.client().ask("/node/a/gain") == [("/node/a/gain", (0.5,))]


def test_numbers_are_in_the_map_at_once_and_cleared_when_asked(tmp_path: Path) -> None:
    first = StateFolder(tmp_path)
    first.numbers[7] = 0.25
    first.save({"x": 1})
    second = StateFolder(tmp_path)
    assert second.numbers[7] == 0.25
    assert second.load() == {"format": 3, "x": 1}
    assert json.loads((tmp_path / "state.json").read_text())["x"] == 1
    clear(tmp_path)
    assert StateFolder(tmp_path).load() is None
    for folder in (first, second):
        folder.close()


def test_a_state_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot be used"):
        StateFolder(tmp_path / "file")


async def test_a_full_disk_is_said_and_the_set_goes_on(
    live: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert await client.ask("/node/add", "gain", "c", "b") == []
    assert "no space left" in control_status.status(live.app)["trouble"].lower()
    assert await client.ask("/node/c/gain") == [("/node/c/gain", (1.0,))]


async def test_an_old_refusal_is_nothing(live: Rig) -> None:
    live.engine.say(PlanRefused(999, "late news"))
    await live.settle()
    assert await live.client().ask("/node/a/gain") == [("/node/a/gain", (0.5,))]


TEXT = """format = 1
tempo = 120

[nodes.a]
type = "gain"
gain = 0.5

[nodes.b]
type = "gain"

[wires]
"in" = "a"
"a" = "b"
"b" = "out"
"""


def parsed(text: str) -> patch.Patch:
    return patch.parse(text, CATALOG)


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return reload_line(parsed(TEXT), parsed(TEXT.replace(old, new)), "p.toml", mended=False)


def test_what_is_different_is_named() -> None:
    accepted.compare_calls(__file__, changed=changed)


def test_a_node_that_went_is_named_and_a_long_list_is_cut() -> None:
    gone = TEXT.replace('[nodes.b]\ntype = "gain"\n', "").replace('"a" = "b"\n"b" = "out"', '"a" = "out"')
    assert reload_line(parsed(TEXT), parsed(gone), "p.toml", mended=True) == (
        "reloaded p.toml after the error: b removed, wires"
    )
    more = "\n".join(f'[nodes.n{n}]\ntype = "gain"' for n in range(MAX_LISTED_CHANGES + 2))
    text = reload_line(parsed(TEXT), parsed(TEXT.replace("[wires]", f"{more}\n[wires]")), "p.toml", mended=False)
    assert text.endswith(", n3 added, and 2 more")
    assert reload_line(None, parsed(TEXT), "p.toml", mended=False) == "reloaded p.toml"


async def own_file(live: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Path:
    """A patch of one's own that plays."""
    caplog.set_level(logging.INFO, "antiphon.said")
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    live.app.plans.load(patch.load(path, CATALOG, trusted=True), 0.0, None, "", ())
    await live.settle()
    return path


async def test_it_is_said_when_it_plays_and_again_when_an_error_is_mended(
    live: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app, file = live.app, await own_file(live, tmp_path, caplog)

    async def saved(text: str) -> list[str]:
        file.write_text(text)
        caplog.clear()
        patch_watch.reload(app)
        await live.settle()
        return [record.getMessage() for record in caplog.records]

    assert await saved(TEXT.replace("0.5", "0.4")) == ["reloaded mine.toml: a.gain 0.4"]
    ((broken),) = await saved(TEXT.replace("0.5", "9"))
    assert "gain takes 0 to 2, not 9" in broken
    assert await saved(TEXT.replace("0.5", "0.3")) == ["reloaded mine.toml after the error: a.gain 0.3"]
    assert await saved(TEXT.replace("0.5", "0.2")) == ["reloaded mine.toml: a.gain 0.2"]
    await saved(TEXT.replace("0.5", "9"))
    file.write_text(TEXT.replace("0.5", "0.2"))
    caplog.clear()
    patch_watch.reload_if_changed(app, str(file))
    assert [record.getMessage() for record in caplog.records] == [
        "mine.toml is without the error again, and as what plays"
    ]
    patch_watch.reload_if_changed(app, str(file))
    assert len(caplog.records) == 1


async def test_what_the_engine_refuses_is_not_said_to_be_reloaded(
    live: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app, file = live.app, await own_file(live, tmp_path, caplog)
    file.write_text(TEXT.replace("0.5", "0.4"))
    live.engine.refuse = "no memory"
    patch_watch.reload(app)
    await live.settle()
    assert not [record for record in caplog.records if record.name == "antiphon.said"]
    live.engine.refuse = ""
    file.write_text(TEXT.replace("0.5", "0.3"))
    patch_watch.reload(app)
    await live.settle()
    said = [record.getMessage() for record in caplog.records if record.name == "antiphon.said"]
    assert said == ["reloaded mine.toml after the error: a.gain 0.3"]


def waits(live: Rig) -> list[tuple[Any, ...]]:
    """What the clock was told since the last call."""
    told = [entry[:-1] for entry in live.engine.applied if entry[0] in ("transport", "wait")]
    live.engine.applied.clear()
    return told


WAITS = [("wait", 1, 0.0)]


async def test_a_clock_waits_for_the_player_where_the_patch_has_a_node_for_it(live: Rig, client: Client) -> None:
    await client.ask("/patch/save", "mine")
    ((_, (_, reason)),) = await client.ask("/transport/wait")
    assert "waits for no player" in reason
    assert waits(live) == []
    live.engine.awaited = 1
    await client.ask("/patch/load", "mine")
    assert waits(live) == [], "it runs on, as in a medley"
    assert await client.ask("/transport/wait") == []
    assert waits(live) == WAITS
    await client.ask("/transport/wait", 8.0)
    assert waits(live) == [("wait", 1, 8.0)]


async def test_a_new_song_waits_again(live: Rig, client: Client, home: Path) -> None:
    await client.ask("/patch/save", "mine")
    live.engine.awaited = 1
    await client.ask("/patch/load", "mine")
    waits(live)
    await client.ask("/patch/reload")
    assert waits(live) == WAITS
    live.engine.playing = False
    live.engine.leader = 1
    await client.ask("/patch/load", "mine")
    assert waits(live) == [], "it waits already"
    live.engine.leader = 0
    await client.ask("/patch/load", "mine")
    assert waits(live) == WAITS, "it was stopped"
    put_patch(home, "mine")
    patch_watch.reload_if_changed(live.app, live.app.session.state.shown.path)
    await live.settle()
    assert live.app.session.state.tempo == 75.0
    assert waits(live) == [], "a file that is saved again is no new song"
    live.engine.awaited = 0
    await client.ask("/patch/reload")
    assert waits(live) == []


async def test_a_clock_waits_for_no_node_of_a_patch_that_another_is_loaded_over(
    live: Rig, client: Client, home: Path
) -> None:
    put_patch(home, "mine")
    put_patch(home, "next", 'format = 1\nname = "Next"\n[nodes.x]\ntype = "gain"\n[wires]\n"in" = "x"\n"x" = "out"\n')
    live.engine.playing, live.engine.hold_plans, live.engine.awaited = False, True, 3
    await client.ask("/patch/load", "mine")
    await client.ask("/patch/load", "next")
    assert live.engine.loads[-1][2] == {"a": 1, "late": 3}
    live.engine.hold_plans = False
    await live.settle(3)
    assert live.engine.loads[-1][2] == {"x": 4}
    assert client.heard() == [("/done", ("/patch/load", name)) for name in ("mine", "next")]
    assert waits(live) == []
    assert not live.app.session.state.loading


async def test_a_clock_that_waits_again_does_so_with_the_values_of_the_patch(live: Rig, client: Client) -> None:
    await client.ask("/patch/save", "mine")
    live.engine.awaited = 1
    await client.ask("/patch/load", "mine")
    await client.ask("/node/a/gain", 1.5)
    live.engine.applied.clear()
    await client.ask("/patch/reload")
    told = [entry[:4] for entry in live.engine.applied if entry[0] in ("set", "wait")]
    assert told.index(("set", 1, GAIN, 0.5)) < told.index(("wait", 1, 0.0, None))


async def test_held_keys_reach_a_band_that_is_prepared_anew_once_it_plays(home: Path) -> None:
    size = Param("size", "int", 256, 64, 1024, restart=True)
    band = ProcessorInfo("band", "", "t", (Port("notes", "events", held=True),), (EVENTS_OUT,), (size,))
    text = 'format = 1\nname = "Band"\n[nodes.band]\ntype = "band"\nsize = {}\n'
    async with rig(home / "anew", catalog=Catalog({"band": band}), patch=False) as live:
        client = live.client()

        def played() -> list[tuple[Any, ...]]:
            found = [entry[:3] for entry in live.engine.applied if entry[0] in ("on", "off")]
            live.engine.applied.clear()
            return found

        for number in (256, 512):
            put_patch(home, f"band{number}", text.format(number))
        await client.ask("/patch/load", "band256")
        for key in (45, 48):
            await client.ask("/note/on", key, 0.5)
        assert played() == [("on", 1, 45), ("on", 1, 48)]
        live.engine.hold_plans = True
        await client.ask("/patch/load", "band512")
        await client.ask("/note/off", 45)
        assert played() == [("off", 1, 45)], "of the one that plays"
        live.engine.hold_plans = False
        await live.settle(2)
        assert played() == [("on", 1, 48)]
        live.engine.refuse = "no memory"
        await client.ask("/patch/load", "band256")
        live.engine.refuse = ""
        await client.ask("/patch/load", "band512")
        assert played() == [], "it goes on, and has them"


async def test_the_status_says_that_a_patch_is_loading_until_it_plays(live: Rig, client: Client, home: Path) -> None:
    put_patch(home, "mine")

    def shown() -> tuple[str, bool]:
        status = control_status.status(live.app)
        return status["patch"], status["loading"]

    live.engine.hold_plans = True
    client.send("/node/add", "gain", "more")
    await live.settle()
    assert not shown()[1], "an edit is of what plays"
    live.engine.hold_plans = False
    await live.settle()
    live.engine.hold_plans = True
    client.send("/patch/load", "mine")
    await live.settle()
    assert shown() == ("One gain", True)
    live.engine.hold_plans = False
    await live.settle()
    assert shown() == ("One gain", False)
