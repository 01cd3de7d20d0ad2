"""What tells noise from music in a band: how its level is spread over seconds, how flat it is, whom it moves with.

A row is 40 ms of a sound: for each band the mean power and the mean of the log power of its bins. Noise keeps near its
lowest level, is as flat in quiet rows as noise is, and rises and falls on its own; a dense mix does none of this.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import F32
from antiphon.api.kernels import f32, f32p, i64, kernel, offset
from antiphon_denoise.bands import COUNT

ROWS = 250
"""Rows kept: 10 s."""
ROW = 1920
"""Frames of a row at 48 kHz."""
STRIDE = ROWS // 2
"""Rows from one estimate of a file's noise to the next."""
LEAST_ROWS = 25
"""A second: with fewer nothing is known."""
FEATURES = 14
QUIET = 1e-12
DECIBEL = 10.0 / math.log(10.0)
_SHARES = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.8], np.float32)
"""Of a band's rows, below the levels that are its first features."""
_QUIETEST = 2


@kernel
def denoise_sort(x: f32p, count: i64) -> None:
    """Sorts x `[count]` in place, by insertion."""
    for n in range(1, count):
        value = x[n]
        at = n
        while at > 0:
            if x[at - 1] <= value:
                break
            x[at] = x[at - 1]
            at = at - 1
        x[at] = value


@kernel
def denoise_floor_levels(sums: f32p, bands: i64, levels: f32p) -> None:
    """levels `[2 * bands + 1]` ← dB of a row's powers, dB of its log powers above them, and the mean of the first.

    sums: `[2, bands]`, mean power and mean natural log power of each band.
    """
    mean = f32(0.0)
    for b in range(bands):
        level = f32(DECIBEL) * math.log(sums[b] + f32(QUIET))
        levels[b] = level
        levels[bands + b] = f32(DECIBEL) * sums[bands + b] - level
        mean = mean + level
    levels[2 * bands] = mean / f32(bands)


@kernel
def denoise_floor_describe(
    rows: f32p, first: i64, count: i64, kept: i64, band: i64, bands: i64, mean: f32, whole: f32, shares: f32p,
    work: f32p, out: f32p,
) -> None:  # fmt: skip
    """out `[FEATURES]` ← the features of a band.

    rows: `[kept, 2 * bands + 1]` as `denoise_floor_levels` writes them, a ring whose oldest is `first`; mean, whole:
    dB of the band's mean power and of the sound's; shares: `[6]`, of the rows, under the levels that come first; work:
    `[kept]`.
    """
    width = 2 * bands + 1
    centre = f32(0.0)
    around = f32(0.0)
    for n in range(count):
        row = offset(rows, ((first + n) % kept) * width)
        work[n] = row[band]
        centre = centre + row[band]
        around = around + row[2 * bands]
    centre = centre / f32(count)
    around = around / f32(count)
    denoise_sort(work, count)
    last = f32(count - 1)
    for n in range(6):
        out[n] = (work[i64(shares[n] * last)] - mean) / f32(6.0)
    low = work[i64(shares[_QUIETEST] * last)]
    middle = work[count // 2]
    flat = f32(0.0)
    flat_low = f32(0.0)
    lows = f32(0.0)
    turn = f32(0.0)
    turn_low = f32(0.0)
    turns_low = f32(1e-3)
    own = f32(1e-6)
    their = f32(1e-6)
    both = f32(0.0)
    before = f32(0.0)
    lowest = f32(0.0)
    minima = f32(0.0)
    squares = f32(0.0)
    for n in range(count):
        row = offset(rows, ((first + n) % kept) * width)
        level = row[band]
        flat = flat + row[bands + band]
        if level <= low:
            flat_low = flat_low + row[bands + band]
            lows = lows + f32(1.0)
        if n > 0:
            step = abs(level - before)
            turn = turn + step
            if level <= middle:
                turn_low = turn_low + step
                turns_low = turns_low + f32(1.0)
        before = level
        here = level - centre
        there = row[2 * bands] - around
        own = own + here * here
        their = their + there * there
        both = both + here * there
        if n % LEAST_ROWS == 0:
            lowest = level
        lowest = min(lowest, level)
        if n % LEAST_ROWS == LEAST_ROWS - 1:
            minima = minima + lowest
            squares = squares + lowest * lowest
    blocks = f32(count // LEAST_ROWS)
    minima = minima / blocks
    out[6] = flat_low / lows / f32(3.0) + f32(1.0)
    out[7] = flat / f32(count) / f32(3.0) + f32(1.0)
    out[8] = turn / last / f32(3.0)
    out[9] = turn_low / turns_low / f32(3.0)
    out[10] = math.sqrt(max(squares / blocks - minima * minima, f32(0.0))) / f32(4.0)
    out[11] = both / math.sqrt(own * their)
    out[12] = (mean - whole) / f32(20.0)
    out[13] = (mean + f32(60.0)) / f32(30.0)


class FloorFeatures:
    """The newest rows of a sound and the features of its bands.

    `values`: float32 `[COUNT, FEATURES]`, of a band since it was last described; `means`: `[COUNT]` mean power of the
    rows that there are; `count`: how many.
    """

    def __init__(self, hops: int, area: F32) -> None:
        """`hops`: of a row; `area`: of each band, as `BandMeans` has it."""
        self._hops = hops
        self._area: F32 = (area / area.sum()).astype(np.float32)
        self._rows: F32 = np.zeros((ROWS, 2 * COUNT + 1), np.float32)
        self._powers: F32 = np.zeros((ROWS, COUNT), np.float32)
        self._sum: F32 = np.zeros((2, COUNT), np.float32)
        self._work: F32 = np.zeros(ROWS, np.float32)
        self.means: F32 = np.zeros(COUNT, np.float32)
        self.values: F32 = np.zeros((COUNT, FEATURES), np.float32)
        self.clear()

    def clear(self) -> None:
        self.count = self._next = self._filled = 0
        self._sum.fill(0.0)

    def add(self, means: F32) -> bool:
        """Adds a hop's means of power and of log power, `[2, COUNT]`; True where it has ended a row."""
        np.add(self._sum, means, out=self._sum)
        self._filled += 1
        if self._filled < self._hops:
            return False
        np.multiply(self._sum, 1.0 / self._hops, out=self._sum)
        denoise_floor_levels(self._sum, COUNT, self._rows[self._next])
        self._powers[self._next] = self._sum[0]
        self._sum.fill(0.0)
        self._filled = 0
        self._next = (self._next + 1) % ROWS
        self.count = min(self.count + 1, ROWS)
        return True

    def average(self) -> None:
        """Updates `means`."""
        np.add.reduce(self._powers[: self.count], axis=0, out=self.means)
        np.multiply(self.means, 1.0 / self.count, out=self.means)

    def describe(self, band: int) -> None:
        """Updates the band's `values`, of `LEAST_ROWS` rows or more, by `means`."""
        mean = DECIBEL * math.log(float(self.means[band]) + QUIET)
        whole = DECIBEL * math.log(float(np.dot(self.means, self._area)) + QUIET)
        denoise_floor_describe(
            self._rows, (self._next - self.count) % ROWS, self.count, ROWS, band, COUNT, mean, whole, _SHARES,
            self._work, self.values[band],
        )  # fmt: skip
