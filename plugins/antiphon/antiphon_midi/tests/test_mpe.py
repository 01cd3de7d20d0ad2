"""MIDI input: messages as events, pedals; MPE: each note's own bend, pressure and timbre."""

import pytest
from hypothesis import given, strategies as st
from tests.control.test_notes import events

from antiphon.api.backends.transports import NOW
from antiphon.kernel.runtime import paths
from antiphon.web import control_status
from antiphon_midi.mpe import NOTE_REACH, MpeZones
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
    told = control_status.status(live.app)["midi"]
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
    assert control_status.status(live.app)["midi"]["reason"].startswith("there is no scene 7; ")
    client = live.client()
    for scene, gain in ((3, 1.5), (4, 0.25)):
        await client.ask("/node/a/gain", gain)
        await client.ask("/scene/store", scene)
    await live.play(0xC5, 3)
    assert live.app.executor.value("a", "gain") == 1.5
    await live.play(0xC5, 3, 4)
    assert live.app.executor.value("a", "gain") == 0.25


async def test_a_pedal_presses_once_each_time_it_goes_down(live: MidiStage) -> None:
    client = live.client()
    for name in ("one", "two", "three"):
        await client.ask("/patch/save", name)
    (paths.make_folder(paths.patches() / "live") / "s.toml").write_text(
        'format = 1\npatches = ["one", "two", "three"]\n[midi]\n"cc 66" = "next"\n"cc 67" = "previous"\n'
    )
    await client.ask("/set/load", "s")

    def place() -> int:
        return int(control_status.status(live.app)["set"]["place"])

    # a pedal that slides, as half pedals do, is one press
    for value in (10, 60, 70, 100, 127, 127, 90):
        assert await live.play(0xB0, 66, value) == []
    assert place() == 2
    await live.play(0xB0, 66, 0, 0xB0, 66, 127)
    assert place() == 3
    await live.play(0xB0, 66, 0, 0xB0, 66, 127)
    assert control_status.status(live.app)["midi"]["reason"] == "this is the last patch of s"
    await live.play(0xB0, 67, 127)
    assert place() == 2


async def test_a_pedal_held_down_as_its_port_goes_presses_when_it_is_back(live: MidiStage) -> None:
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


ZONE_OF_15 = (0xB0, 101, 0, 0xB0, 100, 6, 0xB0, 6, 15)
"""The registered parameter by which a controller says that it sends MPE."""


