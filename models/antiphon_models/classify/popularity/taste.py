"""What an audience likes, learned from its votes: ridge regression on attributes and their products; its intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Rows = NDArray[np.float32] | F64
COVERED = 0.9
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
        """Of `[n, k]`, cut to 0 and 1."""
        found = self.weights[0] + (rows - self.centre) / self.scale @ self.weights[1:]
        return np.asarray(np.clip(found, 0.0, 1.0), np.float64)


def chosen(fit: tuple[Rows, F64, NDArray[np.int64]]) -> Ridge:
    """The ridge whose decay is best for artists that were left out, five parts in turn.

    Args:
        fit: Rows, targets and the artist of each.
    """
    rows, targets, artists = fit
    parts = np.unique(artists, return_inverse=True)[1] % 5
    errors = []
    for decay in DECAYS:
        squares = [
            (Ridge.fitted(rows[parts != part], targets[parts != part], decay).predicted(rows[parts == part])
             - targets[parts == part]) ** 2
            for part in range(5)
        ]  # fmt: skip
        errors.append(float(np.concatenate(squares).mean()))
    return Ridge.fitted(rows, targets, DECAYS[int(np.argmin(errors))])


def half_width(predicted: F64, truth: F64, artists: NDArray[np.int64]) -> float:
    """Half of an interval that holds `COVERED` of further artists' songs, by split conformal prediction.

    Songs of one artist are not independent, so that it is artists that are counted (Lee, Barber and Willett 2023,
    "Distribution-free inference with hierarchical data"): the coverage is at least `COVERED` in the mean where new
    artists are drawn as these were.

    Args:
        predicted: Of songs whose artists nothing was fitted on.
        truth: What they got.
        artists: Of each song, all with as many songs.

    Returns:
        The error that a share of COVERED · (1 + 1 / artists) of the songs does not exceed.
    """
    errors = np.sort(np.abs(predicted - truth))
    level = COVERED * (1.0 + 1.0 / len(np.unique(artists)))
    return float(errors[min(len(errors), math.ceil(level * len(errors))) - 1])
