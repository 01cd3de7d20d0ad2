"""`mode=envelope`: the spectral envelope the reference would have with these notes at this loudness.

A ridge regression, learned from the reference alone, tells the level and the contrast of every band from notes and
loudness (`describe`). The input's bands get them; within a band the input's partials stay where they are. What the same
notes and loudness do not explain in the input - its own movement, told by a recursive regression that learns while
it plays - is kept, scaled to how much the reference moves.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon_transfer.features import BANDS, NUMBERS, RANGE, Describer
from antiphon_transfer.method import Spectral
from antiphon_transfer.reference import spectra
from antiphon_transfer.stream import C64, F32, F64, Framing

RIDGE = 0.02
OWN_RIDGE = 20.0
"""How reluctantly the input's own regression learns, in frames."""
MEMORY = 2000
"""Frames over which the input is remembered."""
EARLY = 60
"""Frames the reference's own statistics count for, before the input's are known."""
MOST_CONTRAST = 3.0
MOST_GAIN = 8.0
REACH = 0.84
"""Of the way to what is wanted, at `amount` 1: beyond it timbre gains little, and the balance of the notes loses."""
DECAY = 0.02
"""dB a frame by which the loudest level heard is forgotten."""
LEAST = -70.0
"""dBFS the loudest level is taken for at least: hiss alone is not music."""


class ReferenceEnvelope:
    """What the reference teaches: bands `[2 * BANDS]` from numbers `[NUMBERS]`."""

    def __init__(self, samples: F32, grid: Framing) -> None:
        describer = Describer(grid)
        bands: list[F32] = []
        levels: list[float] = []
        numbers: list[F64] = []
        for bins in spectra(samples, grid):
            shape = describer.look(bins)
            describer.describe(shape.level)
            bands.append(shape.bands.copy())
            levels.append(shape.level)
            numbers.append(describer.numbers.copy())
        level = np.array(levels)
        self.loudest = float(level.max())
        heard = level > self.loudest - RANGE
        x = np.array(numbers)[heard]
        x[:, -3] = (level[heard] - self.loudest) / 10.0
        x[:, -2] = x[:, -3] ** 2 / 5.0
        y = np.array(bands, np.float64)[heard]
        self.mean = y.mean(axis=0)
        off = x - x.mean(axis=0)
        normal = off.T @ off + RIDGE * len(x) * np.eye(NUMBERS)
        self.weights: F64 = np.linalg.solve(normal, off.T @ (y - self.mean))
        self.offset: F64 = self.mean - x.mean(axis=0) @ self.weights
        left = y - (x @ self.weights + self.offset)
        self.movement: F64 = left[:, :BANDS].std(axis=0) + 1e-3


class Own:
    """The input's bands told from its notes and loudness by recursive least squares; gives what is not explained."""

    def __init__(self) -> None:
        size = NUMBERS + 1
        self._x = np.zeros(size)
        self._sure = np.zeros((size, size))
        self._step = np.zeros((size, size))
        self._weights = np.zeros((size, BANDS))
        self._change = np.zeros((size, BANDS))
        self.left = np.zeros(BANDS)
        self.reset()

    def reset(self) -> None:
        self._x[-1] = 3.0
        self._weights.fill(0.0)
        self._sure.fill(0.0)
        np.fill_diagonal(self._sure, 1.0 / OWN_RIDGE)

    def update(self, numbers: F64, bands: F32) -> None:
        """`left` ← what remains of `bands` `[BANDS]`."""
        x, left = self._x, self.left
        x[:-1] = numbers
        seen = self._sure @ x
        wide = 1.0 + float(x @ seen)
        np.subtract(bands, x @ self._weights, out=left)
        np.multiply(seen[:, None] / wide, left, out=self._change)
        np.add(self._weights, self._change, out=self._weights)
        np.multiply(seen[:, None] / wide, seen, out=self._step)
        np.subtract(self._sure, self._step, out=self._sure)
        # a little of the first uncertainty comes back, so that it goes on learning and stays positive
        keep = 1.0 - 1.0 / (5.0 * MEMORY)
        np.multiply(self._sure, keep, out=self._sure)
        self._sure.reshape(-1)[:: len(x) + 1] += (1.0 - keep) / OWN_RIDGE
        np.multiply(left, 1.0 / wide, out=left)


