"""What both forms of the learned modes' networks, torch's and numpy's, are built of: constants and fixed matrices."""

from __future__ import annotations

from functools import cache

import numpy as np

from antiphon.api import F32, F64
from antiphon_denoise.bands import BINS, COUNT, places
from antiphon_denoise.learned.spec import GROUP, SINGLE, UNITS, first_bins

SHORT, LONG, LEVEL = 0.5, 0.97, 0.99
"""Share of the hop before in the two smoothed spectra, and its weight in the mean power."""
BLOCK, BLOCKS = 48, 3
"""The floor is the lowest of this block of hops and of so many whole ones before it: 1.2 to 1.5 s."""
PAST = BLOCKS + 1
NO_FLOOR = 50.0
QUIET, QUIETEST_MEAN = 1e-10, 1e-9
FEATURES, DETAILS = 9, 9
LOWEST_DETAIL, HIGHEST_DETAIL, DETAIL_SCALE = -9.0, 6.0, 1.0 / 3.0
_ANY = 1e9
# level, what is around it (four rows), what is known of it, and three numbers of the frame
ROWS = {
    "lows": (-18.0, -8.0, -8.0, -8.0, -8.0, -6.0, -_ANY, -8.0, -_ANY),
    "highs": (9.0, 4.0, 4.0, 4.0, 4.0, 3.0, _ANY, 4.0, _ANY),
    "scales": (1 / 3, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0, 0.5, 0.2),
    "shifts": (0.0, 0.3, 0.3, 0.3, 0.3, 0.0, 0.0, 0.0, 1.6),
}
"""How each row of a band's features is clipped, scaled and shifted."""


@cache
def per_unit() -> F64:
    """`[COUNT, UNITS]`: a unit's place is its middle; a band's weights over units add up to one."""
    below, way = places(BINS)
    spread = np.zeros((COUNT, BINS))
    spread[below, np.arange(BINS)] += 1 - way
    spread[below + 1, np.arange(BINS)] += way
    return np.asarray(np.add.reduceat(spread, first_bins(), axis=1))


@cache
def mean() -> F32:
    """`[UNITS, COUNT]`: from the units to the means of the bands."""
    each = per_unit()
    return np.ascontiguousarray((each / each.sum(axis=1, keepdims=True)).T, np.float32)


@cache
def wide() -> F32:
    """`[COUNT, UNITS]`: from the bands to the units between their centres."""
    return np.ascontiguousarray(per_unit() / np.diff(np.append(first_bins(), BINS)), np.float32)


@cache
def sums() -> F32:
    """`[UNITS, COUNT + 1]`: `mean` and, as last column, the mean power of a frame."""
    frame = np.where(np.arange(UNITS) < SINGLE, 1.0, GROUP) / 1024.0
    return np.ascontiguousarray(np.concatenate([mean(), frame[:, None]], 1), np.float32)
