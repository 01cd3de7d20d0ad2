"""Danceability by detrended fluctuation analysis: how the level's fluctuation grows with the span that is looked at.

Streich and Herrera, "Detrended fluctuation analysis of music signals: danceability estimation and further semantic
characterization", AES 118 (2005). A beat bounds the fluctuation of the summed level at spans longer than it: the
exponent falls. Without a beat the sum wanders, and the exponent stays high.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64

BLOCK = 0.01
"""Seconds whose standard deviation is one number."""
SHORTEST, LONGEST, FACTOR = 0.31, 8.8, 1.1
"""Seconds of the first and the last span, and from one to the next."""


def exponent(levels: NDArray[np.floating]) -> float | None:
    """The mean scaling exponent over all spans of which the sound holds two or more.

    About .5 for levels (the standard deviation of each `BLOCK`) that are independent, 1.5 for levels that wander, less
    than .5 where a beat repeats; None for sound that is too short or does not fluctuate.
    """
    walk = np.cumsum(np.asarray(levels, np.float64) - np.mean(levels)) if len(levels) else np.zeros(0)
    spans, fluctuations = [], []
    span = SHORTEST / BLOCK
    while span <= LONGEST / BLOCK and 2 * int(span) <= len(walk):
        spans.append(int(span))
        fluctuations.append(_fluctuation(walk, int(span)))
        span *= FACTOR
    if len(spans) < 2 or min(fluctuations) <= 1e-12:
        return None
    size = np.array(spans) + 3.0
    slopes = np.diff(np.log(fluctuations)) / np.diff(np.log(size))
    return float(slopes.mean())


def _fluctuation(walk: F64, span: int) -> float:
    """The root of the mean square distance from the straight line of each span."""
    rows = walk[: len(walk) // span * span].reshape(-1, span)
    time = np.arange(span) - (span - 1) / 2.0
    even = rows - rows.mean(axis=1, keepdims=True)
    slope = even @ time / (time @ time)
    return float(np.sqrt(((even - slope[:, None] * time) ** 2).sum(axis=1).mean() / (span - 1)))
