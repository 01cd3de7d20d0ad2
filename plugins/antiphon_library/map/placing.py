"""Points of many dimensions placed in two by scikit-learn's t-SNE, so that neighbours stay neighbours.

Without scikit-learn there are two principal components alone. The same points give the same places.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.backends.runtime import missing_modules

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
PERPLEXITY = 30.0
"""Effective neighbours of each point."""
FEWEST = 4
"""Points below which two principal components are all there is."""
PIECE = 1024
"""Rows of a table of distances that are computed at a time."""
TRUSTED, MOST_TRUSTED = 10, 2000
"""Neighbours on the map that trustworthiness looks at, and points, drawn at random, that it compares."""


def neighbours(points: F64, count: int) -> I64:
    """The nearest points of each, `[n, count]`, the nearest first."""
    size, squares = len(points), (points**2).sum(axis=1)
    near = np.zeros((size, min(count, size - 1)), np.int64)
    for first in range(0, size, PIECE):
        rows = np.arange(first, min(size, first + PIECE))
        table = squares[None] - 2.0 * points[rows] @ points.T
        table[np.arange(len(rows)), rows] = np.inf
        near[rows] = np.argsort(table, axis=1, kind="stable")[:, : near.shape[1]]
    return near


def flat(points: F64) -> F64:
    """The first two principal components, `[n, 2]`, of variance 1; signs do not depend on the machine."""
    if len(points) < 3 or points.shape[1] < 2:
        line = np.arange(len(points), dtype=np.float64)
        return np.stack([line, np.zeros(len(points))], axis=1)
    rows = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(rows.T @ rows)
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    placed = rows @ axes
    return np.asarray(placed / (placed.std(axis=0) + 1e-9))


def place(points: F64) -> F64:
    """Places `[n, 2]`, around 0, of standard deviation about 1, for points `[n, d]`.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise UsageError(missing_modules("library map", "scikit-learn", extra="map")) from None
    if len(points) < FEWEST:
        return flat(points)
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    placed = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(points).astype(np.float64)
    placed -= placed.mean(axis=0)
    return np.asarray(placed / (placed.std() + 1e-9))


def beside(points: F64, known: F64, places: F64) -> F64:
    """Places `[m, 2]` of points `[m, d]`, between those of the nearest known points `[n, d]`, without moving any."""
    found = np.zeros((len(points), 2))
    squares = (known**2).sum(axis=1)
    for row, point in enumerate(points):
        distance = np.sqrt(np.maximum(squares + point @ point - 2.0 * known @ point, 0.0))
        near = np.argsort(distance, kind="stable")[:5]
        weight = 1.0 / (distance[near] + 1e-3)
        found[row] = (weight[:, None] * places[near]).sum(axis=0) / weight.sum()
    return found


def trustworthiness(points: F64, places: F64) -> float:
    """How far neighbours on the map are neighbours indeed, 0 to 1 (Venna and Kaski, 2001); NaN for too few points."""
    from sklearn.manifold import trustworthiness

    chosen = np.random.default_rng(0).permutation(len(points))[:MOST_TRUSTED]
    if len(chosen) < 3 * TRUSTED:
        return float("nan")
    return float(trustworthiness(points[chosen], places[chosen], n_neighbors=TRUSTED))
