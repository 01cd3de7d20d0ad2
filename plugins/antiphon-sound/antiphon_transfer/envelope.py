"""`mode=envelope`: gives the input the spectral envelope the reference would have with these notes at this level.

A ridge regression, fitted to the reference alone, predicts mean and contrast of each band from notes and level
(`features`). The input's bands are moved to them; within a band the input's partials stay in place. A recursive
regression over the input predicts the input's own bands from the same features; its residual, the input's own movement,
is kept, scaled to the size of the reference's residual and not larger than that usually is.
"""

import math

import numpy as np

from antiphon.api import F32, F64
from antiphon_transfer.features import BANDS, NUMBERS, RANGE, TimbreDescriber
from antiphon_transfer.stream import C64, Framing, spectra

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
"""Share of the gain applied at `amount` 1: beyond it the timbre gains little, and the balance of the notes suffers."""
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
    """The method of `mode=envelope`: a gain for each bin, the same in all channels; phases are unchanged."""

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
