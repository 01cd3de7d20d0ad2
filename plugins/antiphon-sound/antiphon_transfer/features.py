"""Features of one frame: pitch classes, level, and spectral shape in bands.

Notes and level are computed so that they depend little on the instrument; the shape describes the instrument.
"""

from dataclasses import dataclass

import numpy as np

from antiphon.api import F32, note_number
from antiphon_transfer.stream import C64, Framing

BANDS = 32
FLOOR = 3e-7
"""Noise floor added to every bin's magnitude, relative to full scale."""
RANGE = 50.0
"""dB below the loudest level at which the level feature is clipped."""
_NOTES = np.arange(30.0, 110.0, 2.0)
NUMBERS = len(_NOTES) + 3
"""Number of features: whole tones from F#1, each with its neighbours; the level, its square, its rise."""


def bank(grid: Framing) -> tuple[F32, F32]:
    """Overlapping bands of equal width on the ERB scale: weights `[BANDS, bins]` of means, and of interpolation."""
    place = 21.4 * np.log10(1.0 + 0.00437 * grid.hertz)
    edges = np.linspace(0.0, place[-1], BANDS + 2)
    weight = np.maximum(0.0, 1.0 - np.abs(place - edges[1:-1, None]) / (edges[1] - edges[0]))
    weight[0, place < edges[1]] = 1.0
    weight[-1, place > edges[-2]] = 1.0
    spread = weight / weight.sum(axis=0)
    gather = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    return gather.astype(np.float32), spread.astype(np.float32)


@dataclass(slots=True)
class SpectralShape:
    """Log magnitude `[bins]` of one frame, its mean and deviation in bands `[2 * BANDS]`, and its level, dB."""

    log: F32
    bands: F32
    level: float = -120.0


class TimbreDescriber:
    """Computes shape and features of one frame after another.

    `shape`: result of `measure`; `numbers`: `[NUMBERS]` result of `describe`.
    """

    def __init__(self, grid: Framing) -> None:
        self._gather, self._spread = bank(grid)
        self._unit = np.float32(4.0 / grid.size)
        self._reach = max(1, round(300.0 * grid.size / grid.rate))
        note = note_number(np.maximum(grid.hertz, 1.0))
        near = np.exp(-0.5 * ((note - _NOTES[:, None]) / 3.0) ** 2)
        self._near: F32 = (near * (grid.hertz > 30.0) / np.maximum(grid.hertz, 30.0)).astype(np.float32)
        bins = grid.bins
        self.shape = SpectralShape(np.zeros(bins, np.float32), np.zeros(2 * BANDS, np.float32))
        self.numbers = np.zeros(NUMBERS)
        self._power: F32 = np.zeros(bins, np.float32)
        self._part: F32 = np.zeros(bins, np.float32)
        self._sums = np.zeros(bins + 2 * self._reach + 1)
        self._square: F32 = np.zeros(BANDS, np.float32)
        self._before = 0.0
        self._first = True

    def reset(self) -> None:
        self._first = True

    def measure(self, bins: C64) -> SpectralShape:
        """Shape of a frame's spectrum `[channels, bins]`, from the mean power of the channels."""
        power, log = self._power, self.shape.log
        power.fill(0.0)
        for row in bins:
            np.multiply(row.real, row.real, out=self._part)
            np.add(power, self._part, out=power)
            np.multiply(row.imag, row.imag, out=self._part)
            np.add(power, self._part, out=power)
        np.multiply(power, self._unit * self._unit / np.float32(len(bins)), out=power)
        self.shape.level = float(10.0 * np.log10(float(power.sum()) + 1e-12))
        np.sqrt(power, out=log)
        np.add(log, np.float32(FLOOR), out=log)
        np.log(log, out=log)
        mean, deviation = self.shape.bands[:BANDS], self.shape.bands[BANDS:]
        np.dot(self._gather, log, out=mean)
        np.multiply(log, log, out=self._part)
        np.dot(self._gather, self._part, out=self._square)
        np.multiply(mean, mean, out=deviation)
        np.subtract(self._square, deviation, out=deviation)
        np.maximum(deviation, 0.01, out=deviation)
        np.sqrt(deviation, out=deviation)
        return self.shape

    def describe(self, loudest: float) -> None:
        """Writes `numbers` of the last measured frame, relative to the level `loudest`, dB."""
        log, over, reach = self.shape.log, self._part, self._reach
        # level of a bin over the mean of 300 Hz on either side: the partials of the notes without their timbre
        sums = self._sums
        sums[: reach + 1] = log[0]
        sums[0] = 0.0
        sums[reach + 1 : reach + 1 + len(log)] = log
        sums[reach + 1 + len(log) :] = log[-1]
        np.cumsum(sums, out=sums)
        np.subtract(sums[2 * reach + 1 :], sums[: len(log)], out=over, casting="same_kind")
        np.multiply(over, -1.0 / (2 * reach + 1), out=over)
        np.add(over, log, out=over)
        np.subtract(over, 1.0, out=over)
        np.clip(over, 0.0, 3.0, out=over)
        np.multiply(over, log > log.max() - 6.0, out=over)
        notes = self._near @ over
        notes /= np.linalg.norm(notes) + 1e-6
        level = self.shape.level
        relative = max(level - loudest, -RANGE) / 10.0
        rise = 0.0 if self._first else min(max((level - self._before) / 10.0, -0.5), 1.5)
        self._before, self._first = level, False
        self.numbers[:-3] = notes
        self.numbers[-3] = relative
        self.numbers[-2] = relative * relative / 5.0
        self.numbers[-1] = rise

    def spread(self, bands: F32, out: F32) -> F32:
        """out `[bins]` ← bands `[BANDS]`, interpolated."""
        return np.dot(bands, self._spread, out=out)
