"""Refused edits and undo: all is as before."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.control.rig import GRAPH, Client, Rig, save_three

from antiphon.kernel.control.commands import executor
from antiphon.kernel.control.patches import plans
from antiphon.kernel.control.patches.history import MAX_EDITS, MOVE_SECONDS
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.runtime import paths
from antiphon.kernel.session.commands import SetParam
from antiphon.web import control_status


@pytest.fixture
async def stage(live: Rig) -> Rig:
    await save_three(live)
    (paths.make_folder(paths.patches() / "live") / "s.toml").write_text(
        'format = 1\npatches = ["one", "two", "three"]\n'
    )
    await live.client().ask("/set/load", "s")
    return live


async def refused(live: Rig, *message: object) -> None:
    live.engine.refuse = "too heavy"
    answers = await live.client().ask(*message)  # type: ignore[arg-type]
    live.engine.refuse = ""
    assert [(address, args[1]) for address, args in answers] == [("/fail", "too heavy")]


async def nodes(live: Rig) -> list[str]:
    ((_, args),) = await live.client().ask("/node/list")
    return [str(name) for name in args[::2]]


async def test_a_refused_patch_leaves_patch_scenes_and_place(stage: Rig, client: Client) -> None:
    await client.ask("/scene/store", 5)
    patch = stage.app.session.state.shown.patch
    for message in (("/patch/load", "two"), ("/set/next",), ("/patch/undo",)):
        await refused(stage, *message)
        assert stage.app.session.state.shown.patch is patch
        assert 5 in stage.app.session.state.shown.scenes
        assert control_status.status(stage.app)["set"]["place"] == 1
        assert stage.app.session.state.shown.name == "one"


async def test_a_refused_undo_can_be_asked_for_again(stage: Rig, client: Client) -> None:
    await client.ask("/node/add", "gain", "x", "a")
    await client.ask("/node/add", "gain", "y", "x")
    await refused(stage, "/patch/undo")
    assert await nodes(stage) == ["a", "x", "y", "b"]
    assert await client.ask("/patch/undo") == [("/done", ("/patch/undo", "/node/add"))]
    assert await nodes(stage) == ["a", "x", "b"]
    await refused(stage, "/patch/redo")
    assert await client.ask("/patch/redo") == [("/done", ("/patch/redo", "/node/add"))]
    assert await nodes(stage) == ["a", "x", "y", "b"]


async def refuse_held(live: Rig) -> None:
    live.engine.refuse, live.engine.hold_plans = "too heavy", False
    await live.settle(4)
    live.engine.refuse = ""


async def refuse_second(stage: Rig) -> None:
    """Has the plan that is held play, and the one after it be refused."""
    loads, original = len(stage.engine.loads), stage.engine.load

    def load(*given: object, **named: object) -> None:
        stage.engine.refuse = "too heavy"
        original(*given, **named)  # type: ignore[arg-type]

    taken: Callable[..., None] = load
    stage.engine.load = taken  # type: ignore[method-assign]
    stage.engine.hold_plans = False
    await stage.settle(4)
    stage.engine.load = original  # type: ignore[method-assign]
    stage.engine.refuse = ""
    assert len(stage.engine.loads) > loads


async def test_of_two_edits_the_second_alone_is_refused(stage: Rig, client: Client) -> None:
    stage.engine.hold_plans = True
    await client.ask("/node/add", "gain", "x", "a")
    await client.ask("/patch/load", "two")
    await refuse_second(stage)
    assert await nodes(stage) == ["a", "x", "b"]
    assert stage.app.session.state.shown.name == "one"
    assert stage.app.session.state.shown.patch is not None
    assert stage.app.session.state.shown.patch.path is not None
    assert stage.app.session.state.shown.patch.path.stem == "one"
    client.heard()
    assert await client.ask("/patch/undo") == [("/done", ("/patch/undo", "/node/add"))]


async def test_an_edit_pending_over_an_engines_death_goes_with_the_plan_that_is_asked_for_then(
    stage: Rig, client: Client
) -> None:
    stage.engine.hold_plans = True
    await client.ask("/node/add", "gain", "x", "a")
    stage.engine.start(99)
    await stage.settle(2)
    stage.engine.refuse = "too heavy"
    stage.engine.hold_plans = False
    await stage.settle(4)
    stage.engine.refuse = ""
    client.heard()
    assert await nodes(stage) == ["a", "b"]
    ((address, args),) = await client.ask("/patch/undo")
    assert (address, args) == ("/done", ("/patch/undo", "/set/load")), "the edit before it"


async def test_refused_value_keeps_what_was_stored_meanwhile(stage: Rig, client: Client) -> None:
    state = stage.app.session.state
    stage.engine.hold_plans = True
    await client.ask("/node/a/label", "x")
    assert await client.ask("/scene/store", 7) == [("/done", ("/scene/store", 7))]
    clips = {"take": PatchClip(4.0)}
    stage.app.plans.keep_clips(clips, "/clip/record")
    await client.ask("/node/a/gain", 1.5)
    await client.ask("/set/save", "later", "two", "one")
    assert state.loading
    await refuse_held(stage)
    assert client.heard() == [("/fail", ("/node/a/label", "too heavy"))]
    assert await client.ask("/node/a/label") == [("/node/a/label", ("",))]
    assert list(state.shown.scenes) == [7]
    assert state.shown.clips == clips
    shown = control_status.status(stage.app)["set"]
    assert (shown["file"], shown["place"]) == ("later", 2)
    assert await client.ask("/patch/undo") == [("/done", ("/patch/undo", "/node/a/gain"))]
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (0.25,))]
    assert await client.ask("/patch/undo") == [("/done", ("/patch/undo", "/clip/record"))]
    assert state.shown.clips == {}


async def test_refused_load_keeps_scenes_stored_before_it(stage: Rig, client: Client) -> None:
    state, patch = stage.app.session.state, stage.app.session.state.shown.patch
    stage.engine.hold_plans = True
    await client.ask("/node/a/label", "x")
    await client.ask("/scene/store", 7)
    await client.ask("/set/next")
    await client.ask("/scene/store", 8)
    await client.ask("/node/a/gain", 1.5)
    await refuse_held(stage)
    assert list(state.shown.scenes) == [7]
    assert state.shown.patch is patch
    assert control_status.status(stage.app)["set"]["place"] == 1
    assert state.shown.steps[-1].what == "/node/a/label"


async def test_value_refused_after_a_load_keeps_the_load(stage: Rig, client: Client) -> None:
    state = stage.app.session.state
    await client.ask("/scene/store", 6)
    stage.engine.hold_plans = True
    await client.ask("/set/next")
    await client.ask("/scene/store", 7)
    await client.ask("/node/a/label", "x")
    await client.ask("/scene/store", 8)
    await refuse_second(stage)
    assert list(state.shown.scenes) == [7, 8]
    assert state.shown.name == "two"
    assert control_status.status(stage.app)["set"]["place"] == 2
    client.heard()
    assert await client.ask("/patch/undo") == [("/done", ("/patch/undo", "/set/next"))]
    assert list(state.shown.scenes) == [6]


async def test_refused_undo_of_a_value_can_be_repeated(stage: Rig, client: Client) -> None:
    await client.ask("/node/a/label", "x")
    for word, label in (("undo", ""), ("redo", "x")):
        await refused(stage, f"/patch/{word}")
        assert await client.ask(f"/patch/{word}") == [("/done", (f"/patch/{word}", "/node/a/label"))]
        assert await client.ask("/node/a/label") == [("/node/a/label", (label,))]


async def test_undo_after_next_is_back_in_the_set(stage: Rig) -> None:
    client, surface = stage.client(), stage.client()
    await surface.ask("/notify", 1)
    await client.ask("/set/next")
    await client.ask("/patch/undo")
    assert control_status.status(stage.app)["set"]["place"] == 1
    assert await client.ask("/set/next") == [("/done", ("/set/next", "two"))]
    assert [m[1][1] for m in surface.heard() if m[0] == "/set/at"] == [2, 1, 2]


async def test_another_set_refused_or_taken_back_leaves_the_one_before(stage: Rig, client: Client) -> None:
    (paths.patches() / "live" / "other.toml").write_text('format = 1\npatches = ["three", "two"]\n')
    await client.ask("/set/next")
    await refused(stage, "/set/load", "other")
    before = {"file": "s", "name": "s", "place": 2, "patches": ["one", "two", "three"], "outside": False, "pedals": {}}
    assert control_status.status(stage.app)["set"] == before
    await client.ask("/set/load", "other")
    assert control_status.status(stage.app)["set"]["name"] == "other"
    await client.ask("/patch/undo")
    assert control_status.status(stage.app)["set"] == before


async def test_a_fault_of_ours_is_answered_and_the_next_message_too(
    stage: Rig, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_given: object) -> None:
        raise RuntimeError("nobody thought of it")

    monkeypatch.setattr(stage.app.joined["set"], "begin", broken)
    for _ in range(300):
        client.send("/set/load", "s")
    await stage.settle(4)
    assert any("RuntimeError" in str(args) for _, args in client.heard())
    assert "nobody thought of it" in caplog.text
    answers: list[str] = []
    for _ in range(300):  # a flood takes as many turns as the machine is busy
        answers += [address for address, _ in await client.ask("/version")]
        if "/version.reply" in answers:
            break
    assert "/version.reply" in answers


def test_numbers_of_another_format_are_not_taken_for_ours(tmp_path: Path) -> None:
    from antiphon.kernel.control.state import StateFolder

    first = StateFolder(tmp_path)
    first.numbers[0], first.numbers[4] = 120.0, 1000.0
    first.save({})
    first.close()
    kept = StateFolder(tmp_path)
    assert kept.numbers[4] == 1000.0
    kept.close()
    (tmp_path / "state.json").write_text('{"format": 1, "session": {}}')
    again = StateFolder(tmp_path)
    assert list(again.numbers[:8]) == [0.0] * 8
    again.close()


async def test_a_new_engine_that_refuses_an_edit_is_given_what_played(stage: Rig, client: Client) -> None:
    stage.engine.hold_plans = True
    client.send("/node/add", "gain", "x", "a")
    await stage.settle()
    stage.engine.refuse = "it hangs"
    stage.engine.start(77)
    await stage.settle()
    stage.engine.hold_plans = False
    await stage.settle()
    assert [(address, args[1]) for address, args in client.heard()] == [("/fail", "it hangs")]
    serial, graph, *_ = stage.engine.loads[-1]
    assert [node.name for node in graph.nodes] == ["a", "b"]
    assert serial in stage.engine.played_before
    assert await nodes(stage) == ["a", "b"]
    assert not stage.app.session.state.loading
    assert (await client.ask("/node/a/gain", 1.5), stage.engine.values[(1, 3)]) == ([], 1.5)


UNDONE = "/patch/undo"


async def value(live: Rig, address: str) -> object:
    ((_, args),) = await live.client().ask(address)
    return args[0]


async def test_a_node_removed_comes_back_with_its_wires_and_values_and_the_rest_plays_on(
    live: Rig, client: Client
) -> None:
    await client.ask("/node/a/gain", 1.5)
    before, kept = live.app.graph.wires, live.app.session.state.nodes["b"].id
    await client.ask("/node/remove", "a")
    live.app.command(SetParam("b", "gain", 0.25), "")  # nobody's move: no edit
    assert await client.ask(UNDONE) == [("/done", (UNDONE, "/node/remove"))]
    assert set(live.app.graph.wires) == set(before)
    assert await value(live, "/node/a/gain") == 1.5
    assert await value(live, "/node/b/gain") == 0.25
    assert live.app.session.state.nodes["b"].id == kept
    assert live.engine.loads[-1][2]["b"] == kept
    assert await client.ask("/patch/redo") == [("/done", ("/patch/redo", "/node/remove"))]
    assert await nodes(live) == ["b"]
    await client.ask(UNDONE)
    assert await nodes(live) == ["a", "b"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock by which moves are one edit or two."""
    clock = FakeClock()
    for part in (plans, executor):
        monkeypatch.setattr(part, "monotonic", clock)
    return clock


