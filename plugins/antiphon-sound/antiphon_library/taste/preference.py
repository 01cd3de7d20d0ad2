"""Preference prediction for tracks: Bayesian linear regression on likes and skips, in its dual form.

Tracks are alike by a kernel: they sound alike, are by one artist, of one genre, or are played together by others. The
posterior of a Gaussian process with that kernel (Rasmussen and Williams, 2006, 2.2) gives each track a mean in
closed form, for a few hundred signals and any number of tracks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
DIMENSIONS = 14
"""Principal components of compared vectors."""
CONTENT, ARTIST, GENRE = 0.15, 0.5, 0.3
"""Weight of content relative to co-play; within it, those of the same artist and genre relative to 1 for the same
sound. Chosen on simulated listeners."""
NOISE = 1.0
"""Variance of a signal."""


def components(vectors: F64, count: int = DIMENSIONS) -> F64:
    """The first principal components `[n, count]` of vectors `[n, d]`, each of variance 1; NaN for rows of NaN."""
    known = np.isfinite(vectors).all(axis=1)
    found = np.full((len(vectors), max(1, min(count, vectors.shape[1]))), np.nan)
    if known.sum() < 2:
        found[known] = 0.0
        return found
    rows = vectors[known]
    rows = rows - rows.mean(axis=0)
    rows /= rows.std(axis=0) + 1e-9
    values, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    best = np.argsort(-values)[: found.shape[1]]
    axes = axes[:, best] * np.sign(axes[np.abs(axes[:, best]).argmax(axis=0), best])
    found[known] = rows @ axes / np.sqrt(np.maximum(values[best], 1e-9))
    return found


@dataclass(slots=True)
class TrackKernel:
    """Kernel of the Gaussian process: similarity of tracks.

    `together`: weight of what others play together, by track and other, at most 1.
    """

    points: F64  # `components` of their vectors, `[n, d]`
    artist: I64  # A number for each artist, -1 where it is not known, `[n]`
    genre: I64  # the same for genres, `[n]`
    together: dict[int, dict[int, float]] = field(default_factory=dict)
    content: float = CONTENT

    def columns(self, others: Sequence[int]) -> F64:
        """Kernel columns `[n, others]`: all tracks against some."""
        chosen = np.asarray(others, np.int64)
        points = np.nan_to_num(self.points)
        known = np.isfinite(self.points[:, 0])
        squares = (points**2).sum(axis=1)
        distance = squares[:, None] + squares[None, chosen] - 2.0 * points @ points[chosen].T
        # a bandwidth at which two tracks chosen by chance are about e^-2 alike
        alike = np.exp(-np.maximum(distance, 0.0) / points.shape[1]) * (known[:, None] & known[None, chosen])
        for labels, weight in ((self.artist, ARTIST), (self.genre, GENRE)):
            alike += weight * ((labels[:, None] == labels[None, chosen]) & (labels[:, None] >= 0))
        # a track without a vector is as much like itself as any other
        alike[chosen, np.arange(len(chosen))] = 1.0 + ARTIST + GENRE
        found = np.asarray(self.content * alike)
        for column, other in enumerate(chosen):
            found[other, column] += 1.0 if self.together else 0.0
            for track, weight in self.together.get(int(other), {}).items():
                found[track, column] += weight
        return found

    def likeness(self, one: int, other: int) -> dict[str, float]:
        """Similarity of two tracks by component: "sound", "artist", "genre" and "together" (co-play)."""
        away = float(((self.points[one] - self.points[other]) ** 2).sum())
        found = {"sound": 0.0 if np.isnan(away) else float(np.exp(-away / self.points.shape[1]))}
        for name, labels, weight in (("artist", self.artist, ARTIST), ("genre", self.genre, GENRE)):
            found[name] = weight if labels[one] == labels[other] >= 0 else 0.0
        found = {name: self.content * weight for name, weight in found.items()}
        return {**found, "together": self.together.get(other, {}).get(one, 0.0)}


def preference(kernel: TrackKernel, tracks: Sequence[int], signals: Sequence[float]) -> F64:
    """Preferences for all tracks, `[n]`, after signals: 1 for liked, negative for skipped, each of variance `NOISE`.

    `tracks`: which the signals are about, each once.
    """
    if not tracks:
        return np.zeros(len(kernel.points))
    across = kernel.columns(tracks)
    scale = NOISE * (1.0 if kernel.together else kernel.content)
    # companions are cut to the nearest, so their table may have small negative eigenvalues
    values, axes = np.linalg.eigh(across[list(tracks)])
    turned = across @ axes
    weights = 1.0 / (np.maximum(values, 0.0) + scale + 1e-9)
    return np.asarray(turned @ (weights * (axes.T @ np.asarray(signals, np.float64))))


def numbers(labels: Iterable[str]) -> I64:
    """Integer code of each distinct label, ignoring case; -1 for an empty one."""
    known: dict[str, int] = {}
    return np.array(
        [known.setdefault(folded, len(known)) if (folded := label.strip().casefold()) else -1 for label in labels],
        np.int64,
    )
