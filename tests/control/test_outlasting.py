"""Control outlasts what goes wrong in it: one message is lost, never the rest."""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import accepted
from tests.clock import FakeClock
from tests.control.rig import Client, Rig, rig

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT
from antiphon.kernel.control import app as app_module
from antiphon.kernel.engine.drivers.base import DriverOptions, ahead_for
from antiphon.kernel.engine.link import BeatPassed, EngineCounters, EngineStatus, NodeState
from antiphon.kernel.errors import ParamError
from antiphon.kernel.graph import patch
from antiphon.kernel.graph.graph import Graph, NodeSpec, in_series
from antiphon.kernel.runtime import paths
from antiphon.kernel.session.commands import SetParam
from antiphon.kernel.wire.osc import encode, encode_bundle
from antiphon.kernel.workers.status import WorkerStatus
from antiphon.reloading import patch_watch
from antiphon.web import control_status
from antiphon.web.control_status import STALL_LOG_SECONDS, MachineWatch, setting
from antiphon.web.http_message import answer, text

HALF = b"/node/a/label\0\0\0,c\0\0\0\0\xd8\x00"
"""A text parameter set by type tag `c` to half of a surrogate pair."""
NAME = os.fsdecode(b"Ger\xe4usch")
"""A file's name as an archive of another encoding left it."""
TEXTS = Param("file", "file", ""), Param("label", "text", "")
PLAYER = ProcessorInfo("player", "Plays a file.", "test", (AUDIO_IN,), (AUDIO_OUT,), TEXTS)


def plays(name: str) -> Graph:
    return in_series([NodeSpec("p", "player", {"file": name})], Catalog({"player": PLAYER}))


class Broken:
    """Raises so many times, then does what it stands for."""

    def __init__(self, times: int, then: Callable[..., Any]) -> None:
        self.times, self.then = times, then

    def __call__(self, *given: Any) -> Any:
        if self.times:
            self.times -= 1
            raise RuntimeError("a mistake nobody foresaw")
        return self.then(*given)


async def test_every_tick_is_noted_for_the_supervisor(live: Rig) -> None:
    before = live.engine.turns
    await live.settle(ticks=3)
    assert live.engine.turns == before + 3


async def test_half_a_character_is_refused_and_nobody_is_deaf_after_it(live: Rig) -> None:
    client, other = live.client(), live.client()
    await other.ask("/notify", 1)
    client.raw(encode_bundle(1, [HALF] * 214))
    for _ in range(100):
        client.send("/ping")
    await live.settle(ticks=3)
    heard = client.heard()
    assert ("/fail", ("/node/a/label", "55296 is not a character; nothing of its bundle was done")) in heard
    assert [address for address, _ in heard].count("/pong") == 100
    assert live.app.executor.value("a", "label") == ""
    assert live.app.counts()["faults"] == 0


async def test_text_without_utf8_is_refused_whichever_way_it_comes(live: Rig) -> None:
    # by HTTP, a plugin or a file of events it comes as Python text: "\\ud800" is good JSON

    await live.client().ask("/notify", 1)
    with pytest.raises(ParamError, match="half a character"):
        live.app.command(SetParam("a", "label", "x\ud800y"), "")
    live.app.command(SetParam("a", "label", "grüße 🎹"), "")
    await live.settle()
    assert live.app.executor.value("a", "label") == "grüße 🎹"


async def test_names_of_files_that_are_not_utf8_are_listed_and_answered(tmp_path: Path, home: Path) -> None:
    paths.make_folder(paths.library()).joinpath(NAME + ".wav").touch()
    paths.make_folder(paths.patches() / "live").joinpath(NAME + ".toml").touch()
    paths.patches().joinpath(NAME + ".toml").touch()
    async with rig(tmp_path / "state", catalog=Catalog({"player": PLAYER}), patch=False) as live:
        live.app.executor.perform(live.app.session.state.load(plays(""), "player"))
        live.app.structure_changed()
        await live.settle()
        client = live.client()
        ((_, (address, reason)),) = await client.ask("/node/p/file", "nothing.wav")
        assert address == "/node/p/file"
        assert r"it holds: Ger\udce4usch.wav" in reason
        for asked in ("/patch/load", "/set/load"):
            ((_, (address, reason)),) = await client.ask(asked, "Gerusch")
            assert address == asked
            assert r"Ger\udce4usch" in reason
        for asked in ("/patch/list", "/set/list"):
            ((_, names),) = await client.later(asked)
            assert r"Ger\udce4usch" in names
        for _ in range(120):
            client.send("/ping")
        client.send("/node/p/file", "nothing.wav")
        client.send("/ping")
        await live.settle()
        assert client.heard()[-1][0] == "/pong"
        assert live.app.counts()["faults"] == 0


