"""Gains of bins from a frame's power spectrum: features, network, gate; and the noise profile of `learn`.

All levels are natural logarithms of power, as in `gains`. The profile is the average of the spectra of the last half
second.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.signal import SpectrumSizes
from antiphon.api.kernels import address, address_f32, f32, f32p, f64, i64, i64p, kernel, offset
from antiphon.native.intrinsics import address_f64, address_i64
from antiphon_denoise.bands import BINS, COUNT, BandMeans, denoise_band_means, places
from antiphon_denoise.gate.gains import (
    MIN_POWER,
    SuppressionLimit,
    denoise_gain_from_exponentials,
    denoise_limit,
    denoise_removed_power,
    denoise_smooth_log_power,
)
from antiphon_denoise.gate.network import Network, denoise_network, load_weights

SECONDS = 0.5


class RecentWord(IntEnum):
    """Places in the words of a ring of spectra: numbers, then addresses of arrays."""

    COUNT = 0
    """Number of added spectra."""
    SLOTS = 1
    BINS = 2
    HOP = 3
    SIZE = 4
    REACH = 5
    """Number of frames in half a second."""
    RING = 6
    MEAN = 7


@kernel
def denoise_recent_add(recent: i64p, power: f32p) -> None:
    """Adds power `[bins]` of the newest frame; frame n, from 0, ends after (n + 1) hops."""
    bins = recent[RecentWord.BINS]
    slot = recent[RecentWord.COUNT] % recent[RecentWord.SLOTS]
    into = address_f32(recent[RecentWord.RING] + 4 * slot * bins)
    for k in range(bins):
        into[k] = power[k]
    recent[RecentWord.COUNT] = recent[RecentWord.COUNT] + 1


@kernel
def denoise_recent_take(recent: i64p, when: i64) -> i64:
    """mean ← as in `RecentSpectra.take`, which defines when it returns 1."""
    hop = recent[RecentWord.HOP]
    count = recent[RecentWord.COUNT]
    slots = recent[RecentWord.SLOTS]
    bins = recent[RecentWord.BINS]
    last = min(when // hop, count) - 1
    if last < 0 or count - last > slots:
        return 0
    earliest = max(when - recent[RecentWord.REACH], 0)
    first = max(max(0, count - slots), (earliest + recent[RecentWord.SIZE] + hop - 1) // hop - 1)
    first = min(first, last)
    mean = address_f32(recent[RecentWord.MEAN])
    for k in range(bins):
        mean[k] = 0.0
    for n in range(first, last + 1):
        power = address_f32(recent[RecentWord.RING] + 4 * (n % slots) * bins)
        for k in range(bins):
            mean[k] = mean[k] + power[k]
    share = f32(1.0) / f32(last + 1 - first)
    for k in range(bins):
        mean[k] = mean[k] * share
    return 1


class RecentSpectra:
    """A ring of the power spectra of the last `SECONDS`; `mean`: `[bins]`, written by `take`."""

    def __init__(self, grid: SpectrumSizes, rate: int) -> None:
        reach = round(SECONDS * rate)
        slots = reach // grid.hop + 2
        self._ring: F32 = np.zeros((slots, grid.bins), np.float32)
        self.mean: F32 = np.zeros(grid.bins, np.float32)
        numbers = 0, slots, grid.bins, grid.hop, grid.size, reach
        self.words = np.array([*numbers, address(self._ring), address(self.mean)], np.int64)

    def clear(self) -> None:
        self.words[RecentWord.COUNT] = 0

    def add(self, power: F32) -> None:
        """Adds power `[bins]` of the newest frame; frame n, from 0, ends after (n + 1) hops."""
        denoise_recent_add(self.words, power)

    def take(self, when: int) -> bool:
        """mean ← mean power of the frames within the half second before a sample; of the newest frame if there is none.

        Returns False if no frame had ended by then. `when` counts samples from the last `clear`.
        """
        return denoise_recent_take(self.words, when) == 1


_LEVEL = 0.99
# places in `numbers`: mean power of the frame, the share of the removal that is allowed, the running mean of levels and
# how many hops it stands for
LEVEL, LIMIT, MEAN, HEARD = 0, 1, 2, 3


class EstimatorWord(IntEnum):
    """Places in the words of an estimator: numbers, then addresses of arrays."""

    BINS = 0
    KNOWN = 1
    """1 once the noise has been learned, else 0."""
    FIRST = 2
    """1 before the first frame, else 0."""
    POWER = 3
    GAIN = 4
    NOISE = 5
    LOG = 6
    SHORT = 7
    LONG = 8
    MEANS = 9
    """`[2, COUNT]`: means of power and of log power over the bands."""
    LEVELS = 10
    """`[COUNT]`: log power of the bands."""
    NOISE_LEVELS = 11
    LOGITS = 12
    ONES = 13
    BELOW = 14
    FRACTION = 15
    AREA = 16
    EDGE = 17
    INPUTS = 18
    COEFFICIENTS = 19
    NETWORK = 20
    NUMBERS = 21
    LIMITS = 22


@kernel
def denoise_measure_bands(w: i64p, log_power: f32p, power: f32p, least: f32, levels: f32p) -> None:
    """Measures band means of two spectra; levels `[COUNT]` ← log of the mean of power plus `least`."""
    ones = address_f32(w[EstimatorWord.ONES])
    means = address_f32(w[EstimatorWord.MEANS])
    below = address_i64(w[EstimatorWord.BELOW])
    fraction = address_f32(w[EstimatorWord.FRACTION])
    area = address_f32(w[EstimatorWord.AREA])
    denoise_band_means(power, ones, log_power, ones, BINS, below, fraction, area, means, COUNT)
    for b in range(COUNT):
        levels[b] = math.log(means[b] + least)


@kernel
def denoise_learn(w: i64p, power: f32p) -> None:
    """Sets the learned noise to the spectrum power `[bins]`."""
    noise = address_f32(w[EstimatorWord.NOISE])
    for k in range(w[EstimatorWord.BINS]):
        noise[k] = math.log(power[k] + f32(MIN_POWER))
    denoise_measure_bands(w, noise, power, f32(MIN_POWER), address_f32(w[EstimatorWord.NOISE_LEVELS]))
    w[EstimatorWord.KNOWN] = 1


@kernel
def denoise_gate_features(w: i64p) -> None:
    """Writes the network's inputs, and the level."""
    numbers = address_f64(w[EstimatorWord.NUMBERS])
    power = address_f32(w[EstimatorWord.POWER])
    levels = address_f32(w[EstimatorWord.LEVELS])
    noise_levels = address_f32(w[EstimatorWord.NOISE_LEVELS])
    means = address_f32(w[EstimatorWord.MEANS])
    x = address_f32(w[EstimatorWord.INPUTS])
    known = w[EstimatorWord.KNOWN]
    now = f64(0.0)
    for k in range(BINS):
        now = now + f64(power[k])
    now = now / f64(BINS)
    numbers[LEVEL] = now
    numbers[HEARD] = numbers[HEARD] * _LEVEL + 1.0
    numbers[MEAN] = numbers[MEAN] + (now - numbers[MEAN]) / numbers[HEARD]
    mean = math.log(numbers[MEAN] + 1e-8)
    for b in range(COUNT):
        level = levels[b]
        x[b] = (level - f32(mean)) * f32(1.0 / 3.0)
        x[COUNT + b] = means[COUNT + b] - level + f32(0.6)
        x[2 * COUNT + b] = f32(0.0)
        if known == 1:
            x[2 * COUNT + b] = f32(0.5) * min(max(noise_levels[b] - level, f32(-6.0)), f32(3.0))
    x[3 * COUNT] = known
    x[3 * COUNT + 1] = (math.log(now + MIN_POWER) - mean) / 2.0
    x[3 * COUNT + 2] = (mean + 8.0) / 5.0


