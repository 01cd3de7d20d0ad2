"""crema's chord network (McFee and Bello, ISMIR 2017) in numpy: chord and bass probabilities of constant-Q frames."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, SHARP_NAMES
from antiphon.api.backends.models import ModelError, logistic, read_weights
from antiphon_listen.spectra.frames import BINS

log = logging.getLogger(__name__)
MODEL = "listen-chords"
KINDS = ("maj", "min", "dim", "aug", "7", "maj7", "min7", "maj6", "min6", "minmaj7", "dim7", "hdim7", "sus2", "sus4")
"""Kinds of chords in Harte's syntax."""
LABELS = (*(f"{root}:{kind}" for root in SHARP_NAMES for kind in KINDS), "N")
"""Classes of `CremaNetwork`, by root."""
_HARMONICS, _SPAN = 2, 6 * BINS
"""Copies of the spectrum an octave apart, and bins of each."""
_FLOOR = -80.0
"""Floor in dB below the loudest bin."""
_BLOCK, _AROUND = 1024, 2
"""Frames per convolution batch, and their context on each side."""


@dataclass(frozen=True, slots=True)
class ChordOdds:
    """Log probabilities of each frame: `chords` `[n, 169]` of `LABELS`, `bass` `[n, 13]` of pitch classes and none."""

    chords: F32
    bass: F32


class CremaNetwork:
    """The network. `weights`: its arrays, as `antiphon_models.listen.crema` names them."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = {name: np.asarray(array, np.float32) for name, array in weights.items()}

    def __call__(self, magnitudes: F32) -> ChordOdds:
        """Probabilities of the frames of `ConstantQ`, `[n, 252]`; there is one at least."""
        x = self._both_ways(self._both_ways(self._front(levels(magnitudes)), 1), 2)
        pitch = logistic(self._linear(x, "pitch"))
        root, bass = (_log_softmax(self._linear(x, name)) for name in ("root", "bass"))
        x = np.concatenate([x, pitch, np.exp(root), np.exp(bass)], axis=1)
        return ChordOdds(_log_softmax(self._linear(x, "tag")), bass)

    def _front(self, x: F32) -> F32:
        """`[n, 216, 2]` to `[n, 72]`: a convolution, and a layer over all bins, block by block."""
        kernel, bias = self._weights["front.kernel"], self._weights["front.bias"]
        found = []
        for first in range(0, len(x), _BLOCK):
            start = max(0, first - _AROUND)
            block = x[start : first + _BLOCK + _AROUND] * self._weights["input.scale"] + self._weights["input.shift"]
            smooth = np.maximum(0.0, _convolve(block, kernel) + bias)[first - start :][:_BLOCK]
            found.append(np.maximum(0.0, self._linear(smooth, "bins")))
        return np.concatenate(found)

    def _linear(self, x: F32, name: str) -> F32:
        return np.asarray(x @ self._weights[f"{name}.kernel"] + self._weights[f"{name}.bias"])

    def _both_ways(self, x: F32, number: int) -> F32:
        """A recurrent layer forwards and another backwards, side by side."""
        forward, backward = self._gated(x, f"forward{number}"), self._gated(x[::-1], f"backward{number}")[::-1]
        return np.concatenate([forward, backward], axis=1)

    def _gated(self, x: F32, name: str) -> F32:
        """Gated recurrent units (Cho et al., 2014) with hard sigmoids."""
        given, recurrent = self._linear(x, name), self._weights[f"{name}.recurrent"]
        units = recurrent.shape[0]
        gates, candidate = (np.ascontiguousarray(part) for part in np.split(recurrent, [2 * units], axis=1))
        out = np.zeros((len(x), units), np.float32)
        state: F32 = np.zeros(units, np.float32)
        for n in range(len(x)):
            gate = np.minimum(np.maximum(0.2 * (given[n, : 2 * units] + state @ gates) + 0.5, 0.0), 1.0)
            update, reset = gate[:units], gate[units:]
            fresh = np.tanh(given[n, 2 * units :] + (reset * state) @ candidate)
            state = np.asarray(update * state + (1.0 - update) * fresh, np.float32)
            out[n] = state
        return out


@cache
def chord_network() -> CremaNetwork | None:
    """The installed network; None, after one warning, where its weights are missing or changed."""
    try:
        return CremaNetwork(read_weights(MODEL))
    except ModelError as error:
        log.warning("chords of recordings are triads, found without the network: %s", error)
        return None


def levels(magnitudes: F32) -> F32:
    """dB below the loudest bin, `[n, 216, 2]`: the lower six octaves, and the upper six."""
    parts = [magnitudes[:, BINS * n : BINS * n + _SPAN] for n in range(_HARMONICS)]
    tops = [max(float(part.max(initial=0.0)), 1e-5) for part in parts]
    decibels = [20.0 * np.log10(np.maximum(part, 1e-5) / top) for part, top in zip(parts, tops, strict=True)]
    return np.maximum(np.stack(decibels, axis=2), _FLOOR).astype(np.float32)


def _convolve(x: F32, kernel: F32) -> F32:
    """`[n, bins, c]` and `[5, 5, c]` to `[n, bins]`, with zeros around."""
    (high, wide, channels), (count, bins) = kernel.shape, x.shape[:2]
    padded = np.pad(x, ((high // 2, high // 2), (wide // 2, wide // 2), (0, 0)))
    out = np.zeros((count, bins), np.float32)
    for a, b, c in np.ndindex(high, wide, channels):
        out += kernel[a, b, c] * padded[a : a + count, b : b + bins, c]
    return out


def _log_softmax(x: F32) -> F32:
    x = x - x.max(axis=1, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))
