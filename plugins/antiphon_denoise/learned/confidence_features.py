"""Input features of the confidence network: levels, floors and both gains of a hop, band by band.

All levels are natural logarithms of power.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import F32
from antiphon_denoise.band_means import BandMeans
from antiphon_denoise.bands import BINS, COUNT

FEATURES, GLOBALS = 9, 7
"""Numbers of each band, and of the whole frame."""
INPUTS = COUNT * FEATURES + GLOBALS
SUMS = 6
_QUIET = 1e-10
_LEAST_SHARE = 1e-3
"""Share of power below which a gain counts as muting."""
_LEVEL, _LONG, _SLOW = 0.99, 0.97, 0.995
"""Decay by the hop of 8 ms: running mean of the level, levels smoothed over 0.27 s, and shares over 1.6 s."""
_FLOOR_SMOOTH, _FLOOR_HOPS = 0.6, 90
"""Decay of the level whose minimum is the floor; half the hops over which it is a minimum (0.7 to 1.4 s)."""


class ConfidenceFeatures:
    """The features of one stream, hop by hop.

    `values`: `[INPUTS]`, written by `update`: `FEATURES` rows of bands, then the frame's.
    """

    def __init__(self) -> None:
        self.values: F32 = np.zeros(INPUTS, np.float32)
        self._rows = self.values[: COUNT * FEATURES].reshape(FEATURES, COUNT)
        self._means = BandMeans()
        self._width: F32 = (self._means.area / self._means.area.sum()).astype(np.float32)
        self._log: F32 = np.zeros(BINS, np.float32)
        # means over each band: power, log power, power passed by mask and by gate, and both gains
        self._sums: F32 = np.zeros((SUMS, COUNT), np.float32)
        self._plain, self._passing, self._gains = self._sums[:2], self._sums[2:4], self._sums[4:]
        self._level: F32 = np.zeros(COUNT, np.float32)
        self._shares: F32 = np.zeros((2, COUNT), np.float32)
        self._scratch: F32 = np.zeros(COUNT, np.float32)
        self._smooth: F32 = np.zeros(COUNT, np.float32)
        self._long: F32 = np.zeros(COUNT, np.float32)
        self._slow: F32 = np.zeros(COUNT, np.float32)
        self._lowest: F32 = np.zeros(COUNT, np.float32)
        self._before: F32 = np.zeros(COUNT, np.float32)
        self._floor: F32 = np.zeros(COUNT, np.float32)
        self.reset()

    def reset(self) -> None:
        self._hops = 0
        self._weight = self._mean = 0.0
        self._short_power = self._long_power = _QUIET
        self._passed = [_QUIET] * 4

    def update(self, power: F32, mask: F32, gate: F32, known: bool) -> None:
        """Writes `values` for a hop of power above 0 and the network's and the gate's gains, `[bins]`, 0 to 1."""
        np.log(power[:BINS], out=self._log)
        sums = self._sums
        self._means.measure(power, self._log, self._plain)
        self._means.scaled(power, mask, power, gate, self._passing)
        self._means.measure(mask, gate, self._gains)
        rows, level, scratch = self._rows, self._level, self._scratch
        np.log(sums[0], out=level)
        self._follow(level)
        now = float(np.dot(sums[0], self._width))
        self._weight = self._weight * _LEVEL + 1.0
        self._mean += (now - self._mean) / self._weight
        mean = math.log(self._mean + _QUIET)
        np.subtract(level, mean, out=rows[0])
        np.multiply(rows[0], 1.0 / 3.0, out=rows[0])
        np.clip(rows[0], -5.0, 3.0, out=rows[0])
        np.subtract(sums[1], level, out=rows[1])
        np.add(rows[1], 0.6, out=rows[1])
        np.clip(rows[1], -4.0, 2.0, out=rows[1])
        np.divide(sums[2:4], sums[0], out=self._shares)
        np.add(self._shares, _LEAST_SHARE, out=self._shares)
        np.log(self._shares, out=self._shares)
        np.multiply(self._shares, 0.5, out=rows[2:4])
        np.subtract(sums[4:6], 0.5, out=rows[4:6])
        np.subtract(level, self._floor, out=rows[6])
        np.multiply(rows[6], 1.0 / 3.0, out=rows[6])
        np.clip(rows[6], -1.0, 3.0, out=rows[6])
        np.subtract(level, self._long, out=rows[7])
        np.multiply(rows[7], 0.5, out=rows[7])
        np.clip(rows[7], -3.0, 3.0, out=rows[7])
        # shares smoothed slowly, from the mean of what there is at first
        keep = min(_SLOW, (self._hops - 1.0) / self._hops)
        np.subtract(rows[2], self._slow, out=scratch)
        np.multiply(scratch, 1.0 - keep, out=scratch)
        np.add(self._slow, scratch, out=self._slow)
        rows[8] = self._slow
        self._whole(now, mean, known)

    def _follow(self, level: F32) -> None:
        """Smooths the bands' levels and takes their floors."""
        scratch = self._scratch
        if self._hops == 0:
            self._smooth[:] = self._long[:] = self._lowest[:] = self._before[:] = level
            self._slow.fill(0.0)
        self._hops += 1
        np.subtract(self._smooth, level, out=scratch)
        np.multiply(scratch, _FLOOR_SMOOTH, out=scratch)
        np.add(level, scratch, out=self._smooth)
        np.subtract(self._long, level, out=scratch)
        np.multiply(scratch, _LONG, out=scratch)
        np.add(level, scratch, out=self._long)
        if self._hops == 1 or self._hops % _FLOOR_HOPS == 0:
            self._before[:] = self._lowest
            self._lowest[:] = self._smooth
        np.minimum(self._lowest, self._smooth, out=self._lowest)
        np.minimum(self._lowest, self._before, out=self._floor)

    def _whole(self, now: float, mean: float, known: bool) -> None:
        sums, width, out = self._sums, self._width, self.values[COUNT * FEATURES :]
        self._short_power += (1.0 - _LEVEL) * (now - self._short_power)
        self._long_power += (1.0 - 0.999) * (now - self._long_power)
        place = 0
        for row in (2, 3):
            passed = float(np.dot(sums[row], width))
            self._passed[place] += (1.0 - _LEVEL) * (passed - self._passed[place])
            self._passed[place + 1] += (1.0 - 0.999) * (passed - self._passed[place + 1])
            place += 2
        out[0] = 1.0 if known else 0.0
        out[1] = max(-4.0, min(2.0, (math.log(now + _QUIET) - mean) / 2.0))
        out[2] = (mean + 8.0) / 5.0
        out[3] = 0.5 * math.log(self._passed[0] / self._short_power + _LEAST_SHARE)
        out[4] = 0.5 * math.log(self._passed[1] / self._long_power + _LEAST_SHARE)
        out[5] = 0.5 * math.log(self._passed[2] / self._short_power + _LEAST_SHARE)
        out[6] = 0.5 * math.log(self._passed[3] / self._long_power + _LEAST_SHARE)