async def test_a_file_of_the_command_line_may_have_any_name(tmp_path: Path, home: Path) -> None:
    """It goes to subscribers, into the state, to HTTP; only a patch, which is text, cannot be saved with it."""
    whole = str(tmp_path / (NAME + ".wav"))
    catalog = Catalog({"player": PLAYER})
    async with rig(tmp_path / "state", catalog=catalog, patch=False) as live:
        client = live.client()
        await client.ask("/notify", 1)
        live.app.executor.perform(live.app.session.state.load(plays(whole), NAME))
        live.app.structure_changed()
        live.app.feedback.add_change("/node/p/file", whole, "")
        await live.settle(ticks=3)
        heard = dict(client.heard())
        assert heard["/node/p/file"][0].endswith(r"Ger\udce4usch.wav")
        assert heard["/patch/loaded"] == (r"Ger\udce4usch",)
        ((_, (address, reason)),) = await client.ask("/patch/save", "kept")
        assert address == "/patch/save"
        assert "not in the library" in reason
        assert r"Ger\udce4usch.wav" in reason
        assert not (paths.patches() / "kept.toml").exists()
        body = answer(control_status.status(live.app)).body
        assert rb"\udce4" in body
        assert live.app.counts()["faults"] == 0
    async with rig(tmp_path / "state", catalog=catalog, patch=False) as again:
        assert again.app.executor.value("p", "file") == whole


def test_plain_text_over_http_is_total() -> None:
    assert text(NAME).body == rb"Ger\udce4usch"


