"""The node `midifile`: which notes come out, and on which frames, whatever the blocks are."""

from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests import accepted

from antiphon.api import BlockTime, Event, FileError, StreamSpec
from antiphon.api.backends.files import MidiNote, MidiTrack, write_midi
from antiphon.files.scores.midi_song import MidiControlChange
from antiphon.kernel.contract import harness
from antiphon.testing import render
from antiphon_midi.midifile import MAX_EVENTS, MidiFile, load

RATE = 48000
BEAT = 24_000
"""Frames of a beat at the harness's 120 bpm."""
SPEC = StreamSpec(RATE, 256, 2)
LEAD = MidiTrack("lead", tuple(MidiNote(float(n), 0.5, 60 + n, 0.5, 1) for n in range(4)), 0)
BASS = MidiTrack("bass", (MidiNote(0.0, 2.0, 36, 1.0, 2), MidiNote(2.0, 2.0, 38, 1.0, 2)), 33)
KIT = MidiTrack("kit", tuple(MidiNote(float(n), 0.25, 42, 0.25, 10) for n in range(4)))
Heard = list[tuple[int, int, int]]


def song(folder: Path, *tracks: MidiTrack, tempo: Any = 120.0) -> str:
    path = folder / "song.mid"
    write_midi(path, tracks or (LEAD, BASS, KIT), tempo)
    return str(path)


def play(path: str, beats: float, *changes: tuple[int, str, Any], blocks: Any = None, **values: Any) -> list[Event]:
    silence = np.zeros((2, round(beats * BEAT)), np.float32)
    return render(MidiFile(), SPEC, silence, {"file": path, **values}, changes, blocks).events


def on(events: list[Event], channel: int = 0) -> Heard:
    """Frame, number and channel of the notes that begin."""
    return [(e.offset, e.number, e.channel) for e in events if e.kind == "on" and channel in (0, e.channel)]


def even(events: list[Event]) -> bool:
    """Whether every note that begins ends, and nothing else ends."""
    sounding: list[tuple[int, int]] = []
    for e in events:
        if e.kind == "on":
            sounding.append((e.channel, e.number))
        elif e.kind == "off":
            sounding.remove((e.channel, e.number))
    return not sounding


@pytest.mark.parametrize("blocks", [None, [1, 7, 100, 256]])
def test_notes_are_on_the_frames_of_their_beats(tmp_path: Path, blocks: Any) -> None:
    events = play(song(tmp_path), 4.5, loop=False, blocks=blocks)
    assert on(events, 1) == [(n * BEAT, 60 + n, 1) for n in range(4)]
    assert on(events, 2) == [(0, 36, 2), (2 * BEAT, 38, 2)]
    assert [(e.offset, e.number) for e in events if e.kind == "program"] == [(0, 0), (0, 33)]
    ends = [(e.offset, e.number) for e in events if e.kind == "off" and e.channel == 2]
    assert ends == [(2 * BEAT, 36), (4 * BEAT, 38)]
    assert even(events)
    kinds = [e.kind for e in events if e.offset == 0]
    assert kinds.index("on") > max(n for n, kind in enumerate(kinds) if kind == "program")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(20, 256), min_size=1, max_size=5), st.data())
def test_any_blocks_give_the_same_events(tmp_path: Path, blocks: list[int], data: st.DataObject) -> None:
    quick = [MidiTrack("", tuple(MidiNote(n / 16, 0.1, 50 + n % 12, 0.5, c) for n in range(24))) for c in (1, 2)]
    path = song(tmp_path, *quick, tempo=[(0.0, 97.0), (0.6, 143.0)])
    names = st.sampled_from(["speed", "transpose", "mute1", "track", "start", "stop", "tempo"])
    values = {
        "speed": st.floats(0.5, 3.0),
        "transpose": st.integers(-5, 5),
        "mute1": st.booleans(),
        "track": st.integers(0, 3),
        "start": st.just(True),
        "stop": st.just(True),
        "tempo": st.sampled_from(["clock", "file"]),
    }
    changes = []
    for at in sorted(data.draw(st.lists(st.integers(0, 15_000), max_size=3))):
        name = data.draw(names)
        changes.append((at, name, data.draw(values[name])))
    settings = {"bar": data.draw(st.sampled_from([0.0, 0.125])), "begin": 0.25, "end": 1.0}
    whole = play(path, 0.75, *changes, **settings)
    assert play(path, 0.75, *changes, blocks=blocks, **settings) == whole


