"""From the power spectrum of a frame to a gain for each bin: features, network, gate.

All levels are natural logarithms of power; white noise of variance 1 has power 1 in every bin.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f32, f32p, i64, i64p, kernel
from antiphon_denoise.band_means import BandMeans
from antiphon_denoise.bands import BINS, COUNT, places
from antiphon_denoise.gate.network import Network, load_weights
from antiphon_denoise.gate.suppression_limit import SuppressionLimit

F32 = NDArray[np.float32]
QUIET = 1e-10
_SHORT, _LONG, _LEVEL = 0.6, 0.97, 0.99


@kernel
def denoise_power(spectrum: f32p, channels: i64, bins: i64, unit: f32, power: f32p) -> None:
    """power `[bins]` ← squared magnitude of complex `[channels, bins]`, summed over channels, times unit."""
    for k in range(bins):
        power[k] = f32(QUIET)
    for c in range(channels):
        at = 2 * c * bins
        for k in range(bins):
            re = spectrum[at + 2 * k]
            im = spectrum[at + 2 * k + 1]
            power[k] = power[k] + (re * re + im * im) * unit


@kernel
def denoise_smooth_log_power(log_power: f32p, short: f32p, long: f32p, bins: i64) -> None:
    """Smooths log power `[bins]` with time constants of some 30 ms (short) and 400 ms (long), in place."""
    for k in range(bins):
        short[k] = f32(_SHORT) * short[k] + f32(1.0 - _SHORT) * log_power[k]
        long[k] = f32(_LONG) * long[k] + f32(1.0 - _LONG) * log_power[k]


@kernel
def denoise_gate_logits(
    log_power: f32p, short: f32p, long: f32p, noise: f32p, level: f32p, coefficients: f32p,
    edge: i64p, fraction: f32p, bands: i64, flags: f32p, gate_logit: f32p, floor_logit: f32p,
) -> None:  # fmt: skip
    """gate_logit, floor_logit `[bins]` ← negated logits of each bin's opening and of its lowest gain, within ±30.

    Args:
        log_power: `[bins]` log power of the frame.
        short: `[bins]` log power smoothed over some 30 ms.
        long: `[bins]` log power smoothed over some 400 ms.
        noise: `[bins]` log power of the learned noise.
        level: `[bands]` log power of the frame's bands.
        coefficients: `[6, bands]` output of the network, interpolated between band centres: constant, weights of
            `log_power`, `short`, `long` and `noise`, and logit of the lowest gain.
        edge: `[bands]` first bin above each centre.
        fraction: `[bins]` where the bin lies between two centres, 0 to 1.
        bands: Number of bands.
        flags: [0]: 1 to use `noise`, else 0. [1]: log power above which a band is not attenuated.
        gate_logit: Result.
        floor_logit: Result.
    """
    known = flags[0]
    ceiling = flags[1]
    for b in range(bands - 1):
        constant_slope = coefficients[b + 1] - coefficients[b]
        now = coefficients[bands + b]
        now_slope = coefficients[bands + b + 1] - now
        short_term = coefficients[2 * bands + b]
        short_term_slope = coefficients[2 * bands + b + 1] - short_term
        long_term = coefficients[3 * bands + b]
        long_term_slope = coefficients[3 * bands + b + 1] - long_term
        learned = known * coefficients[4 * bands + b]
        learned_slope = known * coefficients[4 * bands + b + 1] - learned
        floor = coefficients[5 * bands + b]
        floor_slope = coefficients[5 * bands + b + 1] - floor
        constant = coefficients[b]
        level_below = level[b]
        level_slope = level[b + 1] - level_below
        for k in range(edge[b], edge[b + 1]):
            up = fraction[k]
            band_level = level_below + up * level_slope
            logit = constant + up * constant_slope
            logit = logit + (now + up * now_slope) * (log_power[k] - band_level)
            logit = logit + (short_term + up * short_term_slope) * (short[k] - band_level)
            logit = logit + (long_term + up * long_term_slope) * (long[k] - band_level)
            logit = logit + (learned + up * learned_slope) * max(min(noise[k] - band_level, f32(4.0)), f32(-8.0))
            logit = logit + max(f32(2.0) * (band_level - ceiling), f32(0.0))
            gate_logit[k] = max(min(-logit, f32(30.0)), f32(-30.0))
            floor_logit[k] = max(min(-(floor + up * floor_slope), f32(30.0)), f32(-30.0))


@kernel
def denoise_gain(gate_exp: f32p, floor_exp: f32p, bins: i64, gain: f32p) -> None:
    """gain `[bins]` ← floor + (1 - floor) * opening, given the exponentials of `denoise_gate_logits`' two results."""
    for k in range(bins):
        floor = f32(1.0) / (f32(1.0) + floor_exp[k])
        gain[k] = floor + (f32(1.0) - floor) / (f32(1.0) + gate_exp[k])


@kernel
def denoise_removed_power(power: f32p, gain: f32p, bins: i64) -> f32:
    """Mean over bins of the power that the gain removes: power * (1 - gain)²."""
    total = f32(0.0)
    for k in range(bins):
        removed = f32(1.0) - gain[k]
        total = total + power[k] * removed * removed
    return total / f32(bins)


