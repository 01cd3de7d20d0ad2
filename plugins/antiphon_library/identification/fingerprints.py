"""Pairs of landmarks as 32-bit hashes (after Wang, 2003)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME = 0.025
"""Seconds, the resolution of times."""
NEAREST, FARTHEST = 3, 56
"""Frames from the first landmark of a pair to the second."""
STORED, ASKED = 4, 5
"""Pairs that a landmark begins, with those that follow first: of a catalogued sound, and of one to be identified,
of which noise hides and adds some."""
ASKED_AT_SPEED = 2
"""The same at each of the other speeds, which are many."""
_BINS, _LINEAR = 40.0, 60.0
"""Bins of an octave well above so many Hz; below it they are evenly spaced, as far as the spectrum resolves."""
_LEAP = 48
"""Bins by which two landmarks of a pair differ less."""
_SPAN, _TIMES = 128, 64
U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


def hashes(seconds: F64, hertz: F64, pairs: int, speed: float = 1.0) -> tuple[U32, I64]:
    """Hashes of pairs of landmarks and their frames, of `FRAME` seconds.

    A hash is of the first one's pitch, the interval, and the time between. `seconds` ascend; each landmark begins
    `pairs` at most; the sound is taken to be played `speed` times as fast as it was recorded.
    """
    bins = np.rint(_BINS * np.log2(1.0 + hertz / (speed * _LINEAR))).astype(np.int64)
    frames = np.rint(seconds * (speed / FRAME)).astype(np.int64)
    begun = np.zeros(len(frames), np.int64)
    found: list[I64] = []
    times: list[I64] = []
    for step in range(1, len(frames)):
        apart = frames[step:] - frames[:-step]
        if apart.min() > FARTHEST:
            break
        interval = bins[step:] - bins[:-step]
        good = (apart >= NEAREST) & (apart <= FARTHEST) & (np.abs(interval) < _LEAP) & (begun[:-step] < pairs)
        first = np.flatnonzero(good)
        begun[first] += 1
        found.append((bins[first] * _SPAN + interval[first] + _SPAN // 2) * _TIMES + apart[first])
        times.append(frames[first])
    if not found:
        return np.zeros(0, np.uint32), np.zeros(0, np.int64)
    return np.concatenate(found).astype(np.uint32), np.concatenate(times)
