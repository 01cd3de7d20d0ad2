"""Methods that recommend, beside each other: each learns from lists of plays, and scores tracks after some plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from antiphon.api import F64
from antiphon_library.taste.choosing import TrackTable
from antiphon_library.taste.preference import components
from antiphon_library.taste_tables import TrackRow
from antiphon_models.recommend.world import World

FACTORS, ROUNDS, CONFIDENCE, DECAY = 32, 10, 20.0, 3.0
"""Of alternating least squares."""
EASE_DECAY = 150.0
"""Chosen from 20, 50, 100, 150 and 200 on simulated users that are not measured: the best for both simulators."""


class RecommendMethod(Protocol):
    """A way to recommend."""

    def scores(self, plays: Sequence[int]) -> F64:
        """A number for each track, the better the higher."""


def table_of(lists: Sequence[Sequence[int]], tracks: int) -> F64:
    """Who played what, `[people, tracks]`, 0 or 1."""
    found = np.zeros((len(lists), tracks))
    for row, plays in enumerate(lists):
        found[row, list(plays)] = 1.0
    return found


class RandomOrder:
    """Trivial: any track."""

    def __init__(self, tracks: int, seed: int) -> None:
        self._tracks, self._rng = tracks, np.random.default_rng(seed)

    def scores(self, plays: Sequence[int]) -> F64:
        return self._rng.random(self._tracks)


class Popularity:
    """Trivial: what most people played."""

    def __init__(self, table: F64) -> None:
        self._plays = table.sum(axis=0)

    def scores(self, plays: Sequence[int]) -> F64:
        return np.asarray(self._plays)


class ItemNeighbours:
    """Cosine between who played two tracks, summed over the plays (Sarwar et al., 2001)."""

    def __init__(self, table: F64) -> None:
        gram = table.T @ table
        size = np.sqrt(np.maximum(gram.diagonal(), 1.0))
        self._weights = gram / size[:, None] / size[None]
        np.fill_diagonal(self._weights, 0.0)

    def scores(self, plays: Sequence[int]) -> F64:
        return np.asarray(self._weights[list(plays)].sum(axis=0))


class Ease:
    """A linear model of each track by all others, in closed form (Steck, WWW 2019)."""

    def __init__(self, table: F64, decay: float = EASE_DECAY) -> None:
        inverse = np.linalg.inv(table.T @ table + decay * np.eye(table.shape[1]))
        self._weights = inverse / -inverse.diagonal()[None]
        np.fill_diagonal(self._weights, 0.0)

    def scores(self, plays: Sequence[int]) -> F64:
        return np.asarray(self._weights[list(plays)].sum(axis=0))


class LeastSquares:
    """Factors of people and tracks by alternating least squares (Hu, Koren and Volinsky, ICDM 2008).

    Attributes:
        factors: Factors of the tracks, `[tracks, FACTORS]`.
    """

    def __init__(self, table: F64, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.factors = rng.normal(0.0, 0.1, (table.shape[1], FACTORS))
        for _ in range(ROUNDS):
            people = _half(table, self.factors)
            self.factors = _half(table.T, people)

    def person(self, plays: Sequence[int]) -> F64:
        """The factors of a person with these plays."""
        row = np.zeros((1, len(self.factors)))
        row[0, list(plays)] = 1.0
        return np.asarray(_half(row, self.factors)[0])

    def scores(self, plays: Sequence[int]) -> F64:
        return np.asarray(self.factors @ self.person(plays))


def _half(table: F64, other: F64) -> F64:
    gram = other.T @ other + DECAY * np.eye(other.shape[1])
    found = np.zeros((len(table), other.shape[1]))
    for row, plays in enumerate(table):
        inside = other[plays > 0.0]
        if len(inside):
            right = (1.0 + CONFIDENCE) * inside.sum(axis=0)
            found[row] = np.linalg.solve(gram + CONFIDENCE * inside.T @ inside, right)
    return found


class ImplicitPeer:
    """Alternating least squares by the package `implicit`."""

    def __init__(self, table: F64, seed: int) -> None:
        from implicit.cpu.als import AlternatingLeastSquares
        from scipy.sparse import csr_matrix

        self._model = AlternatingLeastSquares(
            factors=FACTORS, regularization=DECAY, alpha=CONFIDENCE, iterations=ROUNDS, random_state=seed, num_threads=1
        )
        self._model.fit(csr_matrix(table.astype(np.float32)), show_progress=False)
        self._tracks = table.shape[1]

    def scores(self, plays: Sequence[int]) -> F64:
        from scipy.sparse import csr_matrix

        row = np.zeros((1, self._tracks), np.float32)
        row[0, list(plays)] = 1.0
        person = self._model.recalculate_user(0, csr_matrix(row))
        return np.asarray(self._model.item_factors @ np.ravel(person), np.float64)


class FactorsOfSound:
    """A small network from a track's vector to its factors, for tracks without any plays.

    Two layers, trained by Adam on the tracks that have plays; no artist and no genre goes in.
    """

    HIDDEN, STEPS, RATE = 64, 400, 0.01

    def __init__(self, base: LeastSquares, sound: F64, heard: np.ndarray, seed: int) -> None:
        rng = np.random.default_rng(seed)
        points = components(sound, 24)
        scale = base.factors[heard].std() + 1e-9
        truth = base.factors[heard] / scale
        given = points[heard]
        shapes = [(points.shape[1], self.HIDDEN), (self.HIDDEN,), (self.HIDDEN, FACTORS), (FACTORS,)]
        weights = [rng.normal(0.0, 1.0 / np.sqrt(s[0]), s) if len(s) == 2 else np.zeros(s) for s in shapes]
        means, squares = ([np.zeros(shape) for shape in shapes] for _ in range(2))
        for step in range(1, self.STEPS + 1):
            keep = rng.random((len(given), self.HIDDEN)) < 0.8
            hidden = np.tanh(given @ weights[0] + weights[1]) * keep / 0.8
            error = (hidden @ weights[2] + weights[3] - truth) / len(given)
            back = (error @ weights[2].T) * keep / 0.8 * (1.0 - (hidden * 0.8) ** 2)
            slopes = [given.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]
            for n, slope in enumerate(slopes):
                slope = slope + 1e-4 * weights[n]
                means[n] = 0.9 * means[n] + 0.1 * slope
                squares[n] = 0.999 * squares[n] + 0.001 * slope**2
                weights[n] = weights[n] - self.RATE * (means[n] / (1.0 - 0.9**step)) / (
                    np.sqrt(squares[n] / (1.0 - 0.999**step)) + 1e-8
                )
        self._base = base
        self._factors = scale * (np.tanh(points @ weights[0] + weights[1]) @ weights[2] + weights[3])

    def scores(self, plays: Sequence[int]) -> F64:
        return np.asarray(self._factors @ self._base.person(plays))


def track_table(world: World) -> TrackTable:
    """The catalogue of a world before anything was learned from others."""
    return TrackTable(
        [
            TrackRow(
                n,
                b"%d" % n,
                {"artist": f"a{world.artist[n]}", "genre": f"g{world.genre[n]}"},
                200.0,
                np.asarray(sound, np.float32),
            )
            for n, sound in enumerate(world.sound)
        ]
    )


def learners(lists: Sequence[Sequence[int]], tracks: int, seed: int) -> dict[str, RecommendMethod]:
    """The methods that know who played what and nothing else; without `implicit` where it is not installed."""
    table = table_of(lists, tracks)
    found: dict[str, RecommendMethod] = {
        "random": RandomOrder(tracks, seed),
        "popularity": Popularity(table),
        "item neighbours": ItemNeighbours(table),
        "ALS": LeastSquares(table, seed),
        "EASE": Ease(table),
    }
    try:
        found["implicit ALS"] = ImplicitPeer(table, seed)
    except ModuleNotFoundError:
        pass
    return found


def methods(world: World, lists: Sequence[Sequence[int]], seed: int) -> Mapping[str, RecommendMethod]:
    """All methods but the command, after learning from the plays of some people."""
    found = learners(lists, len(world.artist), seed)
    factors = found["ALS"]
    assert isinstance(factors, LeastSquares)
    heard = table_of(lists, len(world.artist)).sum(axis=0) > 0.0
    return {**found, "factors of sound": FactorsOfSound(factors, world.sound, heard, seed)}
