"""The confidence network of mode `learned`: how far the mask's gains may be believed, band by band.

403 numbers to 48, a gated recurrent layer of 48, and for each band a division into four shares: of the gains 1, the
mask's, its cube, and 0. So where the mask is likely to be wrong the sound passes, and where it is likely to be right
more is removed than it asks for. It runs in the engine as machine code, without torch, on the answer of a hop.
`antiphon train denoise-confidence` makes the weights.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import cache

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.models import ModelError, find_array, read_weights
from antiphon.api.kernels import f32, f32p, i64, i64p, kernel
from antiphon_denoise.bands import COUNT, places
from antiphon_denoise.gate.network import denoise_affine, denoise_gru_step, denoise_tanh
from antiphon_denoise.learned.confidence_features import FEATURES, INPUTS, ConfidenceFeatures

log = logging.getLogger("antiphon.denoise")
MODEL = "denoise-confidence"
HIDDEN = 48
CHOICES = 4
"""Gains of a bin among which a band's shares are divided: 1, the mask's, its cube, and 0."""
START = (0.5, 3.0, 0.0, -2.5)
"""Logits of the shares before training: nearly the mask's gain."""
CAUTION = -1.0
"""Added to the logit of the gain 1 after training, here and in files. The training counts a loss twice to five times as
much as a gain, which keeps more noise than people want: with 0.7, its best score, 56 mixtures of songs and recorded
voices gain 0.5 dB less, and one fewer loses over 0.5 dB; with lower values clean sound loses more.
"""
LAYOUT: tuple[tuple[str, tuple[int, ...]], ...] = (
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
    """gain `[bins]` ← the division of the gains 1, gain, gain³ and 0 by shares `[4, bands]`, in place.

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
        biases[:COUNT] += CAUTION
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
            denoise_affine.bind(values, INPUTS, HIDDEN, w["w0"], w["b0"], self._first),
            denoise_tanh.bind(self._first, HIDDEN),
            denoise_affine.bind(self._first, HIDDEN, 3 * HIDDEN, w["u1"], w["c1"], self._from_input),
            denoise_affine.bind(self._state, HIDDEN, 3 * HIDDEN, w["v1"], zero_bias, self._from_state),
            denoise_gru_step.bind(self._from_input, self._from_state, w["d1"], self._state, HIDDEN),
            denoise_affine.bind(self._state, HIDDEN, CHOICES * COUNT, w["wo"], w["bo"], self.shares),
            denoise_confidence_shares.bind(self.shares, values, w["wl"], FEATURES, CHOICES, COUNT),
        ]

    def reset(self) -> None:
        self._features.reset()
        self._state.fill(0.0)

    def apply(self, power: F32, gate: F32, known: bool, gain: F32) -> None:
        """gain `[bins]`, of the mask for this hop's power, ← as far as it may be believed, beside the spectral gate's.

        `known`: whether the noise had been learned.
        """
        self._features.update(power, gain, gate, known)
        for run in self._steps:
            run()
        denoise_confidence_gain(self.shares, COUNT, self._below, self._fraction, self._bins, gain)


@cache
def load_confidence() -> dict[str, F32] | None:
    """The installed weights by name, float32; None, after one warning, where no sound model is installed."""
    try:
        named = read_weights(MODEL)
        return {name: find_array(named, name, *shape).astype(np.float32) for name, shape in LAYOUT}
    except ModelError as error:
        log.warning("denoise applies its mask as it is, which harms more of the sound: %s", error)
        return None
