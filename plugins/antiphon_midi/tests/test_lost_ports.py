"""Ports and processes that go, hostile bytes: what sounds is ended, what is too much is counted."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.control.fake_engine import FakeEngine, FakeTime
from tests.control.test_notes import events

from antiphon_midi.tests.midi_rig import K, MidiStage, panics_of, staged

ENDED = [("off", K, 60, 0.0, 1), ("off", K, 64, 0.0, 2), ("control", K, 64, 0.0, 1), ("bend", K, 0, 0.0, 3)]
HELD = (0x90, 60, 1, 0x91, 64, 1, 0x90, 61, 1, 0x80, 61, 0, 0xB0, 64, 127, 0xE2, 0, 0)


async def unplug(live: MidiStage) -> None:
    live.fake.there = []
    await live.look()


async def replug(live: MidiStage) -> None:
    live.fake.broken.add("keys 20:0")
    await live.look()


async def system_goes(live: MidiStage) -> None:
    live.fake.gone = True
    await live.look()


async def falls_silent(live: MidiStage) -> None:
    live.midi._voices["keys"].last_received -= 1.0
    live.midi._sense()
    await live.settle()


@pytest.mark.parametrize("loss", [unplug, replug, system_goes, falls_silent])
async def test_what_a_port_has_sounding_ends_with_it(
    live: MidiStage, loss: Callable[[MidiStage], Awaitable[None]]
) -> None:
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


async def test_all_notes_off_is_for_its_channel_and_a_reset_of_controllers_for_its_pedal(live: MidiStage) -> None:
    await live.play(*HELD)
    await live.play(0xB1, 123, 0)
    await live.move(0.1)
    live.engine.applied.clear()
    await live.play(0xB0, 121, 0)
    await live.move(0.1)
    assert [done[:-1] for done in events(live)] == [("control", K, 64, 0.0, 1), ("bend", K, 0, 0.0, 1)]
    panics = panics_of(live)
    await live.play(0xB0, 123, 0)
    await live.move(0.1)
    assert [done[:-1] for done in events(live)] == [("off", K, 60, 0.0, 1)]
    assert panics == [], "a sequencer that stops cuts no other's sound"


@pytest.mark.parametrize("message", [(0xFF,), (0xB0, 120, 0), tuple(x for c in range(16) for x in (0xB0 + c, 120, 0))])
async def test_reset_and_all_sound_off_are_one_panic(
    live: MidiStage, message: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon_midi.input.ports_input.PANIC_AGAIN", 600.0)
    live.midi._panic_at = -600.0
    panics = panics_of(live)
    await live.play(*HELD)
    await live.play(*message)
    assert len(panics) == 1
    await unplug(live)
    await live.move(0.1)
    assert events(live) == [], "nothing of the port sounds any more that would have to be ended"


async def test_a_note_on_its_way_when_its_port_goes_is_ended_after_it_began(live: MidiStage) -> None:
    live.fake.put("keys 20:0", 0x90, 60, 1, ns=live.time.monotonic())
    await asyncio.sleep(0.01)
    await unplug(live)
    await live.move(0.1)
    assert [done[0] for done in events(live)] == ["on", "off"]


async def test_twenty_times_out_and_in(live: MidiStage) -> None:
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


async def test_hostile_bytes_harm_nobody(live: MidiStage) -> None:
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
