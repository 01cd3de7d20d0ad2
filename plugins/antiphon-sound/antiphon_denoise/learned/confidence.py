"""Confidence network of mode `learned`: reliability of the mask's gains, band by band.

403 inputs to 48, a gated recurrent layer of 48, and for each band four shares: of the gains 1, the mask's, its cube,
and 0. So the sound passes where the mask is probably wrong, and more is removed than the mask requests where it is
probably right. The network runs in the engine as machine code, without torch, on the answer of a hop.
`antiphon train denoise-confidence` makes the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from antiphon.api import F32
from antiphon.api.kernels import f32, f32p, i64, i64p, kernel
from antiphon_denoise.bands import BINS, COUNT, BandMeans, places
from antiphon_denoise.gate.network import (
    WeightLayout,
    denoise_gru_step,
    denoise_linear_layer,
    denoise_tanh,
    installed_weights,
)

FEATURES, GLOBALS = 9, 7
"""Features per band, and of the whole frame."""
INPUTS = COUNT * FEATURES + GLOBALS
SUMS = 6
_QUIET = 1e-10
_MIN_SHARE = 1e-3
"""Share of power below which a gain counts as muting."""
_LEVEL, _LONG, _SLOW = 0.99, 0.97, 0.995
"""Decay by the hop of 8 ms: running mean of the level, levels smoothed over 0.27 s, and shares over 1.6 s."""
_FLOOR_SMOOTH, _FLOOR_HOPS = 0.6, 90
"""Decay of the level whose minimum is the floor; half the hops of that minimum (0.7 to 1.4 s)."""


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
        self._means.write_scaled(power, mask, power, gate, self._passing)
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
        np.add(self._shares, _MIN_SHARE, out=self._shares)
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
        """Smooths the bands' levels and updates their floors."""
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
        out[3] = 0.5 * math.log(self._passed[0] / self._short_power + _MIN_SHARE)
        out[4] = 0.5 * math.log(self._passed[1] / self._long_power + _MIN_SHARE)
        out[5] = 0.5 * math.log(self._passed[2] / self._short_power + _MIN_SHARE)
        out[6] = 0.5 * math.log(self._passed[3] / self._long_power + _MIN_SHARE)


MODEL = "denoise-confidence"
HIDDEN = 48
CHOICES = 4
"""Number of candidate gains mixed by a band's shares: 1, the mask's, its cube, and 0."""
INITIAL_LOGITS = (0.5, 3.0, 0.0, -2.5)
"""Initial logits of the shares: nearly the mask's gain."""
GAIN_ONE_BIAS = -1.0
"""Bias of the logit of gain 1 after training, here and in files. The training weights a loss two to five times as much
as a gain, which keeps more noise than listeners prefer. With 0.7, the best score, 56 mixtures of songs and recorded
voices improve by 0.5 dB less, and one fewer loses over 0.5 dB; with lower values clean sound loses more."""
LAYOUT: WeightLayout = (
    ("w0", (INPUTS, HIDDEN)),
    ("b0", (HIDDEN,)),
    ("u1", (HIDDEN, 3 * HIDDEN)),
    ("v1", (HIDDEN, 3 * HIDDEN)),
    ("c1", (3 * HIDDEN,)),
    ("d1", (HIDDEN,)),
    ("wo", (HIDDEN, CHOICES * COUNT)),
    ("bo", (CHOICES * COUNT,)),
    ("wl", (FEATURES, CHOICES)),
)


@kernel
def denoise_confidence_shares(logits: f32p, features: f32p, local: f32p, count: i64, choices: i64, bands: i64) -> None:
    """logits `[choices, bands]` ← shares whose sum over the choices is 1, in place.

    features: `[count, bands]`, of each band; local: `[count, choices]`, their weights, the same for all bands.
    """
    for b in range(bands):
        total = f32(0.0)
        for c in range(choices):
            value = logits[c * bands + b]
            for i in range(count):
                value = value + features[i * bands + b] * local[i * choices + c]
            value = math.exp(max(min(value, f32(30.0)), f32(-30.0)))
            logits[c * bands + b] = value
            total = total + value
        for c in range(choices):
            logits[c * bands + b] = logits[c * bands + b] / total


@kernel
def denoise_confidence_gain(shares: f32p, bands: i64, below: i64p, fraction: f32p, bins: i64, gain: f32p) -> None:
    """gain `[bins]` ← mix of the gains 1, gain, gain³ and 0 by shares `[4, bands]`, in place.

    below, fraction: as for `denoise_band_means`.
    """
    for k in range(bins):
        b = below[k]
        up = fraction[k]
        down = f32(1.0) - up
        g = gain[k]
        whole = down * shares[b] + up * shares[b + 1]
        same = down * shares[bands + b] + up * shares[bands + b + 1]
        cube = down * shares[2 * bands + b] + up * shares[2 * bands + b + 1]
        gain[k] = whole + g * (same + cube * g * g)


class Confidence:
    """The network of one stream. `shares`: float32 `[CHOICES, COUNT]` of the newest hop."""

    def __init__(self, weights: dict[str, F32], bins: int) -> None:
        biases = weights["bo"].copy()
        biases[:COUNT] += GAIN_ONE_BIAS
        self._weights = {**weights, "bo": biases}
        self._features = ConfidenceFeatures()
        self.shares: F32 = np.zeros((CHOICES, COUNT), np.float32)
        self._first: F32 = np.zeros(HIDDEN, np.float32)
        self._state: F32 = np.zeros(HIDDEN, np.float32)
        self._from_input: F32 = np.zeros(3 * HIDDEN, np.float32)
        self._from_state: F32 = np.zeros(3 * HIDDEN, np.float32)
        zero_bias = np.zeros(3 * HIDDEN, np.float32)
        self._below, self._fraction = places(bins)
        self._bins = bins
        w, values = self._weights, self._features.values
        self._steps: list[Callable[[], None]] = [
            denoise_linear_layer.bind(values, INPUTS, HIDDEN, w["w0"], w["b0"], self._first),
            denoise_tanh.bind(self._first, HIDDEN),
            denoise_linear_layer.bind(self._first, HIDDEN, 3 * HIDDEN, w["u1"], w["c1"], self._from_input),
            denoise_linear_layer.bind(self._state, HIDDEN, 3 * HIDDEN, w["v1"], zero_bias, self._from_state),
            denoise_gru_step.bind(self._from_input, self._from_state, w["d1"], self._state, HIDDEN),
            denoise_linear_layer.bind(self._state, HIDDEN, CHOICES * COUNT, w["wo"], w["bo"], self.shares),
            denoise_confidence_shares.bind(self.shares, values, w["wl"], FEATURES, CHOICES, COUNT),
        ]

    def reset(self) -> None:
        self._features.reset()
        self._state.fill(0.0)

    def apply(self, power: F32, gate: F32, known: bool, gain: F32) -> None:
        """gain `[bins]` of the mask ← adjusted by confidence; gate: the gate's gains; `known`: the noise is learned."""
        self._features.update(power, gain, gate, known)
        for run in self._steps:
            run()
        denoise_confidence_gain(self.shares, COUNT, self._below, self._fraction, self._bins, gain)


@cache
def load_confidence() -> dict[str, F32] | None:
    """Returns the weights of the confidence network, as `installed` does."""
    return installed_weights(MODEL, LAYOUT, "applies its mask as it is, which harms more of the sound")
