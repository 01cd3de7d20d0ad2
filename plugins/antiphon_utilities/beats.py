"""The frames of a block on which beats fall."""

from __future__ import annotations

import math

from antiphon.api import BlockTime
from antiphon.api.kernels import f64, i64, kernel

EARLY = 1e-3
"""Frames of tolerance for a beat just before a frame, due to rounding."""
JUMP = 0.05
"""Beats of difference between blocks above which the transport has jumped; a changing tempo causes less."""


def per_frame(time: BlockTime, rate: int) -> float:
    """Beats a frame."""
    return time.tempo / (60.0 * rate)


def frame_of(beat: float, time: BlockTime, rate: int) -> int:
    """The frame of this block, or of one after it, that `beat` falls on; 0 for what is past."""
    return max(0, math.ceil((beat - time.beat) / per_frame(time, rate) - EARLY))


@kernel
def utilities_frame_of(beat: f64, now: f64, per: f64) -> i64:
    """As `frame_of`, of a block that begins at beat `now` and goes on by `per` beats a frame."""
    return max(0, i64(-math.floor(EARLY - (beat - now) / per)))


def next_multiple(quantum: float, time: BlockTime, rate: int, frame: int = 0) -> int:
    """The n of the first n·`quantum` beats that does not fall before `frame`."""
    here = time.beat + ((frame if time.playing else 0) - EARLY) * per_frame(time, rate)
    return math.ceil(here / quantum)
