"""MIDI on its way to the engine and to external gear, with a fake system of ports."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.control.fake_engine import RATE, FakeEngine, FakeTime
from tests.control.rig import CATALOG, Rig, make_app
from tests.control.test_notes import HEARS, PLAYS, events

from antiphon.api.osc import encode
from antiphon.api.transports import ServeSettings
from antiphon.contract.catalog import Catalog
from antiphon.engine.link import PlayedNote
from antiphon.graph.graph import End, Graph, NodeSpec, Wire
from antiphon.graph.patch import Patch, parse
from antiphon.runtime import paths
from antiphon_midi.input import MidiInput
from antiphon_midi.ports import Ports
from antiphon_midi.tests.fake_midi import FakeMidi

BLOCK = 256
LAG = BLOCK + round(0.001 * RATE)
GRAPH = Graph(
    (NodeSpec("a", "gain"), NodeSpec("k", "plays"), NodeSpec("h", "hears")),
    (
        Wire(End("in", "in"), End("a", "in")),
        Wire(End("in", "in"), End("h", "in")),
        Wire(End("k", "out"), End("out", "out")),
        Wire(End("a", "out"), End("out", "out")),
    ),
)
GAIN, K, H = 1, 2, 3
"""The nodes' numbers."""


class Stage(Rig):
    """A control process with MIDI open on `fake`, its ports looked at when asked."""

    fake: FakeMidi
    ports: Ports
    midi: MidiInput

    async def look(self) -> None:
        """What a second's wait does."""
        self.midi._changed(self.ports.look())
        self.midi.out.follow()
        await self.settle()

    async def play(self, *data: int, port: str = "antiphon", ns: int = 0) -> list[tuple[Any, ...]]:
        """Sends; returns the events that come of it, without their sample."""
        self.fake.put(port, *data, ns=ns)
        await self.settle()
        return [done[:-1] for done in events(self)]


Open = Callable[..., Any]


@asynccontextmanager
async def staged(folder: Path, engine: FakeEngine | None = None, **wanted: Any) -> AsyncIterator[Stage]:
    time = engine.time if engine is not None else FakeTime()
    engine = engine or FakeEngine(time)
    app = make_app(folder, engine, time, Catalog({**CATALOG.types, "plays": PLAYS, "hears": HEARS}))
    fake = FakeMidi()
    fake.there = wanted.pop("there", [])
    ports = Ports("test", virtual=wanted.pop("virtual", True), make=fake.make, **wanted)
    midi = MidiInput(app.transports.host("midi", ServeSettings(midi=True), fresh=True), ports)
    midi.install()
    restored = await app.start()
    made = Stage(app, engine, time)
    made.fake, made.ports, made.midi = fake, ports, midi
    if not restored:
        app.plans.load(Patch("three", 120.0, GRAPH), 0.0, None, "", ())
    await made.settle()
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    for _ in range(2000):
        if fake.calls:
            break
        await asyncio.sleep(0.001)
    await made.look()
    engine.applied.clear()
    try:
        yield made
    finally:
        stop.set()
        await running
        await app.stop()
        made.close()
        app.close()


@pytest.fixture
async def live(tmp_path: Path, home: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path / "state", there=["keys 20:0"], outputs=["gear"]) as made:
        yield made


def with_midi(live: Stage, **midi: str) -> None:
    """The patch that plays has this [midi]; "cc_21" for "cc 21"."""
    assert live.app.plans.patch is not None
    written = {name.replace("_", " "): target for name, target in midi.items()}
    live.app.plans.patch = replace(live.app.plans.patch, midi=written)


async def test_every_message_becomes_its_event(live: Stage) -> None:
    assert await live.play(0x90, 60, 127) == [("on", K, 60, 1.0, 1)]
    assert await live.play(0x9F, 61, 1, 0x80, 60, 64) == [
        ("on", K, 61, pytest.approx(1 / 127), 16),
        ("off", K, 60, 0.0, 1),
    ]
    assert await live.play(0x9F, 61, 0) == [("off", K, 61, 0.0, 16)]
    assert await live.play(0xB0, 64, 127, 0xB0, 1, 0) == [("control", K, 64, 1.0, 1), ("control", K, 1, 0.0, 1)]
    assert await live.play(0xE3, 0, 64, 0xE3, 127, 127) == [("bend", K, 0, 0.0, 4), ("bend", K, 0, 1.0, 4)]
    assert await live.play(0xD0, 5, 0xA0, 60, 3, 0xF8, 0xFA, 0xFC, 0xF0, 1, 0xF7) == []
    told = live.app.status()["midi"]
    assert (told["ports"], told["system"], told["received"], told["refused"]) == (["antiphon", "keys"], "fake", 14, 0)