def test_at_its_own_tempo_it_is_where_a_render_puts_it(tmp_path: Path) -> None:
    from antiphon.offline.note_file import read

    path = song(tmp_path, LEAD, tempo=[(0.0, 97.0), (1.5, 143.0)])
    wanted = [(at, event.kind, event.number) for at, event in read(Path(path), RATE).events]
    events = play(path, 6.0, tempo="file", loop=False)
    assert [(e.offset, e.kind, e.number) for e in events] == wanted
    fast = on(play(path, 6.0, tempo="file", loop=False, speed=2.0))
    assert [at for at, _, _ in fast] == [pytest.approx(at / 2, abs=1) for at, kind, _ in wanted if kind == "on"]


def test_it_loops_at_the_end_of_its_last_bar(tmp_path: Path) -> None:
    short = MidiTrack("", (MidiNote(0.0, 0.5, 60), MidiNote(4.5, 0.25, 64)))
    heard = on(play(song(tmp_path, short), 16.5))
    assert heard == [(beat * BEAT // 2, number, 1) for beat, number in ((0, 60), (9, 64), (16, 60), (25, 64), (32, 60))]
    assert on(play(song(tmp_path, short), 20.0, loop=False)) == heard[:2]


def test_a_part_of_it_loops_to_the_sample(tmp_path: Path) -> None:
    events = play(song(tmp_path, LEAD, BASS), 4.0, begin=1.0, end=2.25)
    assert on(events, 1) == [
        (0, 61, 1),
        (BEAT, 62, 1),
        (round(1.25 * BEAT), 61, 1),
        (round(2.25 * BEAT), 62, 1),
        (round(2.5 * BEAT), 61, 1),
        (round(3.5 * BEAT), 62, 1),
        (round(3.75 * BEAT), 61, 1),
    ]
    # the bass note at 2 is cut where the loop ends
    assert (round(1.25 * BEAT), 38) in [(e.offset, e.number) for e in events if e.kind == "off"]


def test_what_is_passed_over_is_sent_when_it_starts_in_the_middle(tmp_path: Path) -> None:
    controls = [MidiControlChange(n / 100, "control", 7, n / 127, 3) for n in range(100)]
    controls += [MidiControlChange(0.0, "program", 12, 0.0, 3), MidiControlChange(0.5, "bend", 0, -1.0, 3)]
    track = MidiTrack("", (MidiNote(2.0, 1.0, 60, 0.5, 3),), None, tuple(controls))
    events = play(song(tmp_path, track), 2.5, begin=2.0, loop=False)
    assert {(e.kind, e.number, round(e.value, 3)) for e in events if e.kind not in ("on", "off")} >= {
        ("program", 12, 0.0),
        ("control", 7, round(99 / 127, 3)),
        ("bend", 0, -1.0),
    }
    assert len([e for e in events if e.offset == 0]) == 4
    assert [e.kind for e in events if e.offset == 0][-1] == "on"
    assert [(e.kind, e.value) for e in events][-1] == ("bend", 0.0)


def test_a_start_waits_for_the_bar_and_a_stop_does_not(tmp_path: Path) -> None:
    path = song(tmp_path, LEAD)
    events = play(path, 9.0, (30_000, "stop", True), (31_000, "start", True), loop=False)
    assert on(events) == [(0, 60, 1), (BEAT, 61, 1), *((n * BEAT, 56 + n, 1) for n in range(4, 8))]
    assert (30_000, "off", 61) in [(e.offset, e.kind, e.number) for e in events]
    at_once = play(path, 2.5, (30_001, "start", True), bar=0.0, loop=False)
    assert on(at_once) == [(0, 60, 1), (BEAT, 61, 1), (30_001, 60, 1), (30_001 + BEAT, 61, 1)]


@pytest.mark.parametrize("values", [{}, {"tempo": "file"}])
def test_a_start_waits_for_a_beat_of_the_bar(tmp_path: Path, values: dict[str, Any]) -> None:
    path = song(tmp_path, LEAD)
    late = on(play(path, 9.0, (round(1.5 * BEAT), "start", True), loop=False, beat=0.75, **values))
    assert [at for at, number, _ in late if number == 60] == [round(0.75 * BEAT), round(4.75 * BEAT)]


def test_parts_channels_and_instruments_are_chosen(tmp_path: Path) -> None:
    def answer(values: str) -> str:
        events = play(song(tmp_path), 4.5, loop=False, **eval(values))
        assert even(events)
        return " ".join(map(str, sorted({channel for _, _, channel in on(events)}))) or "none"

    accepted.compare(__file__, answer)


def test_a_part_that_is_muted_while_it_sounds_ends_there(tmp_path: Path) -> None:
    events = play(song(tmp_path), 4.5, (1000, "mute2", True), (60_001, "mute2", False), loop=False)
    bass = [(e.offset, e.kind, e.number) for e in events if e.channel == 2 and e.kind != "program"]
    assert bass == [(0, "on", 36), (1000, "off", 36)]


def test_a_file_of_one_track_has_its_channels_as_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    track = mido.MidiTrack()
    for channel in (0, 4, 9):
        track += [
            mido.Message("note_on", note=60, velocity=9, channel=channel, time=0),
            mido.Message("note_off", note=60, channel=channel, time=480),
        ]
    mido.MidiFile(type=0, ticks_per_beat=480, tracks=[track]).save(path)
    assert load(path).parts == ("channel 1", "channel 5", "channel 10")
    assert on(play(str(path), 4.0, loop=False, track=2)) == [(BEAT, 60, 5)]


def test_transposed_notes_end_as_they_began_and_drums_stay(tmp_path: Path) -> None:
    events = play(song(tmp_path), 4.5, (100, "transpose", 7), transpose=-1, velocity=0.5, loop=False)
    assert on(events, 1) == [(0, 59, 1), *((n * BEAT, 67 + n, 1) for n in (1, 2, 3))]
    assert {number for _, number, _ in on(events, 10)} == {42}
    assert [e.value for e in events if e.kind == "on" and e.channel == 2] == [pytest.approx(0.5)] * 2
    assert even(events)


def test_a_key_of_two_parts_ends_with_the_later(tmp_path: Path) -> None:
    hands = [MidiTrack(name, (MidiNote(0.0, length, 60, 0.5, 1),)) for name, length in (("right", 4.0), ("left", 1.0))]
    ends = [e.offset for e in play(song(tmp_path, *hands), 4.5, loop=False) if e.kind == "off"]
    assert ends == [4 * BEAT]


class BlockClock:
    """Blocks for a processor whose clock is moved by hand."""

    def __init__(self, path: str, **values: Any) -> None:
        self.node = MidiFile()
        self.cells = harness.prepare(self.node, SPEC, {"file": path, **values})
        for cell in self.cells.values():
            if cell.param.kind not in ("text", "file"):
                cell.render(0, 256)
        self.sample = 0
        self.events: list[Event] = []

    def block(self, beat: float, *, playing: bool = True, tempo: float = 120.0) -> None:
        from antiphon.api import IO

        io = IO([], [], self.cells, BlockTime(self.sample, beat, tempo, playing), 256)
        self.node.process(io)
        self.events += [event.moved(self.sample) for event in io.events_out]
        self.sample += 256

    def run(self, beat: float, beats: float, **keys: Any) -> None:
        for n in range(round(beats * BEAT / 256)):
            self.block(beat + n * 256 / BEAT, **keys)


def test_it_goes_where_the_clock_goes(tmp_path: Path) -> None:
    clock = BlockClock(song(tmp_path, LEAD))
    clock.run(0.0, 1.5)
    first = clock.sample
    clock.run(11.0, 0.5)  # in the third loop
    assert on(clock.events) == [(0, 60, 1), (BEAT, 61, 1), (first, 63, 1)]
    second = clock.sample
    clock.run(0.0, 0.5)
    assert on(clock.events)[3:] == [(second, 60, 1)]


def test_it_stands_while_the_clock_does(tmp_path: Path) -> None:
    for tempo in ("clock", "file"):
        clock = BlockClock(song(tmp_path, LEAD), tempo=tempo)
        clock.run(0.0, 1.28)
        stopped = clock.sample
        for _ in range(100):
            clock.block(1.28, playing=False)
        assert (stopped, "off", 61) in [(e.offset, e.kind, e.number) for e in clock.events]
        again = clock.sample
        clock.run(stopped / BEAT, 1.0)
        assert on(clock.events)[2:] == [(again + 2 * BEAT - stopped, 62, 1)], tempo


def test_a_reset_ends_its_notes_and_begins_again(tmp_path: Path) -> None:
    clock = BlockClock(song(tmp_path, LEAD))
    clock.run(0.0, 1.28)
    clock.node.reset()
    clock.run(1.28, 3.0)
    assert even([e for e in clock.events if e.offset < 2 * BEAT])
    assert on(clock.events)[2:] == [(4 * BEAT, 60, 1)]


def test_a_block_that_is_full_drops_whole_notes_and_counts(tmp_path: Path) -> None:
    crowd = [MidiTrack("", tuple(MidiNote(0.0, 1.0, n, 0.5, channel) for n in range(128))) for channel in range(1, 9)]
    silence = np.zeros((2, 2 * BEAT), np.float32)
    done = render(MidiFile(), SPEC, silence, {"file": song(tmp_path, *crowd), "loop": False})
    begun = len(on(done.events))
    assert MAX_EVENTS // 2 - 64 <= begun <= MAX_EVENTS // 2
    assert done.reports["dropped"] == 1024 - begun
    assert done.reports["parts"] == 8
    assert even(done.events)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_plays_or_is_refused_in_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(Path(song(tmp_path)).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        bad = data.draw(
            st.sampled_from([b"", b"\xff\xff\xff\x7f", b"\0\0\0", b"\xff\x58\4\1\xff"]) | st.binary(max_size=3)
        )
        content[at : at + len(bad) or at + 1] = bad
    path = tmp_path / "bad.mid"
    path.write_bytes(content)
    said, events = "", []
    try:
        events = play(str(path), 0.5, speed=4.0)
    except FileError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 300
    assert len(events) < 0.5 * BEAT / 256 * 1024


def test_a_bar_of_no_length_is_none(tmp_path: Path) -> None:
    meter = mido.MetaMessage("time_signature", numerator=1, denominator=2**40, time=0)
    notes = [mido.Message("note_on", note=60, velocity=9, time=0), mido.Message("note_off", note=60, time=1)]
    mido.MidiFile(type=0, ticks_per_beat=480, tracks=[mido.MidiTrack([meter, *notes])]).save(tmp_path / "a.mid")
    assert load(tmp_path / "a.mid").length == 4.0


def test_without_a_file_it_is_silent_and_a_bad_one_is_a_sentence(tmp_path: Path) -> None:
    assert play("", 1.0) == []
    empty = song(tmp_path, MidiTrack("nothing"))
    with pytest.raises(FileError, match=r"cannot play .*song.mid: there are no notes in it"):
        play(empty, 1.0)
    long = song(tmp_path, MidiTrack("", (MidiNote(0.0, 1.0, 60), MidiNote(300_000.0, 1.0, 60))), tempo=10.0)
    with pytest.raises(FileError, match="it lasts longer than 6 h"):
        play(long, 1.0)
    (tmp_path / "cut.mid").write_bytes(b"MThd\0\0\0\6\0\1\0\2\1\xe0MTrk\0\0\0\4\0\xff\x2f\0MTrk\0")
    with pytest.raises(FileError, match="it is cut short"):
        play(str(tmp_path / "cut.mid"), 1.0)


def test_after_some_loops_it_goes_back_to_where_the_clock_does(tmp_path: Path) -> None:
    clock = BlockClock(song(tmp_path, LEAD))
    clock.run(0.0, 9.5)
    back = clock.sample
    clock.run(2.0, 0.5)
    assert on(clock.events)[10:] == [(back, 62, 1)]
