"""`mode=envelope`: gives the input the spectral envelope the reference would have with these notes at this level.

A ridge regression, fitted to the reference alone, predicts mean and contrast of each band from notes and level
(`features`). The input's bands are moved to these; within a band the input's partials stay in place. A recursive
regression over the input predicts the input's bands from the same features. Its residual, the input's own movement, is
kept, scaled to the size of the reference's residual and limited to its usual range.
"""

import math
from dataclasses import dataclass

import numpy as np

from antiphon.api import F32, F64, note_number
from antiphon_transfer.stream import C64, Framing, spectra

# ---- Features of one frame: pitch classes, level, and spectral shape in bands
# Notes and level are computed so that they depend little on the instrument; the shape describes the instrument.

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


RIDGE = 0.02
INPUT_RIDGE = 20.0
"""Regularisation of the input's regression, in frames."""
MEMORY = 2000
"""Memory of the input's regression in frames."""
PRIOR_FRAMES = 60
"""Weight in frames of the reference's statistics, until the input's are known."""
MAX_CONTRAST = 3.0
MAX_GAIN = 8.0
MAX_MOVEMENT = 1.5
"""Maximum deviation of an input band from the mean, in standard deviations of the reference. Without a limit a cymbal
after a dull beginning becomes a burst."""
APPLIED_SHARE = 0.84
"""Share of the gain applied at `amount` 1; more would improve the timbre little and upset the balance of the notes."""
DECAY = 0.02
"""Decay of the loudest level in dB per frame."""
MIN_LOUDEST_DB = -70.0
"""Lower bound of the loudest level in dBFS, above mere hiss."""


class ReferenceEnvelope:
    """Linear prediction of bands `[2 * BANDS]` from features `[NUMBERS]`, fitted to the reference.

    `mean`: of the reference's bands; `movement`: `[BANDS]` standard deviation of the residual; `loudest`: dB of a
    frame.
    """

    def __init__(self, samples: F32, grid: Framing) -> None:
        describer = TimbreDescriber(grid)
        bands: list[F32] = []
        levels: list[float] = []
        numbers: list[F64] = []
        for bins in spectra(samples, grid):
            shape = describer.measure(bins)
            describer.describe(shape.level)
            bands.append(shape.bands.copy())
            levels.append(shape.level)
            numbers.append(describer.numbers.copy())
        level = np.array(levels)
        self.loudest = float(level.max())
        audible = level > self.loudest - RANGE
        x = np.array(numbers)[audible]
        x[:, -3] = (level[audible] - self.loudest) / 10.0
        x[:, -2] = x[:, -3] ** 2 / 5.0
        y = np.array(bands, np.float64)[audible]
        self.mean = y.mean(axis=0)
        off = x - x.mean(axis=0)
        normal = off.T @ off + RIDGE * len(x) * np.eye(NUMBERS)
        self.weights: F64 = np.linalg.solve(normal, off.T @ (y - self.mean))
        self.offset: F64 = self.mean - x.mean(axis=0) @ self.weights
        residual = y - (x @ self.weights + self.offset)
        self.movement: F64 = residual[:, :BANDS].std(axis=0) + 1e-3


class InputRegression:
    """Recursive least squares prediction of the input's bands; `residual`: `[BANDS]`, the prediction error."""

    def __init__(self) -> None:
        size = NUMBERS + 1
        self._x = np.zeros(size)
        self._covariance = np.zeros((size, size))
        self._step = np.zeros((size, size))
        self._weights = np.zeros((size, BANDS))
        self._change = np.zeros((size, BANDS))
        self.residual = np.zeros(BANDS)
        self.reset()

    def reset(self) -> None:
        self._x[-1] = 3.0
        self._weights.fill(0.0)
        self._covariance.fill(0.0)
        np.fill_diagonal(self._covariance, 1.0 / INPUT_RIDGE)

    def update(self, numbers: F64, bands: F32) -> None:
        """Updates with `[NUMBERS]` features and the levels `[BANDS]` of a frame; writes `residual`."""
        x, residual = self._x, self.residual
        x[:-1] = numbers
        gain = self._covariance @ x
        variance = 1.0 + float(x @ gain)
        np.subtract(bands, x @ self._weights, out=residual)
        np.multiply(gain[:, None] / variance, residual, out=self._change)
        np.add(self._weights, self._change, out=self._weights)
        np.multiply(gain[:, None] / variance, gain, out=self._step)
        np.subtract(self._covariance, self._step, out=self._covariance)
        # a small part of the initial covariance is added back, so that it stays positive and keeps adapting
        keep = 1.0 - 1.0 / (5.0 * MEMORY)
        np.multiply(self._covariance, keep, out=self._covariance)
        self._covariance.reshape(-1)[:: len(x) + 1] += (1.0 - keep) / INPUT_RIDGE
        np.multiply(residual, 1.0 / variance, out=residual)


