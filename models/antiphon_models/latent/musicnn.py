"""musicnn's embedding of sounds (Pons 2019, MagnaTagATune): weights of its wheel, read by TensorFlow, run by torch.

pip install --no-deps musicnn, and antiphon[keras]: its own requirements are of Python 3.7.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from antiphon.api import F32, F64
from antiphon.kernel.signal.features import import_librosa

RATE, HOP, SIZE, MELS = 16000, 256, 512, 96
MODEL = "MTT_musicnn"
FRONT = (38, 67, 128, 64, 32)
"""Mels of the two kernels of timbre, frames of the three of time."""
EPSILON = 1e-3


def missing() -> str:
    """What it needs that is not installed; empty for nothing."""
    return next((name for name in ("musicnn", "tensorflow", "librosa") if importlib.util.find_spec(name) is None), "")


class Embedding:
    """The last hidden layer, 200 numbers, of sounds of two seconds or so."""

    def __init__(self) -> None:
        import tensorflow

        spec = importlib.util.find_spec("musicnn")
        assert spec is not None
        assert spec.origin is not None
        # the files are named .index and .data…, so that their common name is empty
        prefix = f"{Path(spec.origin).parent / MODEL}/"
        reader = tensorflow.compat.v1.train.NewCheckpointReader(prefix)
        names = [name for name in reader.get_variable_to_shape_map() if "Adam" not in name]
        self._weights = {name: torch.from_numpy(np.asarray(reader.get_tensor(name))) for name in names}

    def of(self, sounds: Iterable[F32]) -> F64:
        """Float64 `[n, 200]` of mono sounds at `RATE`."""
        with torch.inference_mode():
            return np.array([self._one(self._mels(sound)) for sound in sounds], np.float64)

    def _mels(self, sound: F32) -> F32:
        librosa = import_librosa()
        level = sound / max(1e-6, float(np.sqrt(np.mean(sound**2)))) * 0.1
        mels = librosa.feature.melspectrogram(y=level, sr=RATE, hop_length=HOP, n_fft=SIZE, n_mels=MELS)
        return np.asarray(np.log10(10000.0 * mels.T + 1.0), np.float32)

    def _one(self, mels: F32) -> F32:
        x = self._norm(torch.from_numpy(mels)[None, None], 0)
        parts = []
        for n, width in enumerate(FRONT):
            timbral = n < 2
            rows = 7 if timbral else width
            # "same" as TensorFlow has it: of an even kernel the larger half behind
            before, after = (3, 3) if timbral else ((rows - 1) // 2, rows // 2)
            y = functional.relu(self._conv(functional.pad(x, (0, 0, before, after)), n))
            parts.append(self._norm(y, n + 1).amax(dim=3))
        features = torch.cat(parts, dim=1)
        layers = [features]
        for n in (5, 6, 7):
            padded = functional.pad(layers[-1].transpose(1, 2)[:, None], (0, 0, 3, 3))
            y = self._norm(functional.relu(self._conv(padded, n)), n + 1)[..., 0]
            layers.append(y if n == 5 else y + layers[-1])
        every = torch.cat(layers, dim=1)
        # TensorFlow's axes: a row for each feature, of its greatest and its mean
        pooled = torch.stack([every.amax(dim=2), every.mean(dim=2)], dim=2).flatten(1)
        pooled = self._norm(pooled[..., None, None], 9)[..., 0, 0]
        weight, bias = self._weights["dense/kernel"], self._weights["dense/bias"]
        hidden = functional.relu(pooled @ weight + bias)
        return np.asarray(self._norm(hidden[..., None, None], 10)[0, :, 0, 0].numpy(), np.float32)

    def _conv(self, x: torch.Tensor, n: int) -> torch.Tensor:
        name = f"conv2d_{n}" if n else "conv2d"
        return functional.conv2d(x, self._weights[f"{name}/kernel"].permute(3, 2, 0, 1), self._weights[f"{name}/bias"])

    def _norm(self, x: torch.Tensor, n: int) -> torch.Tensor:
        name = f"batch_normalization_{n}" if n else "batch_normalization"
        mean, variance, scale, shift = (
            self._weights[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return functional.batch_norm(x, mean, variance, scale, shift, eps=EPSILON)
