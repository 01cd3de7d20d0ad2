"""MIDI on its way to the engine: notes, controllers, scenes."""

import pytest
from tests.control.test_notes import events

from antiphon_midi.tests.midi_rig import GAIN, LAG, K, MidiStage, with_midi


async def test_every_message_becomes_its_event(live: MidiStage) -> None:
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


async def test_a_note_sounds_a_block_and_a_millisecond_after_it_came(live: MidiStage) -> None:
    await live.move(0.0101)
    for ago in (0, 100, 4000):
        ns = live.time.monotonic() - ago * 1000
        live.fake.put("antiphon", 0x90, 60, 1, ns=ns)
        await live.settle()
        await live.move(0.01)
        assert [done[-1] for done in events(live)] == [round(live.engine.sample_at(ns) + LAG)]
    assert live.engine.late == 0


async def test_whoever_is_subscribed_hears_a_knob_and_a_flood_of_it_is_one_move(live: MidiStage) -> None:
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


async def test_a_program_change_recalls_a_scene(live: MidiStage) -> None:
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