async def test_a_note_sounds_a_block_and_a_millisecond_after_it_came(live: Stage) -> None:
    await live.move(0.0101)
    for ago in (0, 100, 4000):
        ns = live.time.monotonic() - ago * 1000
        live.fake.put("antiphon", 0x90, 60, 1, ns=ns)
        await live.settle()
        await live.move(0.01)
        assert [done[-1] for done in events(live)] == [round(live.engine.sample_at(ns) + LAG)]
    assert live.engine.late == 0


async def test_whoever_is_subscribed_hears_a_knob_and_a_flood_of_it_is_one_move(live: Stage) -> None:
    with_midi(live, cc_21="a.gain", cc_22_2="a.mode")
    client = live.client()
    await client.ask("/notify", 1)
    assert await live.play(*(b for n in range(128) for b in (0xB0, 21, n))) == []
    assert live.engine.values[GAIN, 3] == 2.0
    assert [m for m in client.heard() if m[0] == "/node/a/gain"] == [("/node/a/gain", (2.0,))]
    assert len([done for done in live.engine.applied if done[0] == "set"]) <= 1
    assert await live.play(0xB0, 22, 127) == [("control", K, 22, 1.0, 1)]
    await live.play(0xB1, 22, 127)
    assert live.app.executor.value("a", "mode") == "wavelet"


async def test_learned_once_it_stays_learned(live: Stage, tmp_path: Path) -> None:
    client = live.client()
    await client.ask("/notify", 1)
    assert await client.ask("/learn", "/node/a/cutoff") == []
    assert live.app.status()["midi"]["learning"] == "a.cutoff"
    await live.play(0xB4, 33, 127, port="keys 20:0")
    assert live.app.executor.value("a", "cutoff") == 2000.0
    assert [m for m in client.heard() if "learn" in m[0] or m[0] == "/done"] == [
        ("/done", ("/learn", "/node/a/cutoff", "cc 33 5")), ("/learned", ("/node/a/cutoff", "cc 33 5", "keys"))
    ]  # fmt: skip
    # of another port, and another channel, it is another knob
    assert len(await live.play(0xB4, 33, 0)) == 1
    assert len(await live.play(0xB3, 33, 0, port="keys 20:0")) == 1
    async with staged(tmp_path / "other", there=["keys 28:0"]) as later:
        await later.play(0xB4, 33, 0, port="keys 28:0")
        assert later.app.executor.value("a", "cutoff") == 20.0
        asking = later.client()
        assert await asking.ask("/unlearn", "/node/a/cutoff") == []
        assert len(await later.play(0xB4, 33, 127, port="keys 28:0")) == 1
        ((_, (_, said)),) = await asking.ask("/unlearn", "/node/a/cutoff")
        assert said == "no control was learned for a.cutoff"
    assert json.loads((paths.config() / "midi.json").read_text())["controls"] == []


async def test_learning_again_moves_the_parameter_to_another_knob_and_goes_before_the_patch(live: Stage) -> None:
    with_midi(live, cc_1="a.trim")
    client = live.client()
    for number in (1, 2):
        await client.ask("/learn", "/node/a/gain/norm")
        await live.play(0xB0, number, 64)
    assert await live.play(0xB0, 2, 127) == []
    assert live.app.executor.value("a", "gain") == 2.0
    await live.play(0xB0, 1, 0)
    assert (live.app.executor.value("a", "gain"), live.app.executor.value("a", "trim")) == (2.0, pytest.approx(-0.1))


async def test_a_knob_learned_for_a_node_that_is_not_here_plays_on(live: Stage) -> None:
    client = live.client()
    await client.ask("/learn", "/node/a/gain")
    await live.play(0xB0, 1, 64)
    await client.ask("/node/remove", "a")
    live.engine.applied.clear()
    assert await live.play(0xB0, 1, 127) == [("control", K, 1, 1.0, 1)]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/node/z/gain", "there is no node 'z'"), ("/node/a/level", "readonly"), ("/node/a/label", "text"),
        ("/tempo", "address takes /node/NAME/PARAM"), ("a", "address takes /node/NAME/PARAM"),
    ],
)  # fmt: skip
async def test_what_cannot_be_learned_is_said(live: Stage, address: str, said: str) -> None:
    ((where, (_, reason)),) = await live.client().ask("/learn", address)
    assert where == "/fail"
    assert said in reason