def notes(heard: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Without the controllers that registered parameters are made of, which are passed on."""
    return [event for event in heard if event[0] != "control"]


async def test_a_zone_gives_each_note_its_own_pitch_pressure_and_timbre(live: MidiStage) -> None:
    assert notes(await live.play(*ZONE_OF_15)) == []
    # two notes on member channels, the second bent before it begins
    assert await live.play(0x91, 60, 127) == [("on", K, 60, 1.0, 1)]
    assert await live.play(0xE2, 0, 65, 0xD2, 127, 0xB2, 74, 0, 0x92, 67, 127) == [
        ("pitch", K, 67, pytest.approx(48 * 128 / 8191), 1),
        ("pressure", K, 67, 1.0, 1),
        ("timbre", K, 67, 0.0, 1),
        ("on", K, 67, 1.0, 1),
    ]
    assert await live.play(0xE1, 0, 0) == [("pitch", K, 60, -48.0, 1)]
    assert await live.play(0xD1, 64) == [("pressure", K, 60, pytest.approx(64 / 127), 1)]
    assert await live.play(0xB2, 74, 127) == [("timbre", K, 67, 1.0, 1)]
    # the manager's bend and pedal are the zone's
    assert await live.play(0xE0, 127, 127, 0xB0, 64, 127) == [("bend", K, 0, 1.0, 1), ("control", K, 64, 1.0, 1)]
    assert await live.play(0x81, 60, 0, 0xE1, 0, 64) == [("off", K, 60, 0.0, 1)]


async def test_the_same_note_twice_is_on_channels_of_its_own(live: MidiStage) -> None:
    await live.play(*ZONE_OF_15)
    assert await live.play(0x91, 60, 127, 0x99, 60, 127) == [("on", K, 60, 1.0, 1), ("on", K, 60, 1.0, 2)]
    assert await live.play(0xE9, 0, 0) == [("pitch", K, 60, -48.0, 2)]
    assert await live.play(0x89, 60, 0, 0x81, 60, 0) == [("off", K, 60, 0.0, 2), ("off", K, 60, 0.0, 1)]


@pytest.mark.parametrize("mode", [120, 123])
async def test_all_off_on_a_member_channel_ends_its_note_and_on_the_manager_the_zones(
    live: MidiStage, mode: int
) -> None:
    await live.play(*ZONE_OF_15, 0x91, 60, 127, 0x92, 64, 127, 0x99, 60, 127)
    for channel, ended in ((2, [("off", K, 64, 0.0, 1)]), (0, [("off", K, 60, 0.0, 1), ("off", K, 60, 0.0, 2)])):
        await live.play(0xB0 + channel, mode, 0)
        await live.move(0.1)
        assert notes([done[:-1] for done in events(live)]) == ended
    assert notes(await live.play(0xE1, 0, 0)) == [], "nothing sounds that could be bent"


async def test_a_flood_is_one_move_and_none_for_a_note_that_has_ended(live: MidiStage) -> None:
    await live.play(*ZONE_OF_15, 0x91, 60, 127)
    assert await live.play(*(b for n in range(100) for b in (0xE1, n, 64))) == [
        ("pitch", K, 60, pytest.approx(48 * 99 / 8191), 1)
    ]
    assert await live.play(0xE1, 5, 64, 0x81, 60, 0) == [("off", K, 60, 0.0, 1)]
    assert await live.play(0xE1, 7, 64) == []


async def test_the_reach_of_a_bend_is_said_by_the_controller(live: MidiStage) -> None:
    await live.play(*ZONE_OF_15, 0xB1, 101, 0, 0xB1, 100, 0, 0xB1, 6, 12, 0xB1, 38, 50)
    assert await live.play(0x93, 60, 127, 0xE3, 127, 127) == [("on", K, 60, 1.0, 1), ("pitch", K, 60, 12.5, 1)]


async def test_without_a_zone_aftertouch_is_for_the_notes_of_its_channel(live: MidiStage) -> None:
    await live.play(0x90, 60, 127, 0x90, 64, 127, 0x91, 67, 127)
    assert await live.play(0xD0, 127) == [("pressure", K, 60, 1.0, 1), ("pressure", K, 64, 1.0, 1)]
    assert await live.play(0xA1, 67, 127) == [("pressure", K, 67, 1.0, 2)]
    assert await live.play(0xA1, 68, 127) == []
    assert await live.play(0xE1, 127, 127) == [("bend", K, 0, 1.0, 2)]


async def test_a_zone_that_goes_ends_its_notes(live: MidiStage) -> None:
    await live.play(*ZONE_OF_15, 0x91, 60, 127, 0x92, 60, 127)
    await live.play(0xB0, 6, 0)
    await live.move(0.02)
    assert notes([done[:-1] for done in events(live)]) == [("off", K, 60, 0.0, 1), ("off", K, 60, 0.0, 2)]
    assert await live.play(0x91, 60, 127) == [("on", K, 60, 1.0, 2)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2, 9, 14, 15]),
            st.sampled_from(["on", "on", "off", "off", "bend", "press", "zone"]),
            st.sampled_from([1, 60, 61, 126, 127]),
        ),
        max_size=60,
    )
)
def test_whatever_comes_every_note_is_ended_where_it_was_begun(moves: list[tuple[int, str, int]]) -> None:
    zones = MpeZones(15)
    sounding: set[tuple[int, int]] = set()
    begun: dict[tuple[int, int], int] = {}
    for place, kind, number in moves:
        channel = place + 1
        if kind == "zone":
            zones.forget()
            zones.configure(1 if number % 2 else 16, number // 8)
            sounding.clear()
            begun.clear()
        elif not zones.manager(channel):
            continue
        elif kind == "on":
            on, _ = zones.begin(channel, number, NOW)
            begun[channel, number] = on
            sounding.add((on, number))
        elif kind == "off":
            on = zones.end(channel, number)
            assert on == begun.pop((channel, number), 0)
            sounding.discard((on, number))
        elif kind == "bend":
            for shape in (played.event for played in zones.express(channel, "pitch", number / 127, NOW)):
                assert begun[channel, shape.number] == shape.channel
                assert shape.value == pytest.approx(NOTE_REACH * number / 127)
        else:
            pressed = zones.express(channel, "pressure", number / 127, NOW)
            assert all((s.event.channel, s.event.number) in sounding for s in pressed)
        assert zones.used == sounding
