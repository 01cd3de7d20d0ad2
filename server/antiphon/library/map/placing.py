"""Points of many dimensions placed in two, so that neighbours stay neighbours.

A graph of nearest neighbours whose ends attract each other, and points drawn at random that repel, in the manner of
LargeVis (Tang et al., WWW 2016) and UMAP (McInnes et al., 2018): the time grows with the number of points, not with
its square. The same points and the same seed give the same places.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
NEIGHBOURS = 15
"""Of each point."""
ROUNDS = 200
APART = 5
"""Points that repel each end of an edge in a round."""
BEND, STEEP = 1.58, 0.9
"""Of the curve 1 / (1 + a d^2b) by which distance on the map becomes nearness: UMAP's for a least distance of 0.1."""
PIECE = 1024
"""Rows of a table of distances that are computed at a time."""
TRUSTED, MOST_TRUSTED = 10, 400
"""Neighbours on the map that trustworthiness looks at."""


def neighbours(points: F64, count: int) -> tuple[I64, F64]:
    """The nearest points of each, and their distances, `[n, count]` each, the nearest first."""
    size = len(points)
    count = min(count, size - 1)
    near, far = np.zeros((size, count), np.int64), np.zeros((size, count))
    squares = (points**2).sum(axis=1)
    for first in range(0, size, PIECE):
        rows = slice(first, min(size, first + PIECE))
        table = squares[rows, None] + squares[None] - 2.0 * points[rows] @ points.T
        table[np.arange(table.shape[0]), np.arange(rows.start, rows.stop)] = np.inf
        part = np.argpartition(table, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(table, part, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        near[rows] = np.take_along_axis(part, order, axis=1)
        far[rows] = np.sqrt(np.maximum(np.take_along_axis(values, order, axis=1), 0.0))
    return near, far


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


def place(points: F64, seed: int = 0, rounds: int = ROUNDS) -> F64:
    """Places `[n, 2]`, around 0, of standard deviation about 1, for points `[n, d]`; `rounds` steps of all edges."""
    start = flat(points)
    if len(points) < 4:
        return start
    near, far = neighbours(points, NEIGHBOURS)
    weight = _memberships(far)
    heads = np.repeat(np.arange(len(points)), near.shape[1])
    tails = near.ravel()
    strength = _symmetric(heads, tails, weight.ravel(), len(points))
    rng = np.random.default_rng(seed)
    # of the size at which UMAP's curve was fitted: a cluster is some units wide
    at = (10.0 * start / np.abs(start).max()).astype(np.float32)
    at += rng.normal(0.0, 1e-3, at.shape).astype(np.float32)
    size = len(points)
    for round_ in range(rounds):
        step = 1.0 - round_ / rounds
        chosen = np.flatnonzero(rng.random(len(heads)) < strength)
        one, two = heads[chosen], tails[chosen]
        gap = at[one] - at[two]
        square = (gap**2).sum(axis=1) + 1e-6
        pull = -2.0 * BEND * STEEP * square ** (STEEP - 1.0) / (1.0 + BEND * square**STEEP)
        move = np.clip(pull[:, None] * gap, -4.0, 4.0)
        change = _sums(one, move, size) - _sums(two, move, size)
        other = rng.integers(0, size, len(one) * APART)
        mine = np.repeat(one, APART)
        gap = at[mine] - at[other]
        square = (gap**2).sum(axis=1)
        push = 2.0 * STEEP / ((0.001 + square) * (1.0 + BEND * square**STEEP))
        push[mine == other] = 0.0
        change += _sums(mine, np.clip(push[:, None] * gap, -4.0, 4.0), size)
        at += (step * np.clip(change, -4.0, 4.0)).astype(np.float32)
    placed = at.astype(np.float64)
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
    """How far neighbours on the map are neighbours indeed, 0 to 1 (Venna and Kaski, 2001).

    1 where each of a point's neighbours on the map is among its nearest; NaN for fewer than three times as many points
    as neighbours. At most `MOST_TRUSTED` of the points `[n, d]`, with places `[n, 2]`, are looked at.
    """
    size, count = len(points), TRUSTED
    if 2 * size - 3 * count - 1 <= 0 or size < 3 * count:
        return float("nan")
    rows = np.arange(size) if size <= MOST_TRUSTED else np.random.default_rng(0).permutation(size)[:MOST_TRUSTED]
    squares, flat_squares = (points**2).sum(axis=1), (places**2).sum(axis=1)
    penalty = 0.0
    for row in rows:
        distance = squares - 2.0 * points @ points[row]
        distance[row] = -np.inf
        shown = flat_squares - 2.0 * places @ places[row]
        shown[row] = np.inf
        rank = np.empty(size, np.int64)
        rank[np.argsort(distance, kind="stable")] = np.arange(size)
        penalty += float(np.maximum(rank[np.argsort(shown, kind="stable")[:count]] - count, 0).sum())
    return 1.0 - 2.0 * penalty / (len(rows) * count * (2 * size - 3 * count - 1))


def _memberships(far: F64) -> F64:
    """How near neighbours are, 0 to 1: each point has as many effective ones, however dense its surroundings."""
    least = far[:, :1]
    wanted = np.log2(far.shape[1])
    low, high = np.full(len(far), 1e-6), np.full(len(far), far.max() * 10.0 + 1e-6)
    for _ in range(40):
        middle = np.sqrt(low * high)
        total = np.exp(-np.maximum(far - least, 0.0) / middle[:, None]).sum(axis=1)
        low, high = np.where(total < wanted, middle, low), np.where(total < wanted, high, middle)
    return np.asarray(np.exp(-np.maximum(far - least, 0.0) / high[:, None]))


def _symmetric(heads: I64, tails: I64, weight: F64, size: int) -> F64:
    """The weight of each edge together with the one the other way: a + b - ab."""
    order = np.argsort(heads * size + tails)
    keys = (heads * size + tails)[order]
    at = np.minimum(np.searchsorted(keys, tails * size + heads), len(keys) - 1)
    back = np.where(keys[at] == tails * size + heads, weight[order][at], 0.0)
    return np.asarray(weight + back - weight * back)


def _sums(rows: I64, values: NDArray[np.float32], size: int) -> F64:
    return np.stack([np.bincount(rows, values[:, n], size) for n in (0, 1)], axis=1)