async def test_a_damaged_file_of_learned_controls_is_said_and_nothing_else(tmp_path: Path, home: Path) -> None:
    paths.make_folder(paths.config())
    for damaged in (b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "controls": [1]}', b"[" * 100_000):
        (paths.config() / "midi.json").write_bytes(damaged)
        async with staged(tmp_path / f"state{len(damaged)}") as live:
            assert await live.play(0x90, 60, 127) == [("on", K, 60, 1.0, 1)]


async def test_a_program_change_recalls_a_scene(live: Stage) -> None:
    await live.play(0xC0, 7)
    assert live.app.status()["midi"]["reason"].startswith("there is no scene 7; ")
    client = live.client()
    for scene, gain in ((3, 1.5), (4, 0.25)):
        await client.ask("/node/a/gain", gain)
        await client.ask("/scene/store", scene)
    await live.play(0xC5, 3)
    assert live.app.executor.value("a", "gain") == 1.5
    await live.play(0xC5, 3, 4)
    assert live.app.executor.value("a", "gain") == 0.25


ENDED = [("off", K, 60, 0.0, 1), ("off", K, 64, 0.0, 2), ("control", K, 64, 0.0, 1), ("bend", K, 0, 0.0, 3)]
HELD = (0x90, 60, 1, 0x91, 64, 1, 0x90, 61, 1, 0x80, 61, 0, 0xB0, 64, 127, 0xE2, 0, 0)


async def unplug(live: Stage) -> None:
    live.fake.there = []
    await live.look()


async def replug(live: Stage) -> None:
    live.fake.broken.add("keys 20:0")
    await live.look()


async def system_goes(live: Stage) -> None:
    live.fake.gone = True
    await live.look()


async def reset(live: Stage) -> None:
    live.fake.put("keys 20:0", 0xFF)
    await live.settle()


async def falls_silent(live: Stage) -> None:
    live.midi._voices["keys"].last_received -= 1.0
    live.midi._sense()
    await live.settle()


@pytest.mark.parametrize("loss", [unplug, replug, system_goes, reset, falls_silent])
async def test_what_a_port_has_sounding_ends_with_it(live: Stage, loss: Callable[[Stage], Awaitable[None]]) -> None:
    await live.play(0x90, 50, 1)
    await live.play(*HELD, 0xFE, port="keys 20:0")
    await loss(live)
    await live.move(0.1)
    first = [("off", K, 50, 0.0, 1)] if loss is system_goes else []
    assert [done[:-1] for done in events(live)] == first + ENDED
    if loss is not falls_silent:
        await loss(live)
        await live.move(0.1)
        assert events(live) == []


async def test_all_notes_off_is_for_its_channel_and_a_reset_of_controllers_for_its_pedal(live: Stage) -> None:
    await live.play(*HELD)
    await live.play(0xB1, 123, 0)
    await live.move(0.1)
    live.engine.applied.clear()
    await live.play(0xB0, 121, 0)
    await live.move(0.1)
    assert [done[:-1] for done in events(live)] == [("control", K, 64, 0.0, 1), ("bend", K, 0, 0.0, 1)]
    await live.play(0xB0, 120, 0)
    await live.move(0.1)
    assert [done[:-1] for done in events(live)] == [("off", K, 60, 0.0, 1)]


async def test_a_note_on_its_way_when_its_port_goes_is_ended_after_it_began(live: Stage) -> None:
    live.fake.put("keys 20:0", 0x90, 60, 1, ns=live.time.monotonic())
    await asyncio.sleep(0.01)
    await unplug(live)
    await live.move(0.1)
    assert [done[0] for done in events(live)] == ["on", "off"]


async def test_twenty_times_out_and_in(live: Stage) -> None:
    for n in range(20):
        name = f"keys {20 + n}:0"
        live.fake.there = [name]
        await live.look()
        assert live.app.status()["midi"]["ports"] == ["antiphon", "keys"]
        assert await live.play(0x90, 60, 127, port=name) == [("on", K, 60, 1.0, 1)]
        live.fake.there = []
        await live.look()
        await live.move(0.05)
        assert [done[:3] for done in events(live)] == [("off", K, 60)]
        assert live.app.status()["midi"]["ports"] == ["antiphon"]
    assert live.fake.calls.count("end keys 20:0") == 1
    assert sum(call.startswith("in ") for call in live.fake.calls) == 20