async def test_values_and_scenes_are_taken_back_before_the_patch_under_them(
    live: Rig, client: Client, clock: FakeClock
) -> None:
    await client.ask("/node/a/gain", 0.75)
    await client.ask("/scene/store", 5)
    await client.ask("/patch/save", "own")
    await client.ask("/patch/load", "own")
    await client.ask("/node/b/gain", 1.25)
    await client.ask("/node/a/gain", 1.5)
    await client.ask("/scene/recall", 5)

    async def gains() -> tuple[object, object]:
        return await value(live, "/node/a/gain"), await value(live, "/node/b/gain")

    stored = await gains()
    steps = [
        ("/scene/recall", (1.5, 1.25)),
        ("/node/a/gain", (0.75, 1.25)),
        ("/node/b/gain", stored),
        ("/patch/load", stored),
        ("/node/a/gain", (0.5, stored[1])),
    ]
    for what, held in steps:
        assert await client.ask(UNDONE) == [("/done", (UNDONE, what))]
        assert await gains() == held
    assert await client.ask(UNDONE) == [("/fail", (UNDONE, "there is nothing to undo"))]
    after = [stored, stored, (0.75, 1.25), (1.5, 1.25), stored]
    for (what, _), held in zip(reversed(steps), after, strict=True):
        assert await client.ask("/patch/redo") == [("/done", ("/patch/redo", what))]
        assert await gains() == held