@kernel
def denoise_gate_logits(w: i64p, ceiling: f32) -> None:
    """LOGITS `[2, bins]` ← negated logits of each bin's opening and of its lowest gain, within ±30.

    The network's coefficients are interpolated between band centres: constant, weights of the four levels relative to
    that of the band, and logit of the lowest gain. ceiling: log power above which a band is not attenuated.
    """
    log_power = address_f32(w[EstimatorWord.LOG])
    short = address_f32(w[EstimatorWord.SHORT])
    long = address_f32(w[EstimatorWord.LONG])
    noise = address_f32(w[EstimatorWord.NOISE])
    level = address_f32(w[EstimatorWord.LEVELS])
    coefficients = address_f32(w[EstimatorWord.COEFFICIENTS])
    edge = address_i64(w[EstimatorWord.EDGE])
    fraction = address_f32(w[EstimatorWord.FRACTION])
    gate_logit = address_f32(w[EstimatorWord.LOGITS])
    floor_logit = offset(gate_logit, w[EstimatorWord.BINS])
    known = f32(w[EstimatorWord.KNOWN])
    for b in range(COUNT - 1):
        constant_slope = coefficients[b + 1] - coefficients[b]
        now = coefficients[COUNT + b]
        now_slope = coefficients[COUNT + b + 1] - now
        short_term = coefficients[2 * COUNT + b]
        short_term_slope = coefficients[2 * COUNT + b + 1] - short_term
        long_term = coefficients[3 * COUNT + b]
        long_term_slope = coefficients[3 * COUNT + b + 1] - long_term
        learned = known * coefficients[4 * COUNT + b]
        learned_slope = known * coefficients[4 * COUNT + b + 1] - learned
        floor = coefficients[5 * COUNT + b]
        floor_slope = coefficients[5 * COUNT + b + 1] - floor
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
def denoise_estimate(w: i64p, ceiling: f64) -> None:
    """Computes gain and limit for the frame in power, as `Estimator.update`."""
    bins = w[EstimatorWord.BINS]
    power = address_f32(w[EstimatorWord.POWER])
    gain = address_f32(w[EstimatorWord.GAIN])
    log_power = address_f32(w[EstimatorWord.LOG])
    short = address_f32(w[EstimatorWord.SHORT])
    long = address_f32(w[EstimatorWord.LONG])
    levels = address_f32(w[EstimatorWord.LEVELS])
    logits = address_f32(w[EstimatorWord.LOGITS])
    numbers = address_f64(w[EstimatorWord.NUMBERS])
    known = w[EstimatorWord.KNOWN]
    for k in range(bins):
        log_power[k] = math.log(power[k])
    if w[EstimatorWord.FIRST] == 1:
        w[EstimatorWord.FIRST] = 0
        for k in range(bins):
            short[k] = log_power[k]
            long[k] = log_power[k]
    denoise_smooth_log_power(log_power, short, long, bins)
    denoise_measure_bands(w, log_power, power, f32(0.0), levels)
    denoise_gate_features(w)
    denoise_network(address_i64(w[EstimatorWord.NETWORK]))
    denoise_gate_logits(w, f32(ceiling))
    for k in range(2 * bins):
        logits[k] = math.exp(logits[k])
    denoise_gain_from_exponentials(logits, offset(logits, bins), bins, gain)
    removed = f64(denoise_removed_power(power, gain, BINS))
    limit = denoise_limit(address_f64(w[EstimatorWord.LIMITS]), numbers[LEVEL], removed)
    numbers[LIMIT] = 1.0 if known == 1 else limit


