"""Notes on their way to external gear."""

from pathlib import Path

import pytest
from tests.control.rig import CATALOG
from tests.control.test_notes import HEARS, PLAYS

from antiphon.api.backends.transports import NOW, OscRequest, Play, RequestError, Sample, ServeSettings, When, encode
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.event import Event
from antiphon.kernel.graph.patch import parse
from antiphon.kernel.session.commands import Beat
from antiphon.web import control_status
from antiphon_midi.output import send_out
from antiphon_midi.tests.midi_rig import FakeMidi, H, MidiStage, staged, with_midi


@pytest.fixture
async def gear(live: MidiStage) -> FakeMidi:
    live.fake.sinks = ["gear in", "other"]
    await live.look()
    assert control_status.status(live.app)["midi"]["outputs"] == ["gear in"]
    return live.fake


async def test_what_is_played_by_command_goes_out_once(live: MidiStage, gear: FakeMidi) -> None:
    client = live.client()
    await client.ask("/node/add", "plays", "m")
    await client.ask("/note/on", 60, 127)
    await client.ask("/note/on", 60, 127)
    await client.ask("/cc", 1, 0.5, 2)
    await client.ask("/note/off", 60)
    assert gear.sent == [
        ("gear in", bytes(m)) for m in ((0x90, 60, 127), (0x90, 60, 127), (0xB1, 1, 64), (0x80, 60, 64))
    ]


async def test_aftertouch_of_a_channel_goes_out_as_its_channels(live: MidiStage, gear: FakeMidi) -> None:
    """That of a key too as far as all keys have it, which for one alone is all; the rest is its own."""
    chord = ((0x90, 60, 127), (0xD0, 90), (0x90, 64, 127), (0xD0, 30), (0xA0, 64, 50), (0x80, 60, 64), (0x80, 64, 64))
    for message in (*chord, (0x90, 62, 127)):
        await live.play(*message)
    pressed = [tuple(message) for _, message in gear.sent if message[0] in (0xA0, 0xD0)]
    # the two keys of the second are told one by one
    assert pressed == [(0xD0, 90), (0xD0, 30), (0xA0, 64, 90), (0xA0, 64, 0), (0xA0, 64, 50), (0xD0, 0)]


async def test_a_note_that_has_ended_holds_no_pressure_of_its_channel_back(live: MidiStage, gear: FakeMidi) -> None:
    client = live.client()
    await client.ask("/node/add", "plays", "m")
    for address, *words in (
        ("/note/on", 60, 100), ("/note/off", 60), ("/note/pressure", 60, 0.1),  # of the next note 60
        ("/note/on", 62, 100), ("/note/pressure", 62, 1.0), ("/panic",),
        ("/note/on", 64, 100), ("/note/pressure", 64, 0.5), ("/cc", 121, 0.0), ("/note/pressure", 64, 0.5),
        ("/note/on", 65, 100), ("/note/pressure", 65, 1.0), ("/note/off", 65), ("/note/on", 65, 100),
        ("/note/off", 65), ("/note/off", 64), ("/note/on", 60, 100),
    ):  # fmt: skip
        await client.ask(address, *words)
    pressed = [tuple(message) for _, message in gear.sent if message[0] in (0xA0, 0xD0)]
    of_64 = [(0xD0, 0), (0xD0, 64), (0xD0, 64)]  # the second after a reset of the channel's controllers
    of_65 = [(0xA0, 65, 127)]
    assert pressed == [(0xD0, 127), *of_64, *of_65, (0xA0, 65, 0), (0xD0, 13)]


async def test_a_port_does_not_get_back_what_came_from_it(live: MidiStage, gear: FakeMidi) -> None:
    live.fake.there = ["gear in"]
    await live.look()
    await live.play(0x90, 60, 1, port="gear in")
    assert gear.sent == []
    await live.play(0x90, 61, 1)
    assert gear.sent == [("gear in", bytes((0x90, 61, 1)))]