class EnvelopeMethod:
    """Method of `mode=envelope`: a gain for each bin, the same in all channels, without a change of phase."""

    def __init__(self, samples: F32, grid: Framing, channels: int) -> None:
        self._bins: C64 = np.zeros((channels, grid.bins), np.complex64)
        self._gain: F32 = np.zeros(grid.bins, np.float32)
        self._result: F32 = np.zeros((channels, grid.size), np.float32)
        self._describer = TimbreDescriber(grid)
        self._learned = ReferenceEnvelope(samples, grid)
        self._regression = InputRegression()
        self._target = np.zeros(2 * BANDS)
        self._mean_target = np.zeros(2 * BANDS)
        self._residual_power = np.zeros(BANDS)
        self._contrast: F32 = np.ones(BANDS, np.float32)
        self._level: F32 = np.zeros(BANDS, np.float32)
        self._slope: F32 = np.zeros(grid.bins, np.float32)
        self._from: F32 = np.zeros(grid.bins, np.float32)
        self.reset()

    def reset(self) -> None:
        self._describer.reset()
        self._regression.reset()
        self._mean_target[:] = self._learned.mean
        np.square(self._learned.movement, out=self._residual_power)
        self._contrast.fill(1.0)
        self._loudest = MIN_LOUDEST_DB
        self._audible_frames = 0

    def run(self, frame: F32, amount: float) -> F32:
        """Processes a windowed frame `[channels, size]`; the result is valid until the next call.

        `amount`: 0 leaves the frame unchanged, 1 applies the whole transfer.
        """
        np.fft.rfft(frame, axis=1, out=self._bins)  # type: ignore[arg-type]  # single precision is right at run time
        self._find_gain(amount)
        np.exp(self._gain, out=self._gain)
        np.multiply(self._bins, self._gain, out=self._bins)
        np.fft.irfft(self._bins, frame.shape[1], axis=1, out=self._result)  # type: ignore[arg-type]
        return self._result

    def _find_gain(self, amount: float) -> None:
        """_gain ← natural logs of the gains for `_bins`, scaled by `amount`."""
        gain = self._gain
        shape = self._describer.measure(self._bins)
        self._loudest = max(shape.level, self._loudest - DECAY, MIN_LOUDEST_DB)
        self._describer.describe(self._loudest)
        target = self._target_bands(shape.bands[:BANDS], shape.level)
        mean, deviation = shape.bands[:BANDS], shape.bands[BANDS:]
        contrast = np.clip(target[BANDS:], 0.1, 4.0) / deviation
        np.clip(contrast, 1.0 / MAX_CONTRAST, MAX_CONTRAST, out=contrast)
        np.add(self._contrast, contrast, out=self._contrast, casting="same_kind")
        np.multiply(self._contrast, 0.5, out=self._contrast)
        np.subtract(target[:BANDS], mean, out=self._level, casting="same_kind")
        spread = self._describer.spread
        spread(self._level, gain)
        spread(mean, self._from)
        np.subtract(shape.log, self._from, out=self._from)
        np.subtract(spread(self._contrast, self._slope), 1.0, out=self._slope)
        # partials above the band's mean move half as far as bins below it, to keep the balance of the notes
        np.multiply(self._slope, 0.5, out=self._slope, where=self._from > 0.0)
        np.multiply(self._from, self._slope, out=self._from)
        np.add(gain, self._from, out=gain)
        np.multiply(gain, APPLIED_SHARE * amount, out=gain)
        np.minimum(gain, MAX_GAIN, out=gain)

    def _target_bands(self, bands: F32, level: float) -> F64:
        """Target mean and deviation of each band, `[2 * BANDS]`."""
        learned, target = self._learned, self._target
        np.dot(self._describer.numbers, learned.weights, out=target)
        np.add(target, learned.offset, out=target)
        audible = level > self._loudest - RANGE and level > MIN_LOUDEST_DB
        if audible:
            self._audible_frames += 1
            self._mean_target += (target - self._mean_target) / min(self._audible_frames + PRIOR_FRAMES, 600)
        # halfway to the reference's mean over time, which the regression on notes does not predict
        target += 0.5 * (learned.mean - self._mean_target)
        if audible:
            self._regression.update(self._describer.numbers, bands)
            residual = self._regression.residual
            self._residual_power += (np.minimum(residual * residual, 25.0) - self._residual_power) / min(
                self._audible_frames + PRIOR_FRAMES, MEMORY
            )
            own = np.clip(learned.movement / np.sqrt(self._residual_power), 0.2, 1.3) * residual
            target[:BANDS] += np.minimum(own, MAX_MOVEMENT * learned.movement)
        else:
            # below the range of the reference the output level follows the input level
            target[:BANDS] += min(level - self._loudest + RANGE, 0.0) * (math.log(10.0) / 20.0)
        return target