class Envelope(Spectral):
    """See the module."""

    def __init__(self, samples: F32, grid: Framing, channels: int) -> None:
        super().__init__(grid, channels)
        self._learned = ReferenceEnvelope(samples, grid)
        self._own = Own()
        self._wanted = np.zeros(2 * BANDS)
        self._usual = np.zeros(2 * BANDS)
        self._spent = np.zeros(BANDS)
        self._contrast: F32 = np.ones(BANDS, np.float32)
        self._level: F32 = np.zeros(BANDS, np.float32)
        self._slope: F32 = np.zeros(grid.bins, np.float32)
        self._from: F32 = np.zeros(grid.bins, np.float32)
        self.reset()

    def reset(self) -> None:
        self._describer.reset()
        self._own.reset()
        self._usual[:] = self._learned.mean
        np.square(self._learned.movement, out=self._spent)
        self._contrast.fill(1.0)
        self._loudest = LEAST
        self._heard = 0

    def _step(self, bins: C64, amount: float, gain: F32) -> None:
        shape = self._describer.look(bins)
        self._loudest = max(shape.level, self._loudest - DECAY, LEAST)
        self._describer.describe(self._loudest)
        wanted = self._want(shape.bands[:BANDS], shape.level)
        mean, deviation = shape.bands[:BANDS], shape.bands[BANDS:]
        contrast = np.clip(wanted[BANDS:], 0.1, 4.0) / deviation
        np.clip(contrast, 1.0 / MOST_CONTRAST, MOST_CONTRAST, out=contrast)
        np.add(self._contrast, contrast, out=self._contrast, casting="same_kind")
        np.multiply(self._contrast, 0.5, out=self._contrast)
        np.subtract(wanted[:BANDS], mean, out=self._level, casting="same_kind")
        spread = self._describer.spread
        spread(self._level, gain)
        spread(mean, self._from)
        np.subtract(shape.log, self._from, out=self._from)
        np.subtract(spread(self._contrast, self._slope), 1.0, out=self._slope)
        # partials that stand out move half as far as the gaps between them: the balance of the notes stays
        np.multiply(self._slope, 0.5, out=self._slope, where=self._from > 0.0)
        np.multiply(self._from, self._slope, out=self._from)
        np.add(gain, self._from, out=gain)
        np.multiply(gain, REACH * amount, out=gain)
        np.minimum(gain, MOST_GAIN, out=gain)

    def _want(self, bands: F32, level: float) -> F64:
        """Mean and deviation wanted in every band, `[2 * BANDS]`."""
        learned, wanted = self._learned, self._wanted
        np.dot(self._describer.numbers, learned.weights, out=wanted)
        np.add(wanted, learned.offset, out=wanted)
        sounds = level > self._loudest - RANGE and level > LEAST
        if sounds:
            self._heard += 1
            self._usual += (wanted - self._usual) / min(self._heard + EARLY, 600)
        # halfway to the reference's mean over time: what its notes do not say about this instrument
        wanted += 0.5 * (learned.mean - self._usual)
        if sounds:
            self._own.update(self._describer.numbers, bands)
            left = self._own.left
            self._spent += (np.minimum(left * left, 25.0) - self._spent) / min(self._heard + EARLY, MEMORY)
            wanted[:BANDS] += np.clip(learned.movement / np.sqrt(self._spent), 0.2, 1.3) * left
        else:
            # below what the reference can tell about, softer in is softer out
            wanted[:BANDS] += min(level - self._loudest + RANGE, 0.0) * (math.log(10.0) / 20.0)
        return wanted