async def test_the_ports_asked_for_and_no_others(tmp_path: Path, home: Path) -> None:
    async with staged(
        tmp_path / "state", virtual=False, there=["A keys", "b", "pads"], inputs=["KEYS", "none such"]
    ) as live:
        told = live.app.status()["midi"]
        assert told["ports"] == ["A keys"]
        assert told["trouble"] == "there is no MIDI input like 'none such' now; there are: A keys, b, pads"
        live.fake.refuse, live.fake.there = "more keys", ["A keys", "more keys"]
        await live.look()
        assert live.app.status()["midi"]["ports"] == ["A keys"]
        live.fake.refuse = ""
        await live.look()
        assert live.app.status()["midi"]["ports"] == ["A keys", "more keys"]


async def test_hostile_bytes_harm_nobody(live: Stage) -> None:
    noise = random.Random(3)
    for _ in range(40):
        await live.play(*noise.randbytes(500))
    for _ in range(12):
        await live.play(0xF0, *bytes(200_000), port="keys 20:0")
        await live.play(*bytes(200_000), port="keys 20:0")
        assert live.midi._voices["keys"].parser.held <= 1 << 20
    await live.move(1.0)
    events(live)
    assert ("on", K, 60, 1.0, 1) in await live.play(0xFF, 0x90, 60, 127)
    assert await live.client().ask("/ping") != []
    assert live.app.status()["midi"]["malformed"] > 100


async def test_an_endless_sysex_is_counted(live: Stage) -> None:
    await live.play(0xF0)
    for _ in range(6):
        await live.play(*bytes(200_000))
    assert live.app.status()["midi"]["bounded"] == 1
    assert len(await live.play(0x90, 60, 127)) == 1


async def test_notes_of_a_control_process_that_was_killed_are_ended_by_the_next(tmp_path: Path, home: Path) -> None:
    engine = FakeEngine(FakeTime())
    async with staged(tmp_path / "state", engine) as first:
        await first.play(*HELD)
        kept = (tmp_path / "state" / "transport-midi-notes.bin").read_bytes()
    assert sum(kept) == 2
    assert not any((tmp_path / "state" / "transport-midi-notes.bin").read_bytes()), "a good end leaves nothing"
    (tmp_path / "state" / "transport-midi-notes.bin").write_bytes(kept)
    engine.applied.clear()
    async with staged(tmp_path / "state", engine) as second:
        assert second.app.status()["midi"]["refused"] == 0
        assert not any((tmp_path / "state" / "transport-midi-notes.bin").read_bytes())


# ---- out


@pytest.fixture
async def gear(live: Stage) -> FakeMidi:
    live.fake.sinks = ["gear in", "other"]
    await live.look()
    assert live.app.status()["midi"]["outputs"] == ["gear in"]
    return live.fake


async def test_what_is_played_by_command_goes_out_once(live: Stage, gear: FakeMidi) -> None:
    client = live.client()
    await client.ask("/node/add", "plays", "m")
    await client.ask("/note/on", 60, 127)
    await client.ask("/note/on", 60, 127)
    await client.ask("/cc", 1, 0.5, 2)
    await client.ask("/note/off", 60)
    assert gear.sent == [
        ("gear in", bytes(m)) for m in ((0x90, 60, 127), (0x90, 60, 127), (0xB1, 1, 64), (0x80, 60, 64))
    ]


async def test_a_port_does_not_get_back_what_came_from_it(live: Stage, gear: FakeMidi) -> None:
    live.fake.there = ["gear in"]
    await live.look()
    await live.play(0x90, 60, 1, port="gear in")
    assert gear.sent == []
    await live.play(0x90, 61, 1)
    assert gear.sent == [("gear in", bytes((0x90, 61, 1)))]


async def test_a_note_with_a_time_goes_out_at_its_time(live: Stage, gear: FakeMidi) -> None:
    client = live.client()
    client.bundle(live.time.timetag(0.5), encode("/note/on", 60, 127))
    await live.settle()
    assert gear.sent == []
    await live.move(0.6)
    live.midi.out._due()
    assert len(gear.sent) == 1


async def test_what_the_named_node_emits_goes_out(live: Stage, gear: FakeMidi) -> None:
    live.engine.say(PlayedNote(H, "on", 60, 1.0, 1, 0))
    await live.settle()
    assert (live.engine.echoed, gear.sent) == (0, [])
    with_midi(live, out="h.notes")
    await live.look()
    assert live.engine.echoed == H
    for kind, value in (("on", 0.5), ("off", 0.0)):
        live.engine.say(PlayedNote(H, kind, 60, value, 2, 0))
    await live.settle()
    assert [m for _, m in gear.sent] == [bytes((0x91, 60, 64)), bytes((0x81, 60, 64))]
    with_midi(live)
    await live.look()
    assert live.engine.echoed == 0