async def test_a_moving_fader_is_one_edit_and_so_are_two_that_move_together(
    live: Rig, client: Client, clock: FakeClock
) -> None:
    for step in range(100):
        clock.sleep(0.9 * MOVE_SECONDS)
        await client.ask("/node/a/gain", 1.0 + step / 128)
        await client.ask("/node/b/gain", 1.5 - step / 128)
    clock.sleep(MOVE_SECONDS)
    await client.ask("/node/a/gain", 0.25)
    await client.ask(UNDONE)
    assert await value(live, "/node/a/gain") == pytest.approx(1.0 + 99 / 128, rel=1e-6)
    assert await client.ask(UNDONE) == [("/done", (UNDONE, "/node/b/gain"))]
    assert await client.ask(UNDONE) == [("/done", (UNDONE, "/node/a/gain"))]
    assert live.app.session.state.current() == GRAPH
    assert (await client.ask(UNDONE))[0][0] == "/fail"


async def test_every_edit_in_turn(live: Rig, client: Client) -> None:
    for message in (
        ("/node/add", "gain", "c", "a"),
        ("/node/move", "c", "b"),
        ("/node/disconnect", "c", "out"),
        ("/node/connect", "b", "out"),
    ):
        await client.ask(*message)
    for what in ("/node/connect", "/node/disconnect", "/node/move", "/node/add"):
        assert await client.ask(UNDONE) == [("/done", (UNDONE, what))]
    assert live.app.session.state.current() == GRAPH
    ((address, args),) = await client.ask(UNDONE)
    assert (address, args) == ("/fail", (UNDONE, "there is nothing to undo"))


