"""What an audience likes, learned from its votes: ridge regression on attributes and their products; its intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64

Rows = F32 | F64
COVERED = 0.9
PARTS = 5
"""Of the artists, each of which is left out in turn."""
DECAYS = (0.1, 1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Ridge:
    """A linear function of standardised columns.

    Attributes:
        centre: Means of the columns.
        scale: Deviations of the columns.
        weights: The constant, then one for each column.
    """

    centre: F64
    scale: F64
    weights: F64

    @staticmethod
    def fitted(rows: Rows, targets: F64, decay: float) -> Ridge:
        """Fits `[n, k]` to `[n]`; `decay` is added to the diagonal of the columns' products."""
        centre, scale = rows.mean(axis=0).astype(np.float64), rows.std(axis=0).astype(np.float64) + 1e-6
        x = (rows - centre) / scale
        gram = x.T @ x + decay * np.eye(x.shape[1])
        mean = float(targets.mean())
        return Ridge(centre, scale, np.concatenate([[mean], np.linalg.solve(gram, x.T @ (targets - mean))]))

    def predicted(self, rows: Rows) -> F64:
        """Predictions from `[n, k]`, cut to 0 and 1."""
        found = self.weights[0] + (rows - self.centre) / self.scale @ self.weights[1:]
        return np.asarray(np.clip(found, 0.0, 1.0), np.float64)


def parts(artists: NDArray[np.int64]) -> NDArray[np.int64]:
    """The part, 0 to `PARTS` - 1, of each song: that of its artist."""
    return np.asarray(np.unique(artists, return_inverse=True)[1] % PARTS, np.int64)


def chosen(fit: tuple[Rows, F64, NDArray[np.int64]]) -> Ridge:
    """The ridge whose decay is best for artists that were left out, a part in turn.

    Args:
        fit: Rows, targets and the artist of each.
    """
    rows, targets, artists = fit
    of = parts(artists)
    errors = []
    for decay in DECAYS:
        squares = [
            (
                Ridge.fitted(rows[of != part], targets[of != part], decay).predicted(rows[of == part])
                - targets[of == part]
            )
            ** 2
            for part in range(PARTS)
        ]
        errors.append(float(np.concatenate(squares).mean()))
    return Ridge.fitted(rows, targets, DECAYS[int(np.argmin(errors))])


def left_out(rows: Sequence[Rows], targets: F64, artists: NDArray[np.int64]) -> F64:
    """What is foreseen of each song by a ridge that was chosen and fitted without its artist's part.

    `rows` are by part, of all songs; a model that made them has been fitted without the part's artists.
    """
    of, found = parts(artists), np.empty(len(targets))
    for part, columns in enumerate(rows):
        rest, own = of != part, of == part
        found[own] = chosen((columns[rest], targets[rest], artists[rest])).predicted(columns[own])
    return found


def half_width(predicted: F64, truth: F64, artists: NDArray[np.int64]) -> float:
    """Half of an interval that holds `COVERED` of further artists' songs, by conformal prediction.

    Songs of one artist are not independent, so that it is artists that are counted (Lee, Barber and Willett 2023,
    "Distribution-free inference with hierarchical data"). Where nothing was fitted on these artists, the coverage is at
    least `COVERED` in the mean over new ones drawn as these were. By errors of `left_out` it is about `COVERED`,
    without that guarantee: each is of a model with fewer artists than the one it serves (cross-validation, which
    Barber, Candès, Ramdas and Tibshirani 2021 compare in "Predictive inference with the jackknife+").

    Args:
        predicted: Predicted of songs, by what was fitted without their artists.
        truth: What they got.
        artists: Artists of each song, all with as many songs.

    Returns:
        The error that a share of COVERED · (1 + 1 / artists) of the songs does not exceed.
    """
    errors = np.sort(np.abs(predicted - truth))
    level = COVERED * (1.0 + 1.0 / len(np.unique(artists)))
    return float(errors[min(len(errors), math.ceil(level * len(errors))) - 1])
