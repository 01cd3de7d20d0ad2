"""Where beats fall within a block: the frames that what plays on the clock begins at."""

from __future__ import annotations

import math

from antiphon.api import BlockTime

EARLY = 1e-3
"""Frames by which a beat may lie before a frame and still fall on it: what rounding leaves."""
JUMP = 0.05
"""Beats. What the clock is off by between blocks, while a tempo changes, is less; more is a jump of the transport."""


def per_frame(time: BlockTime, rate: int) -> float:
    """Beats a frame."""
    return time.tempo / (60.0 * rate)


def frame_of(beat: float, time: BlockTime, rate: int) -> int:
    """The frame of this block, or of one after it, that `beat` falls on; 0 for what is past."""
    return max(0, math.ceil((beat - time.beat) / per_frame(time, rate) - EARLY))


def next_multiple(quantum: float, time: BlockTime, rate: int, frame: int = 0) -> int:
    """The n of the first n·`quantum` beats that does not fall before `frame`."""
    here = time.beat + ((frame if time.playing else 0) - EARLY) * per_frame(time, rate)
    return math.ceil(here / quantum)
