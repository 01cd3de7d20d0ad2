"""What `instruments` is compared with: MFCC of a sound, its mean and deviation, and logistic regression for each label.

MFCC as Davis and Mermelstein (1980), on the classifiers' mel bands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
COEFFICIENTS = 20
RIDGE = 1e-3
"""Of the squared weights, so that rare labels have finite ones."""
ITERATIONS = 25


def features(mel: F32) -> F64:
    """Mean and deviation of coefficients 1 to 19 and of their steps from frame to frame, `[76]`.

    Args:
        mel: float32 `[frames, bands]` in dB. Its level does not count, as it does not for the network.
    """
    bands = mel.shape[1]
    order = np.arange(COEFFICIENTS)[1:, None]
    table = np.cos(np.pi * order * (np.arange(bands) + 0.5) / bands)
    cepstrum = np.maximum(mel, mel.max() - 80.0).astype(np.float64) @ table.T
    steps = np.diff(cepstrum, axis=0)
    return np.concatenate([cepstrum.mean(axis=0), cepstrum.std(axis=0), steps.mean(axis=0), steps.std(axis=0)])


class LogisticRegression:
    """One line for each label, by Newton's method.

    Args:
        rows: `[sounds, features]`.
        truth: bool `[sounds, labels]`.
    """

    def __init__(self, rows: F64, truth: NDArray[np.bool_]) -> None:
        self._mean, self._spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
        x = self._with_one(rows)
        self._weights = np.stack([_newton(x, own.astype(np.float64)) for own in truth.T], axis=1)

    def logits(self, rows: F64) -> F32:
        """Float32 `[sounds, labels]`."""
        return np.asarray(self._with_one(rows) @ self._weights, np.float32)

    def _with_one(self, rows: F64) -> F64:
        return np.concatenate([(rows - self._mean) / self._spread, np.ones((len(rows), 1))], axis=1)


def _newton(x: F64, y: F64) -> F64:
    weights = np.zeros(x.shape[1])
    ridge = RIDGE * len(x) * np.eye(x.shape[1])
    for _ in range(ITERATIONS):
        odds = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30.0, 30.0)))
        gradient = x.T @ (odds - y) + ridge @ weights
        curvature = (x * (odds * (1.0 - odds))[:, None]).T @ x + ridge
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-6:
            break
    return weights
