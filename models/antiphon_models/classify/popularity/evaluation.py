"""`antiphon evaluate popularity`: what can be foreseen of a simulated audience's votes, and how wide intervals are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api.files import make_folder
from antiphon_classify.popularity import PopularityAnalysis
from antiphon_models.classify.popularity import material, taste
from antiphon_models.classify.popularity.songs import MadeSongs, songs
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Measure, MetricValue, System

F64 = NDArray[np.float64]
COEFFICIENTS = 20
"""MFCC of the classical system, whose means and deviations it has."""
UNSEEN, SEEN = "artists that nothing was fitted on", "with the votes for the artist's four other songs"
OTHERS = 4


class PopularityEvaluation(Evaluation):
    """Songs of artists that neither the network nor its interval was fitted on; an item is a song."""

    systems: ClassVar[tuple[System, ...]] = (
        System("mean", "trivial"),
        System("artist prior", "classical"),
        System("MFCC, ridge", "classical"),
        System("popularity", "ours"),
        System("knows the taste", "oracle"),
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("R2"), Measure("of attainable"), Measure("without chance"), Measure("coverage"),
        Measure("width", better="lower"),
    )  # fmt: skip
    note: ClassVar[str] = (
        "The audience is computed: half of what it gives is its taste in sound, a fifth the artist, the rest chance; "
        "nobody can foresee more from sound than who knows the taste. R2: 1 less the square error as a share of the "
        "variance. of attainable: R2 as a share of that system's. without chance: R2 for its predictions in place of "
        "the votes, in which are neither artists nor luck. coverage: of intervals meant to hold 0.9. It says nothing "
        "of what people like."
    )
    card: ClassVar[str] = "antiphon_classify"
    road: ClassVar[str] = "the analysis' network on excerpts that are stored as mel spectra; files are not read"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Unseen artists first; then what is known where an artist's other songs have votes."""
        folder = make_folder(ask.work / f"material-{ask.seed}")
        count = None if ask.limit is None else max(2, ask.limit // material.SONGS)
        measured, clips = songs(folder, "measure", ask.seed, ask.say, count)
        fit, fit_clips = songs(folder, "fit", ask.seed, ask.say, None if count is None else 4 * count)
        truth, votes = measured.votes.popularity, fit.votes.popularity
        found: dict[str, tuple[F64, float]] = {}
        mean = float(votes.mean())
        found["mean"] = np.full(len(truth), mean), _width(np.full(len(votes), mean), fit)
        if ask.wants("MFCC, ridge"):
            rows = _mfcc(fit_clips.mel)
            width = _width(taste.left_out([rows] * taste.PARTS, votes, fit.artists), fit)
            found["MFCC, ridge"] = taste.chosen((rows, votes, fit.artists)).predicted(_mfcc(clips.mel)), width
        if ask.wants("popularity"):
            network = PopularityAnalysis().network
            found["popularity"] = np.array([network.popularity(rows) for rows in measured.apart]), network.width
        best = measured.votes.best
        found["knows the taste"] = best, _width(fit.votes.best, fit)
        most = float(_explained(best, truth).mean())
        for system, (predicted, width) in found.items():
            if ask.wants(system):
                yield from _values(system, predicted, measured, most, width, UNSEEN)
        if ask.wants("artist prior"):
            yield from _values("artist prior", _prior(measured, mean), measured, most, None, SEEN)


def _values(
    system: str, predicted: F64, measured: MadeSongs, most: float, width: float | None, group: str
) -> Iterator[MetricValue]:
    truth = measured.votes.popularity
    plain = _explained(predicted, measured.votes.best)
    for n, share in enumerate(_explained(predicted, truth)):
        item = f"song {n % material.SONGS + 1} of artist {measured.artists[n]}"
        yield MetricValue(system, "R2", item, float(share), group)
        if width is None:
            continue
        yield MetricValue(system, "of attainable", item, float(share) / most, group)
        yield MetricValue(system, "without chance", item, float(plain[n]), group)
        low, high = max(0.0, predicted[n] - width), min(1.0, predicted[n] + width)
        yield MetricValue(system, "coverage", item, float(low <= truth[n] <= high), group)
        yield MetricValue(system, "width", item, float(high - low), group)


def _width(predicted: F64, fit: MadeSongs) -> float:
    return taste.half_width(predicted, fit.votes.popularity, fit.artists)


def _explained(predicted: F64, truth: F64) -> F64:
    """Of each song 1 less its square error as a share of the variance; the mean of it is R2."""
    return np.asarray(1.0 - (predicted - truth) ** 2 / truth.var(), np.float64)


def _prior(measured: MadeSongs, mean: float) -> F64:
    """The mean of the votes for the artist's other songs, drawn to the mean of all as if by `OTHERS` further songs."""
    truth = measured.votes.popularity
    found = np.empty(len(truth))
    for n, artist in enumerate(measured.artists):
        other = (measured.artists == artist) & (np.arange(len(truth)) != n)
        found[n] = (truth[other].sum() + OTHERS * mean) / (other.sum() + OTHERS)
    return found


def _mfcc(mel: NDArray[np.float16]) -> NDArray[np.float32]:
    """Means and deviations of MFCC over each clip `[clips, frames, bands]`, by the cosine transform of its decibels."""
    bands = mel.shape[2]
    angles = np.pi / bands * (np.arange(bands) + 0.5)[:, None] * np.arange(COEFFICIENTS)
    rows = [clip.astype(np.float32) @ np.cos(angles).astype(np.float32) for clip in mel]
    return np.stack([np.concatenate([row.mean(axis=0), row.std(axis=0)]) for row in rows]).astype(np.float32)
