"""Measures of many labels, and of neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from antiphon.api import F64


def roc_auc(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """The chance that a true item is above a false one, ties half; `truth` has both."""
    ranks, count = rankdata(scores), int(truth.sum())
    return float((ranks[truth].sum() - count * (count + 1) / 2) / (count * (len(truth) - count)))


def f1(stated: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2.0 * (stated & truth).sum() / max(1, stated.sum() + truth.sum()))


def neighbour_recall(vectors: NDArray[np.floating], labels: NDArray[np.int64], count: int = 10) -> F64:
    """Recall of neighbours: of each item, the share of its label's items among the nearest, of the most that can be.

    Compared as the library does: each dimension of `[items, dimensions]` standardised over all, then the cosine.
    """
    even = (vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + 1e-9)
    even = even / (np.linalg.norm(even, axis=1, keepdims=True) + 1e-9)
    near = even @ even.T
    np.fill_diagonal(near, -np.inf)
    order = np.argsort(-near, axis=1, kind="stable")[:, :count]
    same = labels[order] == labels[:, None]
    others = np.array([(labels == label).sum() - 1 for label in labels])
    return np.asarray(same.sum(axis=1) / np.maximum(1, np.minimum(count, others)), np.float64)
