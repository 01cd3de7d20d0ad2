"""Confidence network of files, `confidence` with look-ahead; steady noise of a file.

A first pass over the whole file records the features. All hops pass a recurrent layer forwards and one backwards, which
give each band of each hop the same four shares, for a second pass. The gain played is the mean of the result and the
live network's, since the two err differently on unseen sounds. The sound removed by the mask in the first pass is also
an estimate of the noise, see `SteadyNoise`.
`antiphon train denoise-confidence-file` makes the weights.
"""

from typing import Any

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.models import ModelError, read_weights, sigmoid
from antiphon_denoise.bands import COUNT, places
from antiphon_denoise.learned.confidence import (
    CHOICES,
    FEATURES,
    GAIN_ONE_BIAS,
    INPUTS,
    Confidence,
    ConfidenceFeatures,
    denoise_confidence_gain,
)

MIN_REMOVED_DB = -13.0
"""Minimum power removed by the mask, in dB relative to the whole: -11.4 and more on 39 noisy items, -17 and less on
clean ones, except a recording that itself has hiss."""
MAX_EXCESS_DB = 4.0
"""Maximum excess in dB of the estimate over the removed power in every hop: intermittent noise was 4 to 9 above."""
MIN_FLATNESS_DB = -7.0
"""Minimum mean ratio of a bin's geometric to arithmetic mean in dB: steady noise has -2.5, harmed items -8 to -13."""
MEAN_OF_LOGS = 1.781
"""exp(Euler's constant): ratio of mean to geometric mean of an exponentially distributed power."""
FLOOR = 1e-12
"""Power below which a bin is silent: -120 dB."""
SILENT = 1e-9
"""Mean power of a bin below which a file is silent: the spectra of digital silence have 1e-10."""


class SteadyNoise:
    """Noise estimate of a file: sums over hops of powers and gains."""

    def __init__(self, bins: int) -> None:
        self._weights = np.zeros(bins)
        self._logs = np.zeros(bins)
        self._weighted = np.zeros(bins)
        self._taken = np.zeros(bins)
        self._whole = 0.0
        self._hops = 0

    def add(self, power: F32, gain: F32) -> None:
        """Adds a hop's `power` `[bins]` and the mask's `gain`, 0 to 1."""
        weight = (1.0 - gain) ** 2
        self._weights += weight
        self._logs += weight * np.log(power + FLOOR)
        self._weighted += weight * power
        self._taken += (1.0 - gain**2) * power
        self._whole += float(np.sum(power))
        self._hops += 1

    def power(self) -> F32 | None:
        """Mean noise power `[bins]`; None for too little noise, or unsteady noise."""
        taken = np.sum(self._taken)
        if taken <= 10.0 ** (MIN_REMOVED_DB / 10.0) * self._whole or self._whole <= SILENT * self._hops * len(
            self._taken
        ):
            return None
        weights = self._weights + 1e-3
        if self._hops * np.sum(self._weighted / weights) > 10.0 ** (MAX_EXCESS_DB / 10.0) * taken:
            return None
        often = np.exp(self._logs / weights)
        noise = np.minimum(MEAN_OF_LOGS * often, self._taken / self._hops)
        below = 10.0 * np.log10((often + FLOOR) / (self._weighted / weights + FLOOR))
        if np.sum(noise * below) < MIN_FLATNESS_DB * np.sum(noise):
            return None
        return np.asarray(noise, np.float32)


MODEL = "denoise-confidence-file"
HIDDEN = 64


