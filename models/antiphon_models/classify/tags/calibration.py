"""From the network's answers to probabilities, and from these to whether a tag is stated: fitted on the choose-set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from antiphon.api import F32, F64

_ROUNDS = 60
_HELD = 1.0
"""Standard deviation, in logits, of an offset of a label about which the choose-set says nothing."""
_LEAST = 0.2
"""Probability below which no tag is stated."""


@dataclass(frozen=True, slots=True)
class TagCalibration:
    """Calibration of the answers: slope, offsets, thresholds.

    `offsets`: `[labels]`, of the logits times `slope`. `thresholds`: `[labels]`, probabilities from which a tag is
    stated: those of the best F1.
    """

    slope: float
    offsets: F64
    thresholds: F64

    def probabilities(self, logits: F32) -> F64:
        """Calibrated probabilities of logits `[clips, labels]`."""
        return np.asarray(expit(self.slope * logits.astype(np.float64) + self.offsets))


def calibrate(logits: F32, targets: F32) -> TagCalibration:
    """Fits slope and offsets by likelihood (Platt 1999; one slope for all labels), then the thresholds.

    Both are `[clips, labels]`, targets 0 or 1, NaN where unknown.
    """
    x, known = logits.astype(np.float64), np.isfinite(targets)
    truth = np.where(known, targets, 0.0)
    slope, offsets = 1.0, np.zeros(x.shape[1])
    for _ in range(_ROUNDS):  # Newton's method, in turns
        for both in (False, True):
            share = expit(slope * x + offsets)
            away, bend = (share - truth) * known, share * (1.0 - share) * known
            if both:
                slope -= float((away * x).sum() / ((bend * x * x).sum() + 1e-9))
                slope = float(np.clip(slope, 0.1, 3.0))
            else:
                offsets = offsets - (away.sum(axis=0) + offsets / _HELD**2) / (bend.sum(axis=0) + 1.0 / _HELD**2)
    share = expit(slope * x + offsets)
    thresholds = [_best(share[known[:, n], n], truth[known[:, n], n] > 0.5) for n in range(x.shape[1])]
    return TagCalibration(slope, offsets, np.maximum(np.array(thresholds), _LEAST))


def _best(share: F64, truth: NDArray[np.bool_]) -> float:
    """The probability of the best F1; one half where there is nothing to choose by."""
    if not truth.any():
        return 0.5
    order = np.argsort(-share, kind="stable")
    right = np.cumsum(truth[order])
    f1 = 2.0 * right / (np.arange(1, len(order) + 1) + truth.sum())
    return float(share[order[int(np.argmax(f1))]])
