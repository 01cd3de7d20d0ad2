"""The pitch and the level of a candidate: a segment of pitched sound that may be a note."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64

SETTLED, FALLING = 0.45, 0.1
"""Parts of the known sustain, at its start and at its known end, that are left out of the note's pitch."""
MIN_VOICED = 6
"""Least number of voiced hops of a note: 32 to 35 ms."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a candidate when it has to be decided on.

    `pitch`: median of its sustain, a MIDI number; `level`: level of its loudest hop, dB.
    """

    pitch: float
    level: float


def candidate(pitches: F64, sustain: NDArray[np.bool_], levels: F64, whole: bool) -> Candidate | None:
    """The candidate of `n` known hops of pitch (0: unvoiced), whether they are past the attack, and level in dB.

    None where fewer than `MIN_VOICED` are voiced. `whole`: it ends within these hops.
    """
    voiced = pitches > 0.0
    if np.count_nonzero(voiced) < MIN_VOICED:
        return None
    sustained = voiced & sustain
    chosen = pitches[sustained] if np.count_nonzero(sustained) >= 4 else pitches[voiced]
    begin, end = int(SETTLED * len(chosen)), len(chosen) - (int(FALLING * len(chosen)) if whole else 0)
    return Candidate(_median(chosen[begin:end]), float(levels.max()))


def _median(values: F64) -> float:
    """The median. `numpy.median` imports a package at its first call, and this runs on the block path."""
    ordered, middle = np.sort(values), len(values) // 2
    return float(ordered[middle]) if len(values) % 2 else 0.5 * float(ordered[middle - 1] + ordered[middle])
