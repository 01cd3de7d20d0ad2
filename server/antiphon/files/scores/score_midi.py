"""A score in MusicXML as the content of a MIDI file: its tracks, dynamics, swing, quarter tones, bars and lyrics."""

from collections.abc import Callable, Iterator, Sequence

from antiphon.files.scores.midi_song import MidiControlChange, MidiNote, MidiSong, MidiTrack
from antiphon.files.scores.midi_sysex import DRUMS
from antiphon.files.scores.written_score import Score, ScoreNote, ScorePart

_MOST_BEATS = 255
"""The largest number of beats of a bar that a MIDI file states."""
_BEND_RANGE = 2.0
"""Semitones of a full bend, where a file states none."""
_KEYS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
"""Names of key signatures from seven flats to seven sharps."""


def song_of(score: Score) -> MidiSong:
    """The score as it is played: a track for each staff, and the bars in playing order.

    A bar that a repeat sign divides counts as one. Notes with quarter tones are on a channel of their own.
    """
    tracks, place = list[MidiTrack](), -1
    swung = _swing(score)
    for part in (part for part in score.parts if part.notes):
        rows = [note for note in part.notes if note.length]
        for bent in sorted({bool(note.bend) for note in rows}):
            place += 1
            channel = place % 15 + 1
            own = [note for note in rows if bool(note.bend) == bent]
            tracks += _tracks(part, own, channel + (channel > DRUMS), swung)
    lyrics = [(swung(n.start), "lyrics", n.syllable) for part in score.parts for n in part.notes if n.syllable]
    return MidiSong(
        tuple(tracks),
        tuple(score.tempo),
        length=score.length,
        signatures=tuple(_signatures(score)),
        texts=tuple(sorted(lyrics)),
        keys=tuple((at, _KEYS[sharps + 7]) for at, sharps in score.keys),
    )


def _tracks(
    part: ScorePart, rows: Sequence[ScoreNote], channel: int, swung: Callable[[float], float]
) -> Iterator[MidiTrack]:
    for staff in sorted({note.staff for note in rows}):
        notes, bends = list[MidiNote](), dict[float, MidiControlChange]()
        for note in (note for note in rows if note.staff == staff):
            start = swung(note.start)
            length = (swung(note.end) - start) * note.held
            on = DRUMS + 1 if note.drum else channel
            notes.append(MidiNote(start, length, note.number, note.velocity, channel=on))
            if note.bend:
                bends[start] = MidiControlChange(start, "bend", 0, note.bend / _BEND_RANGE, channel)
        yield MidiTrack(part.name, tuple(notes), part.program, tuple(bends.values()))


def _swing(score: Score) -> Callable[[float], float]:
    """Function that returns where a position in quarters is played: the second of two swung notes later."""

    def swung(quarter: float) -> float:
        begun = ((share, unit) for at, share, unit in reversed(score.swing) if at <= quarter + 1e-6)
        share, unit = next(begun, (0.5, 1))
        one = score.measures[score.measure_at(quarter)]
        inside = (quarter - one.start + one.before) % (2 * unit)
        return quarter + (2 * share - 1) * unit if abs(inside - unit) < 1e-3 else quarter

    return swung if score.swing else lambda quarter: quarter


def _signatures(score: Score) -> Iterator[tuple[float, int, int]]:
    bars: list[tuple[float, float, int]] = []
    for one in score.measures:
        upper, lower = one.meter
        if bars and bars[-1][1] < 4.0 * upper / lower >= bars[-1][1] + one.length - 1e-6:
            bars[-1] = (bars[-1][0], bars[-1][1] + one.length, lower)
        else:
            bars.append((one.start, one.length, lower))
    before = (0, 0)
    for start, length, written in bars:
        unit = written if written.bit_count() == 1 else 4  # MIDI counts in powers of 2, up to 255 of them
        lower = next((n for n in (unit, 8, 16, 32) if n >= unit and (length * n / 4.0).is_integer()), 64)
        while length * lower / 4.0 > _MOST_BEATS and lower > 1:
            lower //= 2
        upper = min(_MOST_BEATS, max(1, round(length * lower / 4.0)))
        if before != (upper, lower):
            yield start, upper, lower
        before = upper, lower