async def test_a_note_with_a_time_goes_out_at_its_time(live: MidiStage, gear: FakeMidi) -> None:
    client = live.client()
    client.bundle(live.time.timetag(0.5), encode("/note/on", 60, 127))
    await live.settle()
    assert gear.sent == []
    await live.move(0.6)
    live.midi.out._due()
    assert len(gear.sent) == 1


async def test_a_message_goes_to_the_ports_of_its_name_at_its_time(live: MidiStage, gear: FakeMidi) -> None:
    # addresses of plugins are given a face of the server of their own, as each transport is
    host = live.app.transports.host("", ServeSettings(), fresh=True)

    def send(when: When, *words: object) -> None:
        send_out(OscRequest(host, words, "", when, print))  # type: ignore[arg-type]

    now = live.midi._server.moment().sample
    send(Sample(int(now) + 24000), "GEAR", 0xB2, 74, 99)
    await live.settle()
    assert gear.sent == []
    await live.move(0.6)
    live.midi.out._due()
    assert gear.sent == [("gear in", bytes((0xB2, 74, 99)))]
    for words, reason in (
        (("other", 0x90, 60, 1), "there is no MIDI output 'other'"),
        (("gear", 0xF0, 60, 1), "a status of 128 to 239"),
        (("gear", 0x90, 200, 1), "two numbers of 0 to 127"),
    ):
        with pytest.raises(RequestError, match=reason):
            send(NOW, *words)


async def test_what_the_named_node_emits_goes_out(live: MidiStage, gear: FakeMidi) -> None:
    live.engine.say(Play(H, Event("on", 0, 60, 1.0, 1), Sample(0)))
    await live.settle()
    assert (live.engine.echoed, gear.sent) == (0, [])
    with_midi(live, out="h.notes")
    await live.look()
    assert live.engine.echoed == H
    for kind, value in (("on", 0.5), ("off", 0.0)):
        live.engine.say(Play(H, Event(kind, 0, 60, value, 2), Sample(0)))
    await live.settle()
    assert [m for _, m in gear.sent] == [bytes((0x91, 60, 64)), bytes((0x81, 60, 64))]
    with_midi(live)
    await live.look()
    assert live.engine.echoed == 0


async def test_a_panic_ends_what_sounds_out_there_and_drops_what_waits(live: MidiStage, gear: FakeMidi) -> None:
    client = live.client()
    await client.ask("/note/on", 60, 127)
    client.bundle(live.time.timetag(0.5), encode("/note/on", 61, 127))
    await live.settle()
    gear.sent.clear()
    await client.ask("/panic")
    assert gear.sent[0] == ("gear in", bytes((0x80, 60, 64)))
    # on the channel that was used: the pedal up, then the sound cut, then the notes ended
    assert [m for _, m in gear.sent[1:]] == [bytes((0xB0, number, 0)) for number in (64, 120, 123)]
    gear.sent.clear()
    await live.move(1.0)
    assert gear.sent == []


def test_a_patch_names_the_node_whose_notes_go_out() -> None:
    catalog = Catalog({**CATALOG.types, "plays": PLAYS, "hears": HEARS})
    text = 'format = 1\n[nodes.h]\ntype = "hears"\n[nodes.a]\ntype = "gain"\n[wires]\n"in" = "h"\n[midi]\nout = {}\n'
    assert parse(text.format('"h"'), catalog).midi == {"out": "h.notes"}
    for target, said in (
        ('"a"', "'a' gives no notes"),
        ('"h.x"', "no output port 'x'"),
        ("1", "takes node.port"),
        ('"in"', "gives no notes"),
        ('"z"', "z"),
    ):
        with pytest.raises(Exception, match=said):
            parse(text.format(target), catalog)


CUT = [bytes((0xB0, number, 0)) for number in (64, 120, 123)]


