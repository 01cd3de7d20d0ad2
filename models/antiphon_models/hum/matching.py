"""Note F1 as in `mir_eval.transcription` (Raffel et al. 2014): the largest one-to-one matching of notes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from antiphon.api import F64

Notes = Sequence[tuple[float, float, float]]
"""Rows of start and end in seconds, and fractional MIDI number."""
ONSET, CENTS, ENDS = 0.05, 50.0, 0.2
"""Tolerances: seconds of a start, cents of a pitch, share of a note's length of its end."""
MIN_END_TOLERANCE = 0.05
"""Minimum tolerance in seconds of an end."""
DECIMALS = 4
"""Decimal places of rounded distances in seconds, as in mir_eval."""


def note_f1(reference: NDArray[np.floating], found: Notes, ends: float | None = None) -> float:
    """F1 of notes `[n, 3]`, 0 to 1: onset within `ONSET`, pitch within `CENTS`.

    Found ones of no length, and those that begin before 0, are left out. `ends`: share of a note's length its end may
    be off by, at least `MIN_END_TOLERANCE`; None to ignore ends.
    """
    valid = [note for note in found if note[1] > note[0] >= 0.0]
    if not valid or not len(reference):
        return 0.0
    notes = np.array(valid, np.float64)
    fits = np.round(np.abs(reference[:, None, 0] - notes[None, :, 0]), DECIMALS) <= ONSET
    fits &= 100.0 * np.abs(reference[:, None, 2] - notes[None, :, 2]) <= CENTS
    if ends is not None:
        allowed = np.maximum(ends * (reference[:, 1] - reference[:, 0]), MIN_END_TOLERANCE)
        fits &= np.round(np.abs(reference[:, None, 1] - notes[None, :, 1]), DECIMALS) <= allowed[:, None]
    return 2.0 * largest_matching(fits) / (len(reference) + len(notes))


def largest_matching(fits: NDArray[np.bool_]) -> int:
    """Size of the largest bipartite matching of fitting rows and columns."""
    return int((maximum_bipartite_matching(csr_array(fits)) >= 0).sum())


def offset_of(reference: F64, found: Notes, most: float = 0.25) -> list[float]:
    """Distance in seconds of each start in `reference` to the nearest found start, where within `most`."""
    if not len(found):
        return []
    starts = np.array([note[0] for note in found])
    nearest = [float(starts[np.argmin(np.abs(starts - at))] - at) for at in reference[:, 0]]
    return [apart for apart in nearest if abs(apart) <= most]


def tuning_of(reference: F64, found: Notes) -> float:
    """Median distance in semitones of found pitches from those of `reference` with the same start; 0 for none."""
    apart = []
    for start, _, pitch in reference:
        near = [(abs(at - start), number - pitch) for at, _, number in found if abs(at - start) <= 2 * ONSET]
        if near and abs(min(near)[1]) < 2.0:
            apart.append(min(near)[1])
    return float(np.median(apart)) if apart else 0.0