async def test_a_panic_ends_what_sounds_out_there_and_drops_what_waits(live: Stage, gear: FakeMidi) -> None:
    client = live.client()
    await client.ask("/note/on", 60, 127)
    client.bundle(live.time.timetag(0.5), encode("/note/on", 61, 127))
    await live.settle()
    gear.sent.clear()
    await client.ask("/panic")
    assert gear.sent[0] == ("gear in", bytes((0x80, 60, 64)))
    assert [m for _, m in gear.sent[1:]] == [bytes((0xB0 | c, 123, 0)) for c in range(16)]
    gear.sent.clear()
    await live.move(1.0)
    assert gear.sent == []


def test_a_patch_names_the_node_whose_notes_go_out() -> None:
    catalog = Catalog({**CATALOG.types, "plays": PLAYS, "hears": HEARS})
    text = 'format = 1\n[nodes.h]\ntype = "hears"\n[nodes.a]\ntype = "gain"\n[wires]\n"in" = "h"\n[midi]\nout = {}\n'
    assert parse(text.format('"h"'), catalog).midi == {"out": "h.notes"}
    for target, said in (
        ('"a"', "'a' gives no notes"), ('"h.x"', "no output port 'x'"), ("1", "takes node.port"),
        ('"in"', "gives no notes"), ('"z"', "z"),
    ):  # fmt: skip
        with pytest.raises(Exception, match=said):
            parse(text.format(target), catalog)


async def test_a_pedal_presses_once_each_time_it_goes_down(live: Stage) -> None:
    client = live.client()
    for name in ("one", "two", "three"):
        await client.ask("/patch/save", name)
    (paths.make_folder(paths.patches() / "live") / "s.toml").write_text(
        'format = 1\npatches = ["one", "two", "three"]\n[midi]\n"cc 66" = "next"\n"cc 67" = "previous"\n'
    )
    await client.ask("/set/load", "s")

    def place() -> int:
        return int(live.app.status()["set"]["place"])

    # a pedal that slides, as half pedals do, is one press
    for value in (10, 60, 70, 100, 127, 127, 90):
        assert await live.play(0xB0, 66, value) == []
    assert place() == 2
    await live.play(0xB0, 66, 0, 0xB0, 66, 127)
    assert place() == 3
    await live.play(0xB0, 66, 0, 0xB0, 66, 127)
    assert live.app.status()["midi"]["reason"] == "this is the last patch of s"
    await live.play(0xB0, 67, 127)
    assert place() == 2


async def test_a_pad_learned_presses_an_address(live: Stage) -> None:
    client = live.client()
    await client.ask("/notify", 1)
    await client.ask("/node/add", "gain", "extra")
    assert await client.ask("/learn", "/patch/undo") == []
    await live.play(0xB0, 50, 127)
    assert ("/learned", ("/patch/undo", "cc 50 1", "antiphon")) in client.heard()
    assert "extra" not in live.app.session.state.nodes
    assert await client.ask("/unlearn", "/patch/undo") == []
    assert len(await live.play(0xB0, 50, 0, 0xB0, 50, 127)) == 2
    ((address, args),) = await client.ask("/learn", "/set/load")
    assert (address, args[0]) == ("/fail", "/learn")


async def test_the_master_volume_is_learned_like_any_parameter(live: Stage) -> None:
    client = live.client()
    await client.ask("/learn", "/node/out/gain")
    await live.play(0xB0, 7, 127)
    assert live.app.executor.value("out", "gain") == 24.0
    await live.play(0xB0, 7, 0)
    assert live.app.executor.value("out", "gain") == -60.0


async def test_a_pedal_held_down_as_its_port_goes_presses_when_it_is_back(live: Stage) -> None:
    client = live.client()
    await client.ask("/learn", "/patch/undo")
    await live.play(0xB0, 50, 127, port="keys 20:0")
    await client.ask("/node/add", "gain", "extra")
    live.fake.there = []
    await live.look()
    live.fake.there = ["keys 20:0"]
    await live.look()
    await live.play(0xB0, 50, 127, port="keys 20:0")
    assert "extra" not in live.app.session.state.nodes