def at_beat(live: MidiStage, beat: float, *message: int) -> None:
    """A script gives a message for the gear at a beat."""
    host = live.midi._server
    send_out(OscRequest(host, ("gear", *message), "tcp:script", Beat(beat), print))


async def begun(live: MidiStage, gear: FakeMidi) -> None:
    """A script has begun a note on channel 2, and gives another for beat 8."""
    live.engine.beat = 4.0
    at_beat(live, 4.0, 0x91, 60, 100)
    at_beat(live, 8.0, 0x91, 64, 100)
    await live.settle()
    assert gear.sent == [("gear in", bytes((0x91, 60, 100)))]
    gear.sent.clear()


@pytest.mark.parametrize("playing", [False, True])
async def test_note_out_ends_where_the_beat_stands(live: MidiStage, gear: FakeMidi, playing: bool) -> None:
    await begun(live, gear)
    live.engine.playing, live.engine.beat = playing, 0.0 if playing else 4.1
    await live.move(0.1)
    live.midi.out._due()
    assert gear.sent == [("gear in", bytes((0x81, 60, 64)))]
    live.engine.playing, live.engine.beat = True, 8.0
    live.midi.out._due()
    assert gear.sent[1:] == [("gear in", bytes((0x91, 64, 100)))]


async def test_note_out_of_a_client_that_leaves_ends(live: MidiStage, gear: FakeMidi) -> None:
    await begun(live, gear)
    live.app.leavings[0]("tcp:another")
    assert gear.sent == []
    live.app.leavings[0]("tcp:script")
    assert gear.sent == [("gear in", bytes((0x81, 60, 64)))]
    live.engine.beat = 8.0
    live.midi.out._due()
    assert [m for _, m in gear.sent[1:]] == [bytes((0x91, 64, 100)), bytes((0x81, 64, 64))]


async def test_message_out_at_a_beat_follows_the_tempo(live: MidiStage, gear: FakeMidi) -> None:
    at_beat(live, 2.0, 0x90, 60, 100)
    live.engine.beat, live.engine.bpm = 1.9, 60.0
    await live.move(1.0)  # its time by the tempo at which it came
    live.midi.out._due()
    assert gear.sent == []
    live.engine.beat = 2.0
    live.midi.out._due()
    assert gear.sent == [("gear in", bytes((0x90, 60, 100)))]


async def test_gear_is_cut_when_an_engine_has_ended(live: MidiStage, gear: FakeMidi) -> None:
    client = live.client()
    await client.ask("/cc", 64, 1.0)
    await client.ask("/note/on", 60, 127)
    with_midi(live, out="h.notes")
    await live.look()
    await client.ask("/note/on", 60, 127)
    live.engine.say(Play(H, Event("on", 0, 67, 1.0, 1), Sample(0)))
    await live.settle()
    gear.sent.clear()
    live.engine.start(4343)
    await live.settle()
    ends = [bytes((0x80, 60, 64)), bytes((0x80, 67, 64))]
    # the key that is held sounds again, as in the engine; nobody holds what the node began
    assert [m for _, m in gear.sent] == [*ends, *CUT, bytes((0x90, 60, 127))]


async def test_gear_is_cut_on_all_channels_after_a_control(tmp_path: Path, home: Path) -> None:
    for killed in (False, True):
        async with staged(tmp_path / "state", fresh=not killed, outputs=["gear"]) as live:
            live.fake.sinks = ["gear in"]
            await live.look()
            await live.look()
            found = [m for _, m in live.fake.sent]
            assert found == [bytes((m[0] | c, *m[1:])) for c in range(16) for m in CUT] * killed


async def test_gear_is_cut_at_the_end(live: MidiStage, gear: FakeMidi) -> None:
    client = live.client()
    await client.ask("/cc", 64, 1.0, 3)
    gear.sent.clear()
    live.midi.out.close()
    assert [m for _, m in gear.sent] == [bytes((0xB2, *m[1:])) for m in CUT]
