"""Note F1 by `mir_eval.transcription` (Raffel et al. 2014), and deviations of found notes from the sung ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64, frequency

Notes = Sequence[tuple[float, float, float]]
"""Rows of start and end in seconds, and fractional MIDI number."""
ONSET, CENTS, ENDS = 0.05, 50.0, 0.2
"""Tolerances: onset in seconds, pitch in cents, end as a share of the note's length."""


def note_f1(reference: NDArray[np.floating], found: Notes, ends: float | None = None) -> float:
    """F1 of notes `[n, 3]`, 0 to 1: onset within `ONSET`, pitch within `CENTS`.

    Found notes of zero length, or with onsets before 0, are left out. `ends`: tolerance of a note's end as a share of
    its length, at least 50 ms; None to ignore ends.
    """
    from mir_eval.transcription import match_notes

    valid = [note for note in found if note[1] > note[0] >= 0.0]
    if not valid or not len(reference):
        return 0.0
    notes, sung = np.array(valid, np.float64), np.asarray(reference, np.float64)
    rows = (part for one in (sung, notes) for part in (one[:, :2], frequency(one[:, 2])))
    matched = match_notes(*rows, onset_tolerance=ONSET, pitch_tolerance=CENTS, offset_ratio=ends)
    return 2.0 * len(matched) / (len(sung) + len(notes))


def nearest_start_distances(reference: F64, found: Notes, most: float = 0.25) -> list[float]:
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
