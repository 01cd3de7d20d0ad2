"""The peer of `genre`: mean and deviation of MFCC over a clip, and a logistic regression by scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
COEFFICIENTS = 20
STRENGTHS = (0.01, 0.3)
"""Inverse regularisation, of which one is chosen on the clips that choose."""


def mfcc(mel: NDArray[np.floating]) -> NDArray[np.float64]:
    """Features of clips: mean and deviation of 20 MFCC and of their differences (Davis and Mermelstein 1980).

    Args:
        mel: `[clips, frames, bands]` in dB.

    Returns:
        float64 `[clips, 80]`.
    """
    bands = mel.shape[-1]
    turns = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(COEFFICIENTS))
    found = mel.astype(np.float32) @ np.cos(turns).astype(np.float32) / bands
    change = np.diff(found, axis=1)
    parts = [found.mean(axis=1), found.std(axis=1), change.mean(axis=1), change.std(axis=1)]
    return np.asarray(np.concatenate(parts, axis=1), np.float64)


class MfccRegression:
    """Fitted to excerpts; of `STRENGTHS` the one that is best on others.

    Args:
        fit: `[excerpts, 80]`, of `mfcc`.
        targets: `[excerpts]`.
        choose: Other excerpts, float32 `[excerpts, frames, bands]` in dB.
        chosen: Their targets.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """

    def __init__(
        self, fit: NDArray[np.floating], targets: NDArray[np.integer], choose: F32, chosen: NDArray[np.integer]
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        features = fit.astype(np.float64)
        self._mean, self._deviation = features.mean(axis=0), features.std(axis=0) + 1e-9
        x, others = self._scaled(features), self._scaled(mfcc(choose))
        options = [LogisticRegression(C=strength, max_iter=200).fit(x, targets) for strength in STRENGTHS]
        self._model = max(options, key=lambda model: float(model.score(others, chosen)))

    def logits(self, mel: F32) -> F32:
        """Logits of excerpts, float32 `[excerpts, frames, bands]` in dB: float32 `[excerpts, labels]`."""
        return np.asarray(self._model.decision_function(self._scaled(mfcc(mel))), np.float32)

    def _scaled(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((features - self._mean) / self._deviation)
