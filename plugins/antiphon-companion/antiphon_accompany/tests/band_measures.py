"""What is measured of a band: whether each part plays the chords that are given, and how styles and players differ."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from antiphon_accompany.band.parts import BeatNote
from antiphon_accompany.harmony.chords import tones

OFF_GRID = (0.003, 0.040)
"""Seconds off the grid at which an onset counts as played by a hand."""
GRID = 12
"""Places of a beat to which onsets are rounded: sixteenths and triplets."""
_FIT = 1e-6


def fitting(notes: Sequence[BeatNote], chords: Sequence[int]) -> float:
    """Share of the beats with notes in which none of the 24 triads fits them better than the given one."""
    good = total = 0
    for beat, given in enumerate(chords):
        inside = [n for n in notes if n.start < beat + 1 and n.end > beat + 0.1]
        if given < 0 or not inside:
            continue
        weights = np.zeros(12)
        for note in inside:
            weights[note.pitch % 12] += min(note.end, beat + 1) - max(note.start, beat)
        fits = [weights[list(tones(c))].sum() for c in range(24)]
        good += bool(fits[given] >= max(fits) - _FIT)
        total += 1
    return good / total if total else math.nan


def shared_notes(ours: Sequence[BeatNote], theirs: Sequence[BeatNote]) -> float:
    """Share of the notes of two bands that both have: part, place and key."""
    one, two = (Counter((n.part, round(n.start * GRID), n.pitch) for n in notes) for notes in (ours, theirs))
    return 2.0 * sum((one & two).values()) / max(1, sum(one.values()) + sum(two.values()))


def off_grid(notes: Sequence[BeatNote], tempo: float) -> float:
    """Share of the onsets that are 3 to 40 ms off the nearest sixteenth or triplet."""
    beats = np.array([n.start for n in notes])
    away = np.minimum(*(np.abs(beats * n - np.round(beats * n)) / n for n in (4, 3))) * 60.0 / tempo
    return float(np.mean((away >= OFF_GRID[0]) & (away <= OFF_GRID[1])))


def velocity_deviation(notes: Sequence[BeatNote]) -> float:
    """Standard deviation of the velocities, 0 to 127, within each part; the parts' mean."""
    parts: Mapping[str, list[float]] = {n.part: [] for n in notes}
    for note in notes:
        parts[note.part].append(127.0 * note.velocity)
    return float(np.mean([np.std(values) for values in parts.values()]))
