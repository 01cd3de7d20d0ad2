"""What is asked of a frame in training: place in the bar and tempo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon_follow.evidence import FRAMES_PER_SECOND, PLACES, TEMPOS

FIT, SETTLED = "123456", 3.0
"""Last digits of the songs that are trained on; seconds at the beginning of a performance that are not."""
OF_FOUR: tuple[int, ...] = (0, 1, 2, 3)
OF_THREE: tuple[int, ...] = (0, 1, 3)
"""Beats of a bar of four that those of bars of four and three are."""


def places_of(downs: F64) -> NDArray[np.int64]:
    """Place in its bar of each beat; -1 before the first bar."""
    at, firsts = np.arange(len(downs)), np.flatnonzero(downs)
    before = np.searchsorted(firsts, at, "right") - 1
    return np.where(before < 0, -1, at - firsts[np.maximum(before, 0)])


def labels(beats: F64, downs: F64, frames: int, numbers: tuple[int, ...] = OF_FOUR) -> tuple[F64, F64]:
    """Place in a bar of four and tempo of each frame; -1 where there is none.

    `numbers`: beats of a bar of four that the beats of a bar are.
    """
    at = np.arange(frames) / FRAMES_PER_SECOND
    beat = np.clip(np.searchsorted(beats, at, "right") - 1, 0, len(beats) - 2)
    number, length = places_of(downs)[beat], np.diff(beats)[beat]
    known = (number >= 0) & (number < len(numbers)) & (at >= max(SETTLED, beats[0])) & (at < beats[-1])
    number = np.array(numbers)[np.clip(number, 0, len(numbers) - 1)]
    place = np.round((number + (at - beats[beat]) / length) * PLACES / 4.0) % PLACES
    return np.where(known, place, -1.0), 60.0 / length


def octaves(bpm: F64) -> F64:
    """Places of tempos among `TEMPOS`."""
    return np.asarray(np.log(np.clip(bpm, TEMPOS[0], TEMPOS[-1]) / TEMPOS[0]) / np.log(TEMPOS[1] / TEMPOS[0]))