class FileConfidence:
    """`Confidence` with look-ahead on files: records the features, then applies their shares.

    `noise`: noise estimate from the mask, while the features are recorded.
    """

    def __init__(self, weights: dict[str, F32], live: Confidence, bins: int, hops: int) -> None:
        """`weights`: as from `load`; `hops`: of the file."""
        self._live = live
        self._own: F32 = np.zeros(bins, np.float32)
        self._weights = weights
        self._features = ConfidenceFeatures()
        self.noise = SteadyNoise(bins)
        self._values = np.zeros((hops, INPUTS), np.float16)
        self._shares: F32 | None = None
        self._below, self._fraction = places(bins)
        self._bins = bins
        self._place = 0

    def reset(self) -> None:
        """Expects the first hop again."""
        self._features.reset()
        self._live.reset()
        self._place = 0

    @property
    def heard(self) -> bool:
        """Whether the shares have been computed."""
        return self._shares is not None

    def hear(self) -> None:
        """Computes the shares of all recorded hops."""
        self._shares = shares_of(self._weights, self._values[: self._place].astype(np.float32))
        self._values = self._values[:0].copy()

    def apply(self, power: F32, gate: F32, known: bool, gain: F32) -> None:
        """Applies the shares as `Confidence.apply` does; while recording, `gain` stays unchanged."""
        place, self._place = self._place, self._place + 1
        if self._shares is None:
            if not known:  # once it was told, no estimate is asked for
                self.noise.add(power, gain)
            self._features.update(power, gain, gate, known)
            if place < len(self._values):
                self._values[place] = self._features.values
            self._place = min(self._place, len(self._values))
        else:
            shares = self._shares[min(place, len(self._shares) - 1)]
            self._own[:] = gain
            denoise_confidence_gain(shares, COUNT, self._below, self._fraction, self._bins, self._own)
            self._live.apply(power, gate, known, gain)
            np.add(gain, self._own, out=gain)
            np.multiply(gain, 0.5, out=gain)


def shares_of(weights: dict[str, F32], features: F32) -> F32:
    """Features `[T, INPUTS]` of all hops → shares `[T, CHOICES, COUNT]`, as `FileConfidenceNetwork` in training."""
    x = np.tanh(features @ weights["enter.weight"].T + weights["enter.bias"])
    high = bidirectional_gru(weights, "turn", x)
    logits = (high @ weights["say.weight"].T + weights["say.bias"]).reshape(-1, CHOICES, COUNT)
    own = features[:, : FEATURES * COUNT].reshape(-1, FEATURES, COUNT)
    logits += np.einsum("tfb,cf->tcb", own, weights["local.weight"])
    logits[:, 0] += GAIN_ONE_BIAS
    logits -= logits.max(axis=1, keepdims=True)
    shares: Any = np.exp(logits)
    return np.ascontiguousarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def bidirectional_gru(weights: dict[str, F32], layer: str, x: F32) -> F32:
    """Bidirectional GRU layer over `[T, …]`, outputs concatenated."""
    return np.concatenate(
        [_gru_direction(weights, layer, "", x), _gru_direction(weights, layer, "_reverse", x[::-1])[::-1]], axis=1
    )


def _gru_direction(weights: dict[str, F32], layer: str, way: str, x: F32) -> F32:
    """One direction of the layer, in torch's order of gates: reset, update, new."""
    given = x @ weights[f"{layer}.weight_ih_l0{way}"].T + weights[f"{layer}.bias_ih_l0{way}"]
    across = np.ascontiguousarray(weights[f"{layer}.weight_hh_l0{way}"].T)
    bias, hidden = weights[f"{layer}.bias_hh_l0{way}"], len(across)
    out = np.zeros((len(x), hidden), np.float32)
    state = np.zeros(hidden, np.float32)
    for hop, row in enumerate(given):
        own = state @ across + bias
        gates = sigmoid(row[: 2 * hidden] + own[: 2 * hidden])
        new = np.tanh(row[2 * hidden :] + gates[:hidden] * own[2 * hidden :])
        state = new + gates[hidden:] * (state - new)
        out[hop] = state
    return out


def load(model: str = MODEL) -> dict[str, F32] | None:
    """Returns a network's installed weights by name, float32; None if missing: files are then processed without it."""
    try:
        return {name: np.ascontiguousarray(value, np.float32) for name, value in read_weights(model).items()}
    except ModelError:
        return None