async def test_a_new_edit_ends_what_could_be_done_again(live: Rig, client: Client) -> None:
    await client.ask("/node/add", "gain", "c", "b")
    await client.ask(UNDONE)
    await client.ask("/node/add", "gain", "d", "b")
    assert (await client.ask("/patch/redo"))[0][0] == "/fail"
    assert await nodes(live) == ["a", "b", "d"]


async def test_another_patch_is_taken_back_whole(live: Rig, client: Client) -> None:
    await client.ask("/patch/save", "first")
    await client.ask("/patch/load", "first")
    await client.ask("/node/a/gain", 1.75)
    await client.ask("/node/remove", "b")
    await client.ask("/tempo", 90.0)
    await client.ask("/patch/save", "second")
    await client.ask("/patch/load", "first")
    assert await value(live, "/node/a/gain") == 0.5
    assert await client.ask(UNDONE) == [("/done", (UNDONE, "/patch/load"))]
    assert await nodes(live) == ["a"]
    assert await value(live, "/node/a/gain") == 1.75
    assert live.app.session.state.tempo == 90.0


async def test_an_edit_that_changes_nothing_or_is_refused_is_not_one(live: Rig, client: Client) -> None:
    await client.ask("/node/connect", "a", "b")
    await client.ask("/node/remove", "nobody")
    assert (await client.ask(UNDONE))[0][0] == "/fail"
    live.engine.refuse = "too heavy"
    await client.ask("/node/add", "gain", "c", "b")
    await live.settle(2)
    live.engine.refuse = ""
    client.heard()
    assert (await client.ask(UNDONE))[0][0] == "/fail"
    assert await nodes(live) == ["a", "b"]


async def test_so_many_are_kept(live: Rig, client: Client) -> None:
    for n in range(MAX_EDITS + 10):
        await client.ask("/node/add", "gain", f"n{n}")
    answers = [(await client.ask(UNDONE))[0][0] for _ in range(MAX_EDITS + 1)]
    assert answers == ["/done"] * MAX_EDITS + ["/fail"]
    assert len(await nodes(live)) == 12


@pytest.mark.parametrize("word", ["/patch/undo", "/patch/redo"])
async def test_a_buttons_release_is_not_a_second_press(live: Rig, client: Client, word: str) -> None:
    await client.ask("/node/add", "gain", "c", "b")
    assert await client.ask(word, 0) == []
    assert await nodes(live) == ["a", "b", "c"]
