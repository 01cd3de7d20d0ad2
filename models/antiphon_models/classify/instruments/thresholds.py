"""Probabilities and thresholds of labels: one temperature, and of each label the threshold of the best F1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from antiphon.api import F32, F64

TEMPERATURES = np.geomspace(0.5, 4.0, 40)
CANDIDATES = np.arange(0.1, 0.91, 0.02)
PRIOR = 3.0
"""Sounds, added to those that a threshold is chosen on as misses and as false alarms, so that few do not decide."""


def choose(logits: F32, truth: NDArray[np.bool_]) -> dict[str, Any]:
    """The manifest's `temperature`, of least cross-entropy, and `thresholds`, a probability for each label."""
    temperature = float(min(TEMPERATURES, key=lambda one: _cross_entropy(logits / one, truth)))
    odds = expit(logits.astype(np.float64) / temperature)
    found = []
    for values, own in zip(odds.T, truth.T, strict=True):
        scores = [2 * (own & (values >= at)).sum() / ((values >= at).sum() + own.sum() + PRIOR) for at in CANDIDATES]
        found.append(round(float(CANDIDATES[int(np.argmax(_smooth(np.array(scores))))]), 2))
    return {"temperature": round(temperature, 3), "thresholds": found}


def probabilities(logits: F32, details: Mapping[str, Any]) -> F32:
    """Calibrated probabilities, float32 `[sounds, labels]`."""
    return np.asarray(expit(logits.astype(np.float64) / float(details["temperature"])), np.float32)


def f1_of(present: NDArray[np.bool_], truth: NDArray[np.bool_]) -> F64:
    """F1 of each label, `[labels]`; NaN for a label that is in no sound and was never given."""
    both, either = (present & truth).sum(axis=0), present.sum(axis=0) + truth.sum(axis=0)
    return np.where(either > 0, 2.0 * both / np.maximum(either, 1), np.nan)


def macro_f1(present: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """The mean of the labels' F1."""
    return float(np.nanmean(f1_of(present, truth)))


def _cross_entropy(logits: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    signed = np.where(truth, logits, -logits)
    return float(np.logaddexp(0.0, -signed.astype(np.float64)).mean())


def _smooth(scores: F64) -> F64:
    """The mean of three neighbours, at the ends of two."""
    padded = np.concatenate([scores[:1], scores, scores[-1:]])
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3.0)
