"""Words of tempo: which hold of a sound, by how the rises of its bands repeat over six seconds.

An excerpt of the network's three seconds has two or three beats of a slow piece, which state no tempo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon.api.backends.models import ModelError
from antiphon_classify.classifier import is_audible
from antiphon_classify.network import TOGETHER
from antiphon_classify.rhythm import FRAMES, GROUPS, LAGS, MEL_BANDS, features

WORDS = ("fast", "slow")
WEIGHT, BIAS = "tempo.weight", "tempo.bias"
"""Arrays `[words, REPEATS]` and `[words]` among the weights of the tags."""
REPEATS = GROUPS * (LAGS - 1)
"""The first columns of `features`: autocorrelations of the rises of each group of bands."""


def repeats(mel: NDArray[np.floating]) -> F32:
    """Autocorrelations `[windows, REPEATS]` of `[windows, frames, bands]` in dB; short ones repeated to `FRAMES`."""
    parts = [
        features(mel[first : first + TOGETHER].astype(np.float32))[:, :REPEATS]
        for first in range(0, len(mel), TOGETHER)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, REPEATS), np.float32)


class TempoWords:
    """A logistic regression of each word on `repeats`.

    Args:
        arrays: By name, `WEIGHT` and `BIAS`.

    Raises:
        ModelError: An array is missing, or has another shape.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], name: str) -> None:
        try:
            self._weight, self._bias = (np.asarray(arrays[key], np.float32) for key in (WEIGHT, BIAS))
        except KeyError as error:
            raise ModelError(f"the weights {name} have no words of tempo: {error}") from None
        if (self._weight.shape, self._bias.shape) != ((len(WORDS), REPEATS), (len(WORDS),)):
            raise ModelError(f"the weights {name} have words of tempo in another shape: {self._weight.shape}")

    def logits(self, mel: NDArray[np.floating]) -> F32:
        """float32 `[windows, words]` of windows as `repeats` takes them."""
        return np.asarray(repeats(mel) @ self._weight.T + self._bias, np.float32)


def replace(logits: F32, words: F32, labels: Sequence[str]) -> F32:
    """Logits `[n, labels]` with the columns of `WORDS` taken from `words`, `[n, words]` or `[words]`."""
    found = logits.copy()
    found[:, [labels.index(word) for word in WORDS]] = words
    return found


class TempoWindows:
    """The windows of one sound, which follow each other; the last one ends with the sound."""

    def __init__(self, words: TempoWords) -> None:
        self._words = words
        self._held = np.zeros((0, MEL_BANDS), np.float32)
        self._last = np.zeros((0, MEL_BANDS), np.float32)
        self._logits: list[F32] = []

    def push(self, frames: F32) -> None:
        """Takes the next frames `[frames, bands]` in dB."""
        self._held = np.concatenate([self._held, frames])
        while len(self._held) >= FRAMES:
            self._last, self._held = self._held[:FRAMES], self._held[FRAMES:]
            self._take(self._last)

    def logits(self) -> F32:
        """float32 `[words]`: the mean over the windows that are audible; 0 where none is."""
        if len(self._held) >= FRAMES // 2 or not len(self._last):
            self._take(np.concatenate([self._last, self._held])[-FRAMES:])
            self._held = self._held[:0]
        return np.mean(self._logits, axis=0) if self._logits else np.zeros(len(WORDS), np.float32)

    def _take(self, window: F32) -> None:
        if len(window) and is_audible(window[None])[0]:
            self._logits.append(self._words.logits(window[None])[0])