class Estimator:
    """The spectral gate of one stream: each `update` turns `power` into `gain`, both `[bins]`.

    `power` is written by `denoise_power`; `noise` is the log power of the learned noise, used if `known`. `words` and
    `numbers` are the state of the kernels, indexed by `EstimatorWord` and by `LEVEL` to `HEARD`.
    """

    def __init__(self, bins: int) -> None:
        self.bins = bins
        self.gain: F32 = np.ones(bins, np.float32)
        self.power: F32 = np.zeros(bins, np.float32)
        self.noise: F32 = np.full(bins, math.log(MIN_POWER), np.float32)
        self.numbers = np.zeros(4, np.float64)
        self._network, self._limits = Network(load_weights()), SuppressionLimit()
        below, fraction = places(bins)
        edge = np.searchsorted(below, np.arange(COUNT)).astype(np.int64)
        edge[-1] = bins
        means = BandMeans()
        self._arrays = {
            EstimatorWord.POWER: self.power,
            EstimatorWord.GAIN: self.gain,
            EstimatorWord.NOISE: self.noise,
            **{
                word: np.zeros(bins, np.float32)
                for word in (EstimatorWord.LOG, EstimatorWord.SHORT, EstimatorWord.LONG)
            },
            EstimatorWord.MEANS: np.zeros(2 * COUNT, np.float32),
            EstimatorWord.LEVELS: np.zeros(COUNT, np.float32),
            EstimatorWord.NOISE_LEVELS: np.zeros(COUNT, np.float32),
            EstimatorWord.LOGITS: np.zeros(2 * bins, np.float32),
            EstimatorWord.ONES: means.ones,
            EstimatorWord.BELOW: below,
            EstimatorWord.FRACTION: fraction,
            EstimatorWord.AREA: means.area,
            EstimatorWord.EDGE: edge,
            EstimatorWord.INPUTS: self._network.inputs,
            EstimatorWord.COEFFICIENTS: self._network.outputs,
            EstimatorWord.NETWORK: self._network.words,
            EstimatorWord.NUMBERS: self.numbers,
            EstimatorWord.LIMITS: self._limits.state,
        }
        self.words = np.zeros(len(EstimatorWord), np.int64)
        self.words[EstimatorWord.BINS] = bins
        for word, array in self._arrays.items():
            self.words[word] = address(array)
        self._update = denoise_estimate.caller()
        self.reset()

    @property
    def known(self) -> bool:
        """Whether the noise has been learned."""
        return bool(self.words[EstimatorWord.KNOWN])

    @property
    def limit(self) -> float:
        """Allowed share of the removal requested by `gain`, 0 to 1, as in `SuppressionLimit`; always 1 if `known`."""
        return float(self.numbers[LIMIT])

    def reset(self) -> None:
        self.words[EstimatorWord.KNOWN], self.words[EstimatorWord.FIRST] = 0, 1
        self.numbers[:] = 0.0, 1.0, 0.0, 0.0
        self._limits.reset()
        self.gain.fill(1.0)
        self._network.reset()

    def learn(self, power: F32) -> None:
        """Sets the learned noise to the spectrum power `[bins]`."""
        denoise_learn(self.words, power)

    def update(self, ceiling: float) -> None:
        """Computes `gain` and `limit`; bands above `ceiling`, natural log of power, are not attenuated."""
        self._update(self.words, ceiling)
