"""The 44 frequency bands of the spectral gate, at least 1 ERB apart in scale, shared by training and the processor."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

COUNT = 44
HOP = 384
"""Frames between two spectra at 48 kHz."""
BINS = 1025
BIN_HZ = 23.4
_FIRST, _LAST = 1.0, 960.0


def _chain(stretch: float) -> list[float]:
    """Band centres in bins, each `stretch` equivalent rectangular bandwidths, at least two bins, above the last."""
    centres = [_FIRST]
    while centres[-1] < _LAST:
        hertz = centres[-1] * BIN_HZ
        bandwidth = 24.7 * (4.37e-3 * hertz + 1.0) / BIN_HZ
        centres.append(centres[-1] + max(2.0, stretch * bandwidth))
    return centres


@cache
def centres() -> NDArray[np.float64]:
    """Band centres, float64 `[COUNT]`, in whole bins of `BIN_HZ`; read-only, as they are found once."""
    low, high = 0.05, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if len(_chain(middle)) > COUNT else (low, middle)
    found = np.round(_chain(high))
    found.flags.writeable = False
    return found


def places(bins: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where each of `bins` bins lies between two band centres, for linear interpolation.

    `[bins]` the index of the band centre below, 0 to `COUNT` - 2, and the fraction of the way to the next, 0 to 1.
    """
    middle = centres()
    at = np.clip(np.arange(bins), middle[0], middle[-1])
    below = np.clip(np.searchsorted(middle, at, side="right") - 1, 0, COUNT - 2)
    fraction = (at - middle[below]) / (middle[below + 1] - middle[below])
    return below.astype(np.int64), fraction.astype(np.float32)
