"""The classical way beside the networks: statistics of MFCC, and a logistic regression of each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64

COEFFICIENTS = 20
DECAY = 1e-3
"""Of the weights, in units of the mean loss; chosen of 1e-4, 1e-3 and 1e-2 on the choose-set of the tags."""
_FLOOR = 80.0
"""dB below the loudest, under which nothing counts."""


def mfcc(mel: NDArray[Any]) -> F32:
    """Mean and deviation of MFCC (Davis and Mermelstein 1980) without the first, the level, and of their steps.

    From `[clips, frames, bands]` in dB to float32 `[clips, 80]`.
    """
    bands = mel.shape[2]
    turns = np.outer(np.arange(bands) + 0.5, np.arange(1, COEFFICIENTS + 1))
    cosines = (np.sqrt(2.0 / bands) * np.cos(np.pi * turns / bands)).astype(np.float32)
    found = []
    for clip in mel:
        row = np.maximum(np.asarray(clip, np.float32), np.float32(clip.max() - _FLOOR)) @ cosines
        steps = np.diff(row, axis=0)
        found.append(np.concatenate([row.mean(axis=0), row.std(axis=0), steps.mean(axis=0), steps.std(axis=0)]))
    return np.stack(found)


@dataclass(frozen=True, slots=True)
class LogisticLabels:
    """A regression of each label on standardised features.

    `mean`: `[features]`. `deviation`: `[features]`. `weights`: `[features + 1, labels]`, the constants last.
    """

    mean: F64
    deviation: F64
    weights: F64

    def logits(self, features: F32) -> F32:
        """`[items, labels]` of features `[items, features]`."""
        even = (features - self.mean) / self.deviation
        return np.asarray(even @ self.weights[:-1] + self.weights[-1], np.float32)


def fit_logistic(features: F32, targets: F32, decay: float = DECAY) -> LogisticLabels:
    """Fits `[items, features]` to `[items, labels]`, 0 or 1, NaN where unknown, by L-BFGS with weight decay."""
    from scipy.optimize import minimize

    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    even = np.column_stack([(features - mean) / deviation, np.ones(len(features))]).astype(np.float64)
    known = np.isfinite(targets)
    truth = np.where(known, targets, 0.0)
    counts = np.maximum(1, known.sum(axis=0))
    shape = (even.shape[1], targets.shape[1])

    def slope(flat: F64) -> tuple[float, F64]:
        weights = flat.reshape(shape)
        logits = even @ weights
        loss = ((np.logaddexp(0.0, logits) - truth * logits) * known / counts).sum()
        back = even.T @ ((1.0 / (1.0 + np.exp(-logits)) - truth) * known / counts) + decay * weights
        return float(loss + 0.5 * decay * (weights**2).sum()), back.ravel()

    found = minimize(slope, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return LogisticLabels(mean.astype(np.float64), deviation.astype(np.float64), found.x.reshape(shape))
