"""Harmony of a MIDI file: finds the chords of its notes beat by beat, and keeps an accompaniment free of clashes."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon_accompany.band.parts import BeatNote
from antiphon_accompany.files.offline import Section
from antiphon_accompany.harmony.chords import Chord
from antiphon_accompany.harmony.chordtext import ChordSpan

FILE = "file"
"""Value of `chords` that selects the file's harmony."""
MIN_CHORD_SHARE = 0.25
"""Minimum share of a file's time with a chord."""
_GRID, _FINE = 4, 24
"""Places per quarter note for finding chords, and for finding clashes."""
_KINDS = {"": 0.0, "m": 0.0, "7": 0.12, "m7": 0.12, "dim": 0.1, "m7b5": 0.2, "dim7": 0.2, "sus4": 0.15, "sus2": 0.15}
"""Chord types that are detected, with their costs: the types without a semitone between tones."""
_BESIDE, _AWAY = 1.0, 0.5
"""Costs of sound a semitone from a chord tone, and of other sound outside the chord."""
_ROOT = 0.25
"""Bonus for a chord whose root is the lowest note."""
_CHANGE = {True: 0.2, False: 0.45}
"""Costs of a chord change, on the first beat of a bar and on others."""
Notes = Sequence[BeatNote]


def has_harmony(melody: Notes, others: Notes) -> bool:
    """Whether the other parts play several notes at once, or three with the melody, for part of the time."""
    beside, every = ((_classes(notes) > 0).sum(axis=1) for notes in (others, [*melody, *others]))
    chords = every > 2
    chords[: len(beside)] |= beside > 1
    return bool(chords.sum() > MIN_CHORD_SHARE * max(1, int(np.count_nonzero(every))))


def chords_of(notes: Notes, parts: Sequence[Section], end: float) -> list[ChordSpan]:
    """Chords of notes, in quarter notes, at the beats of their bars; None in rests."""
    found: list[ChordSpan] = []
    classes, lowest = _classes(notes), _lowest(notes)
    beats: list[tuple[float, float, bool]] = []
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        stop = end if after is None else after.start
        at, number = part.start, 0
        while at < stop - 1e-6:
            beats.append((max(0.0, at), min(stop, at + part.unit), number % part.meter == 0))
            at, number = at + part.unit, number + 1
    chords = [Chord(root, kind, root) for kind in _KINDS for root in range(12)]
    member = np.array([[pitch in chord.tones for pitch in range(12)] for chord in chords], np.float64)
    beside = (1.0 - member) * np.maximum(np.roll(member, 1, axis=1), np.roll(member, -1, axis=1))
    gains = member - _BESIDE * beside - _AWAY * (1.0 - member - beside)
    cost = np.array([_KINDS[chord.kind] for chord in chords])
    roots = np.eye(12)[[chord.root for chord in chords]]
    score, back = np.zeros(len(chords)), []
    for start, stop, first in beats:
        place = slice(round(start * _GRID), max(round(start * _GRID) + 1, round(stop * _GRID)))
        here = classes[place].sum(axis=0)
        total = float(here.sum())
        best = int(score.argmax())
        moved = float(score[best]) - _CHANGE[first]
        back.append((np.where(score >= moved, np.arange(len(chords)), best), total > 0.0))
        score = np.maximum(score, moved)
        if total > 0.0:
            low = lowest[place]
            score = (
                score
                + gains @ (here / total)
                - cost
                + _ROOT * (roots @ np.bincount(low[low >= 0], minlength=12) / max(1, int(np.count_nonzero(low >= 0))))
            )
    state = int(score.argmax())
    for (start, stop, _), (before, sounds) in zip(reversed(beats), reversed(back), strict=True):
        found.append(ChordSpan(start, stop, chords[state] if sounds else None))
        state = int(before[state])
    return found[::-1]


def key_of(spans: Sequence[ChordSpan]) -> int:
    """Returns the key, 0 to 23, whose scale holds most chord tones; between equals, the longest tonic triad."""
    degrees = {0: (0, 2, 4, 5, 7, 9, 11), 1: (0, 2, 3, 5, 7, 8, 10)}

    def fit(key: int) -> float:
        scale = {(key + degree) % 12 for degree in degrees[key // 12]}
        within = sum((s.end - s.start) * len(scale.intersection(s.chord.tones)) for s in spans if s.chord)
        return within + 0.1 * sum(s.end - s.start for s in spans if s.chord and s.chord.triad == key)

    return max(range(24), key=fit)


def extract_top_line(notes: Notes) -> list[BeatNote]:
    """Returns the notes that begin above all sounding ones: the melody, where one track has melody and chords."""
    top = np.zeros(round(max((note.end for note in notes), default=0.0) * _FINE) + 2, np.int64)
    for note in notes:
        part = top[round(note.start * _FINE) : max(round(note.start * _FINE) + 1, round(note.end * _FINE))]
        np.maximum(part, note.pitch, out=part)
    return [note for note in notes if note.pitch >= top[round(note.start * _FINE)]]


def remove_clashes(notes: Notes, given: Notes) -> list[BeatNote]:
    """Returns the accompaniment without notes a semitone from the file's notes.

    A note that would begin so moves to a neighbouring note of the file, or is left out; others end before the clash.
    """
    classes = _classes(given, _FINE) > 0
    kept = []
    for note in notes:
        if note.part == "drums":
            kept.append(note)
            continue
        inside = classes[math.floor(note.start * _FINE) : math.ceil(note.end * _FINE)]
        pitch = note.pitch
        if len(inside) and _has_semitone_clash(inside[0], pitch):
            near = [
                by
                for by in (-1, 1, -2, 2)
                if inside[0][(pitch + by) % 12] and not _has_semitone_clash(inside[0], pitch + by)
            ]
            if not near:
                continue
            pitch += near[0]
        later = next((n for n, row in enumerate(inside) if n and _has_semitone_clash(row, pitch)), None)
        end = note.end if later is None else min(note.end, (math.floor(note.start * _FINE) + later) / _FINE)
        kept.append(note._replace(pitch=pitch, end=end))
    return kept


def _has_semitone_clash(sounding: NDArray[np.bool_], pitch: int) -> bool:
    return bool(sounding[(pitch + 1) % 12] or sounding[(pitch - 1) % 12])


def _classes(notes: Notes, grid: int = _GRID) -> NDArray[np.float64]:
    """Sounding share of each pitch class at each place of the grid, `[places, 12]`."""
    last = max((note.end for note in notes), default=0.0)
    table = np.zeros((round(last * grid) + 2, 12))
    for note in notes:
        first = round(note.start * grid)
        table[first : max(first + 1, round(note.end * grid)), note.pitch % 12] += 1.0
    return table


def _lowest(notes: Notes) -> NDArray[np.int64]:
    """Pitch class of the lowest note per sixteenth; -1 in rests."""
    last = max((note.end for note in notes), default=0.0)
    low = np.full(round(last * _GRID) + 2, 128)
    for note in notes:
        first = round(note.start * _GRID)
        part = low[first : max(first + 1, round(note.end * _GRID))]
        np.minimum(part, note.pitch, out=part)
    return np.where(low < 128, low % 12, -1)
