"""Measures common to several models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Area under the precision-recall curve, in steps; tied items count together.

    0 where nothing is true.
    """
    order = np.argsort(-scores, kind="stable")
    right, ends = np.cumsum(truth[order]), np.flatnonzero(np.diff(scores[order], append=-np.inf))
    precision = right[ends] / (ends + 1.0)
    return float((precision * np.diff(right[ends], prepend=0)).sum() / max(1, truth.sum()))


def f1(stated: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2.0 * (stated & truth).sum() / max(1, stated.sum() + truth.sum()))
