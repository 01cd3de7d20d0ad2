"""Features of six seconds for a classifier of styles: which bands rise when, and relative to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon_classify.network import TOGETHER, ClassifierNetwork, dense_layer, level_free

FRAMES = 256
"""Of an excerpt: 5.94 s."""
GROUPS = 8
"""Of mel bands, whose rises stand for drums and parts from low to high."""
LAGS = 110
"""Frames: 2.55 s, a bar at 94 beats a minute."""
MODULATIONS = 64
"""Of 0.168 Hz each, to 10.7 Hz: fluctuation patterns (Pampalk, Rauber and Merkl 2002)."""
PAIRS = ((0, 3), (0, 6), (3, 6), (1, 5))
"""Groups whose rises are compared: bass drum, snare drum and cymbals follow each other as a groove has them."""
COEFFICIENTS = 20
MEL_BANDS = 64
LIMIT = 5.0
"""Standard deviations that a feature counts at most."""


def features(mel: F32) -> F32:
    """Features of excerpts.

    Args:
        mel: float32 `[excerpts, frames, bands]` in dB; of `FRAMES`, shorter ones are repeated to that length.

    Returns:
        float32 `[excerpts, features]`: autocorrelations of the rises of each group, correlations of pairs, modulation
        spectra, and mean, deviation and 90th percentile of bands, MFCC.
    """
    if mel.shape[1] < FRAMES:
        times = -(-FRAMES // mel.shape[1])
        mel = np.tile(mel, (1, times, 1))
    mel = level_free(mel[:, :FRAMES])
    count = len(mel)
    grouped = mel.reshape(count, FRAMES, GROUPS, -1).mean(axis=3)
    rises = np.maximum(np.diff(mel, axis=1), 0.0).reshape(count, FRAMES - 1, GROUPS, -1).mean(axis=3)
    spectra = np.fft.rfft(rises - rises.mean(axis=1, keepdims=True), 2 * FRAMES, axis=1)
    own = np.fft.irfft(np.abs(spectra) ** 2, axis=1)
    power = own[:, 0] + 1e-3
    parts = [(own[:, 1:LAGS] / power[:, None]).reshape(count, -1)]
    for first, second in PAIRS:
        both = np.fft.irfft(np.conj(spectra[..., first]) * spectra[..., second], axis=1)
        both /= np.sqrt(power[:, first] * power[:, second])[:, None]
        parts.append(np.concatenate([both[:, :LAGS], both[:, -LAGS:]], axis=1))
    window = np.hanning(FRAMES)[:, None]
    swings = np.abs(np.fft.rfft((grouped - grouped.mean(axis=1, keepdims=True)) * window, axis=1))[:, :MODULATIONS]
    parts.append(np.log1p(swings / 10.0).reshape(count, -1))
    parts += [rises.std(axis=1), grouped.std(axis=1), mel.mean(axis=1), mel.std(axis=1)]
    parts.append(np.percentile(mel, 90, axis=1))
    cepstra = mel @ _cosines(mel.shape[-1])
    change = np.diff(cepstra, axis=1)
    parts += [cepstra.std(axis=1), change.std(axis=1)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _cosines(bands: int) -> F32:
    turns = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(COEFFICIENTS))
    return np.asarray(np.cos(turns) / bands, np.float32)


class RhythmNetwork(ClassifierNetwork):
    """Plays the arrays of a trained classifier over `features`.

    Args:
        arrays: By name: `mean`, `deviation` `[features]`; `hidden0.weight` `[units, features]`, `hidden0.bias` and so
            on, `labels.weight` and `labels.bias`.

    Raises:
        ModelError: An array is missing, or their shapes do not fit.
    """

    def _take(self, arrays: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
        self._dense: list[tuple[F32, F32]] = []
        while f"hidden{len(self._dense)}.weight" in arrays:
            self._dense.append(dense_layer(arrays, f"hidden{len(self._dense)}"))
        return FRAMES, MEL_BANDS

    def embedding(self, mel: F32) -> F32:
        """The last layer but one: float32 `[excerpts, units]`, at least 0."""
        parts = [features(mel[first : first + TOGETHER]) for first in range(0, len(mel), TOGETHER)]
        if not parts:
            return np.zeros((0, len(self._labels[0])), np.float32)
        return self.embedding_of(np.concatenate(parts))

    def embedding_of(self, found: F32) -> F32:
        """Embedding of features, float32 `[excerpts, features]`."""
        x = np.clip((found - self._mean) / self._deviation, -LIMIT, LIMIT)
        for weight, bias in self._dense:
            x = np.maximum(x @ weight + bias, 0.0)
        return np.asarray(x, np.float32)
