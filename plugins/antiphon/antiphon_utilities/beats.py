"""Frames of beats within a block."""

from __future__ import annotations

import math

from antiphon.api import BlockTime
from antiphon.api.kernels import f64, i64, kernel

EARLY = 1e-3
"""Frames of tolerance for a beat just before a frame, due to rounding."""
JUMP_BEATS = 0.05
"""Minimum difference in beats between blocks that counts as a transport jump; a changing tempo causes less."""


def per_frame(time: BlockTime, rate: int) -> float:
    """Beats per frame."""
    return time.tempo / (60.0 * rate)


def frame_of(beat: float, time: BlockTime, rate: int) -> int:
    """First frame of this block, or of a later one, at or after `beat`; 0 for a past beat."""
    return max(0, math.ceil((beat - time.beat) / per_frame(time, rate) - EARLY))


@kernel
def utilities_frame_of(beat: f64, now: f64, per: f64) -> i64:
    """`frame_of` as a kernel, for a block that begins at beat `now` and advances by `per` beats a frame."""
    return max(0, i64(-math.floor(EARLY - (beat - now) / per)))


def next_multiple(quantum: float, time: BlockTime, rate: int, frame: int = 0) -> int:
    """Smallest n such that n·`quantum` beats do not fall before `frame`."""
    here = time.beat + ((frame if time.playing else 0) - EARLY) * per_frame(time, rate)
    return math.ceil(here / quantum)
