"""Median-filter stems: harmonic-percussive separation (Fitzgerald, 2010), and a low band.

Medians over time give the harmonic part, over frequency the percussive one. Below `LOW` the harmonic part is the bass;
above, half of the centre of the stereo image counts as the voice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from antiphon.api import Samples
from antiphon.api.kernels import f32p, i64, kernel
from antiphon_stems.grids import NOMINAL, UnitGrid

REACH = 8
"""Half-width of a median filter."""
LOW, HIGH = 180.0, 6000.0
"""Frequency range of the voice in Hz."""
_FAINT = 1e-12


class MedianLines(NamedTuple):
    """Number of lines, step between lines, number of values in a line, and step between values."""

    lines: i64
    line_step: i64
    size: i64
    step: i64


@kernel
def stems_medians(x: f32p, s: MedianLines, low: i64, high: i64, places: i64, scratch: f32p, out: f32p) -> None:
    """out ← medians along lines of x. `scratch`: at least `high - low + 1` values."""
    for line in range(s.lines):
        for place in range(places):
            count = 0
            for at in range(max(place + low, 0), min(place + high + 1, s.size)):
                value = x[line * s.line_step + at * s.step]
                n = count
                while n > 0 and scratch[max(n - 1, 0)] > value:
                    scratch[n] = scratch[n - 1]
                    n = n - 1
                scratch[n] = value
                count = count + 1
            out[line * s.line_step + place * s.step] = scratch[count // 2]


class Medians:
    """Median-filter shares of stems: hop by hop like a network's, or of a whole segment."""

    def __init__(self, grid: UnitGrid) -> None:
        hertz = (grid.first + (grid.width - 1.0) / 2.0) * NOMINAL / grid.size
        self._low: Samples = (hertz < LOW).astype(np.float32)
        self._middle: Samples = (0.5 * ((hertz >= LOW) & (hertz < HIGH))).astype(np.float32)
        self._units = grid.units
        self._past: Samples = np.zeros((2 * REACH + 1, grid.units), np.float32)
        self._steady, self._wide, self._center = np.zeros((3, grid.units), np.float32)
        self._scratch: Samples = np.zeros(2 * REACH + 2, np.float32)

    def start(self) -> None:
        self._past.fill(0.0)

    def step(self, x: Samples, y: Samples) -> None:
        """Computes one hop of power and side `[2, units]` into shares `[3, units]`."""
        units, past = self._units, self._past
        past[:-1] = past[1:]
        past[-1] = x[0]
        stems_medians(past, MedianLines(units, 1, len(past), units), 0, len(past), 1, self._scratch, self._steady)
        stems_medians(past[-1], MedianLines(1, units, units, 1), -REACH, REACH, units, self._scratch, self._wide)
        self._divide(x[0], x[1], self._steady, self._wide, self._center, y)

    def shares(self, power: Samples, side: Samples) -> Samples:
        """Shares `[4, frames, units]`, of sum 1, of power and side `[frames, units]`."""
        frames, units = power.shape
        steady, wide, y = np.zeros_like(power), np.zeros_like(power), np.zeros((4, frames, units), np.float32)
        x = np.ascontiguousarray(power)
        stems_medians(x, MedianLines(units, 1, frames, units), -REACH, REACH, frames, self._scratch, steady)
        stems_medians(x, MedianLines(frames, units, units, 1), -REACH, REACH, units, self._scratch, wide)
        self._divide(x, side, steady, wide, np.zeros_like(power), y[:3])
        y[3] = 1.0 - y[:3].sum(axis=0)
        return y

    def _divide(
        self, power: Samples, side: Samples, steady: Samples, wide: Samples, center: Samples, y: Samples
    ) -> None:
        drums, bass, voice = y
        np.multiply(wide, wide, out=wide)
        np.multiply(steady, steady, out=steady)
        np.add(steady, wide, out=steady)
        np.add(steady, np.float32(_FAINT), out=steady)
        np.divide(wide, steady, out=drums)
        np.subtract(np.float32(1.0), drums, out=steady)
        np.multiply(steady, self._low, out=bass)
        np.add(power, np.float32(_FAINT), out=center)
        np.divide(side, center, out=center)
        np.multiply(center, np.float32(-4.0), out=center)
        np.add(center, np.float32(1.0), out=center)
        np.maximum(center, np.float32(0.0), out=center)
        np.multiply(center, self._middle, out=center)
        np.multiply(center, steady, out=voice)
