"""What both networks of the learned modes see of a hop, in numpy; `antiphon_models.denoise.network.features` in torch.

All levels are natural logarithms of power.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import Samples
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned import tables
from antiphon_denoise.learned.tables import (
    BLOCK,
    DETAILS,
    FEATURES,
    LEVEL,
    LONG,
    NO_FLOOR,
    PAST,
    QUIET,
    SHORT,
    UNITS,
    UNKNOWN,
)

POWER, NOISE, LOG, FAST, SLOW, FLOOR = range(6)
_KEEPS = np.array([[SHORT], [LONG]], np.float32)
_LOWS, _HIGHS, _SCALES, _SHIFTS = (
    np.array(tables.ROWS[name], np.float32)[:, None] for name in ("lows", "highs", "scales", "shifts")
)


class HopFeatures:
    """The features of one stream, hop by hop.

    `bands`: `[FEATURES * COUNT]`, feature by feature (torch's are band by band); `details`: `[DETAILS, UNITS]`;
    `levels`: `[COUNT]`, relative to the long-term mean.
    """

    def __init__(self, details: Samples | None = None) -> None:
        """Makes the buffers. `details`: where `details` is to be written; None for a buffer of its own."""
        self.details: Samples = np.zeros((DETAILS, UNITS), np.float32) if details is None else details
        self._rows: Samples = np.zeros((6, UNITS), np.float32)
        self._seen: Samples = np.zeros((6, COUNT + 1), np.float32)
        self._sums, self._wide = tables.sums(), tables.wide()
        self._bands: Samples = np.zeros((FEATURES, COUNT), np.float32)
        self.bands = self._bands.reshape(-1)
        self.levels: Samples = np.zeros(COUNT, np.float32)
        self._level: Samples = np.zeros(COUNT, np.float32)
        self._here: Samples = np.zeros(UNITS, np.float32)
        self._smooth: Samples = np.zeros((2, UNITS), np.float32)
        self._floors: Samples = np.zeros((PAST, UNITS), np.float32)
        self.start()

    def start(self) -> None:
        self._smooth.fill(0.0)
        self._floors.fill(NO_FLOOR)
        self._hops = 0
        self._mean = self._weight = 0.0

    def step(self, x: Samples) -> None:
        """Computes the features of the next hop: log powers `[2, UNITS]` of the input and of the learned noise."""
        known = float(x[1, 0]) > UNKNOWN / 2
        self._follow(x, known)
        self._describe_bands(known)
        self._describe_units(x, known)

    def _follow(self, x: Samples, known: bool) -> None:
        """Advances what is remembered, and sums all of it in bands."""
        rows, smooth, floors = self._rows, self._smooth, self._floors
        np.exp(x[0], out=rows[POWER])
        if known:
            np.exp(x[1], out=rows[NOISE])
        rows[LOG] = x[0]
        if self._hops:
            # smooth ← x + keep · (smooth - x)
            np.subtract(smooth, x[0], out=smooth)
            np.multiply(smooth, _KEEPS, out=smooth)
            np.add(smooth, x[0], out=smooth)
        else:
            smooth[...] = x[0]
        rows[FAST : SLOW + 1] = smooth
        if self._hops % BLOCK == 0:
            for row in range(PAST - 1, 0, -1):
                floors[row] = floors[row - 1]
            floors[0].fill(NO_FLOOR)
        np.minimum(floors[0], smooth[0], out=floors[0])
        np.minimum.reduce(floors, axis=0, out=rows[FLOOR])
        np.matmul(rows, self._sums, out=self._seen)
        # counted no further than two blocks: only the first hop, and its place in a block, are of interest
        self._hops = self._hops + 1 if self._hops + 1 < 2 * BLOCK else BLOCK
        self._weight = self._weight * LEVEL + 1.0
        self._mean += (float(self._seen[POWER, COUNT]) - self._mean) / self._weight

    def _describe_bands(self, known: bool) -> None:
        bands, seen, level = self._bands, self._seen, self._level
        frame = float(seen[POWER, COUNT])
        mean_log, frame_log = math.log(self._mean + tables.QUIETEST_MEAN), math.log(frame + QUIET)
        np.add(seen[POWER, :COUNT], np.float32(QUIET), out=level)
        np.log(level, out=level)
        np.subtract(level, np.float32(mean_log), out=self.levels)
        bands[0] = self.levels
        np.subtract(seen[LOG:, :COUNT], level, out=bands[1:5])
        if known:
            np.add(seen[NOISE, :COUNT], np.float32(QUIET), out=bands[5])
            np.log(bands[5], out=bands[5])
            np.subtract(bands[5], level, out=bands[5])
        else:
            bands[5].fill(0.0)
        bands[6].fill(float(known))
        bands[7].fill(frame_log - mean_log)
        bands[8].fill(mean_log)
        np.clip(bands, _LOWS, _HIGHS, out=bands)
        np.multiply(bands, _SCALES, out=bands)
        np.add(bands, _SHIFTS, out=bands)

    def _describe_units(self, x: Samples, known: bool) -> None:
        details, here, log = self.details, self._here, x[0]
        np.dot(self._level, self._wide, out=here)
        details[0] = log
        for row, by in ((1, 1), (3, 2)):
            details[row, by:] = log[:-by]
            details[row, :by] = log[0]
            details[row + 1, :-by] = log[by:]
            details[row + 1, -by:] = log[-1]
        details[5:8] = self._rows[FAST:]
        details[8] = x[1]
        np.subtract(details, here, out=details)
        np.clip(details, np.float32(tables.LOWEST_DETAIL), np.float32(tables.HIGHEST_DETAIL), out=details)
        np.multiply(details, np.float32(tables.DETAIL_SCALE), out=details)
        if not known:
            details[8].fill(0.0)