class Held:
    """Stands for a connection that is read no further until what came is handled."""

    def resume(self) -> None:
        pass


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("outbox", "flush"), ("folder", "save"), ("feedback", "flush"), ("udp", "drain"), ("tcp", "resume"),
        ("session", "handle"), ("session", "advance"), ("router", "match"), ("intake", "handle_due"),
        ("reports", "meters"), ("link", "reports"), ("transports", "follow"), ("clock.wall", "update"),
        ("plans", "look_after"), ("subscribers", "expire"), ("access", "hold"), ("tcp", "sweep"),
    ],
)  # fmt: skip
async def test_a_mistake_costs_what_was_being_done(
    live: Rig, part: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = live.client(), live.client()
    await other.ask("/notify", 1)
    of = attrgetter(part)(live.app)
    broken = Broken(1, getattr(of, name))
    monkeypatch.setattr(of, name, broken)
    live.app.tcp.paused.add(Held())  # type: ignore[arg-type]
    live.app.turns.start(live.app._steps())
    stranger = live.app.udp.peer(("192.168.7.7", 9000))
    stranger.lane.put(encode("/ping"), stranger)
    live.app.intake.lanes.add(stranger.lane)
    client.send("/node/a/gain", 0.25)
    client.send("/node/*/nothing")
    client.send("/node/add", "gain", "x")
    for _ in range(300):
        client.send("/ping")
    await live.settle(ticks=31)
    assert broken.times == 0, "it was not reached"
    assert live.app.counts()["faults"] == 1
    assert "RuntimeError" in control_status.status(live.app)["trouble"]
    client.heard()
    assert (await client.ask("/ping"))[-1][0] == "/pong"
    client.send("/node/b/gain", 0.75)
    await live.settle(ticks=2)
    assert ("/node/b/gain", (0.75,)) in other.heard()


async def test_a_report_that_fails_does_not_take_the_next_with_it(
    live: Rig, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.ask("/notify", 1)
    monkeypatch.setattr(live.app.feedback, "event", Broken(1, live.app.feedback.event))
    live.engine.say(BeatPassed(4))
    live.engine.say(NodeState(live.app.session.state.nodes["a"].id, "failed", "it raised"))
    await live.settle()
    assert live.app.session.state.nodes["a"].state == "failed"
    assert ("/node/state", ("a", "failed", "it raised")) in client.heard()
    assert live.app.counts()["faults"] == 1


async def test_the_loop_of_ticks_and_services_outlast_what_they_raise(
    live: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "SERVICE_RETRY", 0.0)
    begun = asyncio.Event()
    tries: list[int] = []

    async def work() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("a mistake nobody foresaw")
        begun.set()
        await asyncio.Event().wait()

    live.app.services.append(("work", work))
    monkeypatch.setattr(live.app.turns, "tick", Broken(2, live.app.turns.tick))
    stop = asyncio.Event()
    task = asyncio.create_task(live.app.run(stop))
    await asyncio.wait_for(begun.wait(), 60.0)
    ticked = asyncio.Event()
    monkeypatch.setattr(live.engine, "note_turn", ticked.set)
    live.app.turns.start(live.app._steps())
    await asyncio.wait_for(ticked.wait(), 60.0)
    stop.set()
    await asyncio.wait_for(task, 60.0)
    assert live.app.faults.count == 4


@pytest.mark.parametrize("instead", ["a pipe", "a folder", "something large"])
async def test_what_stands_in_the_patch_files_place_does_not_hold_control_up(
    live: Rig, tmp_path: Path, instead: str
) -> None:
    client, path = live.client(), tmp_path / "mine.toml"
    await client.ask("/notify", 1)
    path.write_text('format = 1\n[nodes]\na = { type = "gain" }\n[wires]\nin = "a"\na = "out"\n')
    live.app.plans.load(patch.load(path, live.app.catalog, trusted=True), 0.0, None, "", ())
    await live.settle(ticks=2)
    client.heard()
    path.unlink()
    if instead == "a pipe":
        os.mkfifo(path)
    elif instead == "a folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(patch.MAX_SIZE + 1)
    # in a thread: a loop that a pipe holds up could not end the test
    look = asyncio.create_task(asyncio.to_thread(patch_watch.is_changed, live.app, str(path)))
    done, _ = await asyncio.wait([look], timeout=60.0)
    if not done:
        os.close(os.open(path, os.O_WRONLY))
    assert done, "it reads for ever"
    assert look.result()
    patch_watch.reload(live.app)
    await live.settle(ticks=2)
    ((address, (reason,)),) = client.heard()
    assert address == "/patch/failed"
    assert "mine.toml" in reason
    assert set(live.app.session.state.nodes) == {"a"}


ENGINE = EngineStatus(1, "running", 0, "jack", 48000, 256, 2, 512, 512, 0, 0.2, 0.5)
MS = 1_000_000


def options(late_ms: float, changes: dict[str, Any]) -> str:
    return setting(replace(ENGINE, **changes), round(late_ms * MS)) or "there are no more"


def test_the_options_are_those_with_which_the_latest_block_had_been_in_time() -> None:
    accepted.compare_calls(__file__, options=options)


@pytest.mark.parametrize(
    ("told", "late_ms", "ahead"), [(0, 0.0, 2), (0, 1.0, 2), (0, 6.0, 3), (0, 500.0, 16), (1, 6.0, 1)]
)
def test_a_machine_that_wakes_late_is_given_more_blocks_unless_they_are_told(
    told: int, late_ms: float, ahead: int
) -> None:
    options = DriverOptions(ahead=told, late_ns=round(late_ms * MS))
    assert options.blocks_ahead(256, 48000) == ahead
    assert told or ahead_for(options.late_ns, 256, 48000) <= ahead


def test_a_worker_whose_sound_is_missing_is_named_once_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    """A synth of 1.333 ms a hop that misses a tenth of them twice in a row; a start that misses some is not named."""
    clock, late = FakeClock(), [WorkerStatus(1, "synth/pyo", "pyo", 1, "running", "", 0, 0, "cpu", (1, 1), 1_333_333)]
    link = SimpleNamespace(counters=EngineCounters, status=lambda: ENGINE)
    machine = MachineWatch(link, lambda: late, clock)  # type: ignore[arg-type]
    said = []
    for misses in (0, 40, 50, 60, 100, 140, 180):
        late[0] = replace(late[0], misses=misses)
        clock.now += 0.5
        machine.look()
        said.append(machine.answers)
    assert said[:5] == [""] * 5
    assert said[5].startswith("synth/pyo is too late with its sound, of which 0.2 s are missing so far; ")
    assert said[5].endswith(" start the server with a larger --block or --ahead")
    assert [record.getMessage() for record in caplog.records] == [said[5]]


def test_missed_blocks_are_said_once_and_stalls_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, link = FakeClock(), SimpleNamespace(now=EngineCounters(missed_blocks=5), engine=ENGINE)
    link.counters, link.status = lambda: link.now, lambda: link.engine
    machine = MachineWatch(link, list, clock)
    caplog.set_level(logging.WARNING)

    def look(**changes: int) -> list[str]:
        caplog.clear()
        link.now = replace(link.now, **changes)
        machine.look()
        return [record.getMessage() for record in caplog.records]

    assert look() == [], "what another control has seen"
    (said,) = look(missed_blocks=105, stalls=1, stalled_ns=1300 * MS)
    assert said.startswith("the machine stood still for 1.3 s, which is no fault of a node")
    assert look(missed_blocks=200, stalls=2) == []
    assert machine.advice == ""
    assert look(missed_blocks=201, latest_ns=2 * MS) == [], "the first time"
    assert look() == []
    (said,) = look(missed_blocks=203, latest_ns=12 * MS)
    assert said.startswith("3 blocks were missed, the latest was 12.0 ms late")
    assert said.endswith(" start the server with --ahead 4")
    assert machine.advice == said
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 0.0, 0.0))
    assert look(missed_blocks=300) == [], "once in the log"
    assert machine.advice.startswith("100 blocks were missed, ")
    assert "; end other programs (load 99 on " in machine.advice
    link.engine = replace(ENGINE, restarts=1)
    assert look(missed_blocks=900, stalls=0) == []
    clock.now += STALL_LOG_SECONDS
    assert "(stalls so far: 3)" in look(stalls=3)[0]
