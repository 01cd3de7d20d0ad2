"""Where the players' beats are in a file: on its beats, beside them by one offset, or not steady."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from antiphon.files.scores import midifile
from antiphon.files.scores.midi_song import MidiNote, MidiSong, MidiTrack, beat_offset
from antiphon.offline import note_file

Notes = list[tuple[float, float, int]]
CHORDS = ((48, 64, 67, 72), (45, 60, 64, 69), (41, 60, 65, 69), (43, 59, 62, 67))
FOUR, NONE = [(4, 4)], [(1, 4)]


def pop(bars: int = 24) -> Notes:
    """A bass of long notes, a chord a beat, and a melody of eighths and sixteenths, in bars of four from 0 on."""
    notes: Notes = []
    for bar in range(bars):
        at, (bass, *chord) = 4.0 * bar, CHORDS[bar % 4]
        notes += [(at, at + 2.4, bass), (at + 2.5, at + 4.0, bass)]
        notes += [(at + beat, at + beat + 0.9, key) for beat in range(4) for key in chord]
        line = [(0.0, 1.5), (1.5, 2.0), (2.0, 2.5), (2.5, 2.75), (2.75, 3.0), (3.0, 4.0)]
        notes += [(at + a, at + b, chord[n % 3] + 12) for n, (a, b) in enumerate(line)]
    return notes


def played(notes: Notes, late: float = 0.0, off: float = 0.012) -> Notes:
    """The notes later by so many beats, and each off by chance."""
    by = late + np.random.default_rng(1).normal(0.0, off, len(notes))
    return [(max(0.0, a + x), max(0.0, b + x), key) for (a, b, key), x in zip(notes, by.tolist(), strict=True)]


def swung(notes: Notes) -> Notes:
    def at(beat: float) -> float:
        return float(beat // 1.0 + np.interp(beat % 1.0, (0.0, 0.5, 1.0), (0.0, 2.0 / 3.0, 1.0)))

    return [(at(a), at(b), key) for a, b, key in notes]


def alike(notes: Notes) -> Notes:
    return [(a, a + 0.1, key) for a, _, key in notes]


def drums() -> Notes:
    strokes = ((0.0, 36), (1.0, 38), (1.75, 36), (2.0, 36), (3.0, 38), *((n / 2.0, 42) for n in range(8)))
    return [(4.0 * bar + at, 4.0 * bar + at + 0.1, key) for bar in range(24) for at, key in strokes]


def skank() -> Notes:
    """Chords off the beats alone."""
    return [(beat + 0.5, beat + 0.75, key) for beat in range(96) for key in CHORDS[beat // 4 % 4][1:]]


def pickup() -> Notes:
    return [(0.5, 1.0, 67), (1.0, 1.5, 69), (1.5, 2.0, 71), *((a + 2.0, b + 2.0, key) for a, b, key in pop())]


def compound() -> Notes:
    """Bars of 6/8, whose beats are three eighths."""
    rhythm = ((0.0, 1.0), (1.0, 1.5), (1.5, 2.5), (2.5, 3.0))
    return [(3.0 * bar + a, 3.0 * bar + b, CHORDS[bar % 4][1] + 12) for bar in range(40) for a, b in rhythm]


@pytest.mark.parametrize("make", [lambda notes: notes, played])
def test_notes_on_the_beats_of_the_file_are_left_there(make: Callable[[Notes], Notes]) -> None:
    for notes in (pop(), swung(pop()), alike(pop()), drums(), skank(), pickup(), pop()[:12], pop()[5:8]):
        assert beat_offset(make(notes), FOUR) == 0.0
        assert beat_offset(make(notes), []) == 0.0


@pytest.mark.parametrize("make", [lambda notes: notes, played])
def test_threes_are_on_the_beats_of_a_compound_meter(make: Callable[[Notes], Notes]) -> None:
    assert beat_offset(make(compound()), [(6, 8)]) == 0.0


@pytest.mark.parametrize("late", [0.13, 0.3, 0.36, 0.52, 0.77, 1.25, 2.6, 3.9])
def test_one_offset_is_found_with_the_bars(late: float) -> None:
    assert beat_offset(played(pop(), late), NONE) == pytest.approx(late, abs=0.02)


def test_bars_of_the_file_stay_unless_its_beats_are_of_no_use() -> None:
    for late, found in ((0.13, 0.13), (-0.1, -0.1), (0.3, 0.3), (1.36, 1.36), (2.77, 2.77), (3.1, 0.1)):
        assert beat_offset(played(pop()[20:], late), FOUR) == pytest.approx(found, abs=0.02)


def test_lengths_that_are_all_alike_leave_it_to_how_many_notes_there_are() -> None:
    for late in (0.3, 0.62):
        assert beat_offset(played(alike(pop()), late), NONE) == pytest.approx(late, abs=0.02)


def test_bars_of_three_keep_their_bars() -> None:
    waltz = [
        (3.0 * bar + at + 0.3, 3.0 * bar + at + 0.3 + length, CHORDS[bar % 4][n])
        for bar in range(40)
        for n, (at, length) in enumerate(((0.0, 2.8), (1.0, 0.8), (2.0, 0.8), (2.5, 0.4)))
    ]
    assert beat_offset(played(waltz), [(3, 4)]) == pytest.approx(0.3, abs=0.02)


def test_a_performance_without_steady_beats_has_none() -> None:
    beats = np.cumsum(1.0 + 0.15 * np.sin(np.arange(120) / 5.0))
    rubato = [
        (float(np.interp(a, range(120), beats)), float(np.interp(b, range(120), beats)), key) for a, b, key in pop()
    ]
    assert beat_offset(rubato, FOUR) is None


@pytest.mark.parametrize(
    ("late", "upper", "begins"),
    [(0.0, 4, 0.0), (-0.1, 4, 0.1), (0.1, 4, 3.9), (1.3, 4, 2.7), (0.3, 1, 3.7), (3.5, 1, 0.5)],
)
def test_the_clock_of_a_file_begins_within_a_bar(tmp_path: Path, late: float, upper: int, begins: float) -> None:
    notes = [MidiNote(a, b - a, key) for a, b, key in played(pop()[20:], late)]
    midifile.write(tmp_path / "a.mid", [MidiTrack("", tuple(notes))], 100.0, signatures=[(0.0, upper, 4)])
    assert note_file.read(tmp_path / "a.mid", 48000).begins == pytest.approx(begins, abs=0.02)


def test_pitched_notes_tell_the_beats_of_a_song_with_drums() -> None:
    def of(*parts: tuple[Notes, int]) -> float | None:
        tracks = tuple(
            MidiTrack("", tuple(MidiNote(a, b - a, key, 0.7, channel) for a, b, key in notes))
            for notes, channel in parts
        )
        return MidiSong(tracks, signatures=((0.0, 1, 4),)).beat_offset_of_notes()

    band = (played(pop(), 0.3), 1), (played(drums(), 0.3), 10)
    assert of(*band) == pytest.approx(0.3, abs=0.02)
    assert of(*band) == of(band[0])
    assert of(band[1]) == pytest.approx(beat_offset(band[1][0], NONE) or 0.0)
