"""The network of `instruments` in numpy: convolutions over a log-mel excerpt, mean and maximum over time, labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon.api.backends.models import ModelError

RANGE = 80.0
"""dB below an excerpt's loudest point under which everything is alike."""
KERNEL = 3
"""Frames and bands that a convolution spans; it pads with zeros, and a maximum of 2 by 2 follows it."""
TOGETHER = 8
"""Excerpts that are computed at once: about 10 MB."""


def level_free(mel: F32) -> F32:
    """An excerpt `[…, frames, bands]` in dB without its level: what is played softer is the same.

    dB above the excerpt's mean, where nothing is more than `RANGE` below its maximum.
    """
    axes = (-2, -1)
    floor = mel.max(axis=axes, keepdims=True) - np.float32(RANGE)
    raised = np.maximum(mel, floor)
    return np.asarray(raised - raised.mean(axis=axes, keepdims=True, dtype=np.float32), np.float32)


class ClassifierNetwork:
    """Plays the arrays of a trained classifier.

    `arrays`: by name: `mean`, `deviation` `[bands]`; `convN.weight` `[out, in, 3, 3]` (frames, then bands) and
    `convN.bias` for N from 0; `hidden.weight` `[units, features]`, `hidden.bias`, `labels.weight` and `labels.bias`.
    Raises ModelError: an array is missing, or their shapes do not fit.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], name: str) -> None:
        try:
            held = {key: np.asarray(value, np.float32) for key, value in arrays.items()}
            self._mean, self._deviation = held["mean"], held["deviation"]
            self._layers: list[tuple[F32, F32]] = []
            while (key := f"conv{len(self._layers)}") + ".weight" in held:
                weight = held[f"{key}.weight"]
                rows = weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])
                self._layers.append((np.ascontiguousarray(rows), held[f"{key}.bias"]))
            self._dense = [
                (np.ascontiguousarray(held[f"{n}.weight"].T), held[f"{n}.bias"]) for n in ("hidden", "labels")
            ]
            self.logits(np.zeros((1, 2 ** len(self._layers), len(self._mean)), np.float32))
        except (KeyError, ValueError, IndexError) as error:
            raise ModelError(f"the weights {name} are not those of a classifier: {error}") from None

    def logits(self, mel: F32) -> F32:
        """Logits float32 `[excerpts, labels]` of `[excerpts, frames, bands]` in dB, of any level, one at least."""
        return np.concatenate([self._logits(mel[first : first + TOGETHER]) for first in range(0, len(mel), TOGETHER)])

    def _logits(self, mel: F32) -> F32:
        x = ((level_free(mel) - self._mean) / self._deviation)[..., None]
        for weight, bias in self._layers:
            x = _pool(np.maximum(_convolve(x, weight) + bias, 0.0))
        # [excerpts, frames, channels · bands], as the training's flatten has it
        flat = x.transpose(0, 1, 3, 2).reshape(*x.shape[:2], -1)
        features = np.concatenate([flat.mean(axis=1), flat.max(axis=1)], axis=1)
        (hidden, bias), (labels, offset) = self._dense
        return np.asarray(np.maximum(features @ hidden + bias, 0.0) @ labels + offset, np.float32)


def _convolve(x: F32, rows: F32) -> F32:
    """`x`: `[excerpts, frames, bands, channels]`; `rows`: `[9 · channels, out]`."""
    count, frames, bands, channels = x.shape
    padded = np.zeros((count, frames + 2, bands + 2, channels), np.float32)
    padded[:, 1:-1, 1:-1] = x
    beside = [padded[:, t : t + frames, b : b + bands] for t in range(KERNEL) for b in range(KERNEL)]
    return np.asarray(np.concatenate(beside, axis=-1) @ rows, np.float32)


def _pool(x: F32) -> F32:
    count, frames, bands, channels = x.shape
    x = x[:, : frames // 2 * 2, : bands // 2 * 2]
    return np.asarray(x.reshape(count, frames // 2, 2, bands // 2, 2, channels).max(axis=(2, 4)), np.float32)