class Estimator:
    """The spectral gate of one stream: each `update` turns `power` into `gain`.

    Attributes:
        power: `[bins]` input, `QUIET` or more in each bin; written by `denoise_power`.
        gain: `[bins]` result, 0 to 1.
        noise: `[bins]` log power of the learned noise, read where `known`.
        known: Whether the noise has been learned.
        level: Mean power of the frame.
        limit: How much of the removal `gain` asks for is allowed, 0 to 1; always 1 where `known`. See
            `SuppressionLimit`.
    """

    def __init__(self, bins: int) -> None:
        self.bins = bins
        self.gain: F32 = np.ones(bins, np.float32)
        self.power: F32 = np.zeros(bins, np.float32)
        self.noise: F32 = np.full(bins, math.log(QUIET), np.float32)
        self.known = False
        self._log: F32 = np.zeros(bins, np.float32)
        self._short: F32 = np.zeros(bins, np.float32)
        self._long: F32 = np.zeros(bins, np.float32)
        self._below, self._fraction = places(bins)
        self._edge = np.searchsorted(self._below, np.arange(COUNT)).astype(np.int64)
        self._edge[-1] = bins
        self._means = BandMeans()
        self._bands: F32 = np.zeros((2, COUNT), np.float32)
        self._level: F32 = np.zeros(COUNT, np.float32)
        self._noise_bands: F32 = np.zeros((2, COUNT), np.float32)
        self._noise_level: F32 = np.zeros(COUNT, np.float32)
        self._scratch: F32 = np.zeros(COUNT, np.float32)
        self._logits: F32 = np.zeros((2, bins), np.float32)
        self.network = Network(load_weights())
        self._flags: F32 = np.zeros(2, np.float32)
        self._smooth_log_power = denoise_smooth_log_power.bind(self._log, self._short, self._long, bins)
        self._gate_logits = denoise_gate_logits.bind(
            self._log, self._short, self._long, self.noise, self._level, self.network.outputs,
            self._edge, self._fraction, COUNT, self._flags, self._logits[0], self._logits[1],
        )  # fmt: skip
        self._gain_from_logits = denoise_gain.bind(self._logits[0], self._logits[1], bins, self.gain)
        self._limit = SuppressionLimit()
        self._removed_power = denoise_removed_power.bind(self.power, self.gain, BINS)
        self.reset()

    def reset(self) -> None:
        self.known = False
        self._first = True
        self._mean = 0.0
        self.level = 0.0
        self.limit = 1.0
        self._limit.reset()
        self._count = 0.0
        self.gain.fill(1.0)
        self.network.reset()

    def learn(self, power: F32) -> None:
        """Sets the learned noise to the spectrum power `[bins]`."""
        np.add(power, QUIET, out=self.noise)
        np.log(self.noise, out=self.noise)
        self._means.measure(power, self.noise, self._noise_bands)
        np.add(self._noise_bands[0], QUIET, out=self._noise_level)
        np.log(self._noise_level, out=self._noise_level)
        self.known = True

    def update(self, ceiling: float) -> None:
        """Computes `gain` and `limit` for the frame in `power`.

        Args:
            ceiling: Natural log of power above which a band is not attenuated.
        """
        np.log(self.power, out=self._log)
        if self._first:
            self._short[:] = self._log
            self._long[:] = self._log
            self._first = False
        self._smooth_log_power()
        self._means.measure(self.power, self._log, self._bands)
        np.log(self._bands[0], out=self._level)
        self._features()
        self.network.step()
        self._flags[0] = 1.0 if self.known else 0.0
        self._flags[1] = ceiling
        self._gate_logits()
        np.exp(self._logits, out=self._logits)
        self._gain_from_logits()
        limit = self._limit.update(self.level, self._removed_power())
        self.limit = 1.0 if self.known else limit

    def _features(self) -> None:
        now = self.level = float(np.mean(self.power[:BINS]))
        self._count = self._count * _LEVEL + 1.0
        self._mean += (now - self._mean) / self._count
        mean = math.log(self._mean + 1e-8)
        x = self.network.inputs
        np.subtract(self._level, mean, out=self._scratch)
        np.multiply(self._scratch, 1.0 / 3.0, out=x[:COUNT])
        np.subtract(self._bands[1], self._level, out=self._scratch)
        np.add(self._scratch, 0.6, out=x[COUNT : 2 * COUNT])
        if self.known:
            np.subtract(self._noise_level, self._level, out=self._scratch)
            np.clip(self._scratch, -6.0, 3.0, out=self._scratch)
            np.multiply(self._scratch, 0.5, out=x[2 * COUNT : 3 * COUNT])
        else:
            x[2 * COUNT : 3 * COUNT] = 0.0
        x[3 * COUNT] = 1.0 if self.known else 0.0
        x[3 * COUNT + 1] = (math.log(now + QUIET) - mean) / 2.0
        x[3 * COUNT + 2] = (mean + 8.0) / 5.0
