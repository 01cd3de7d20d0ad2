"""`antiphon evaluate popularity`: what can be foreseen of a simulated audience's votes, and how wide intervals are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.files import make_folder
from antiphon_classify.classifier import MEL
from antiphon_models.classify.clips import spectrogram
from antiphon_models.classify.mfcc import mfcc
from antiphon_models.classify.popularity import material, taste
from antiphon_models.classify.popularity.audience import Votes, liking, vote
from antiphon_models.classify.popularity.songs import MadeSongs, heard_songs, songs
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.learning.user_commands import analysis_of

UNSEEN, SEEN = "artists that nothing was fitted on", "with the votes for the artist's four other songs"
OTHERS = 4
FITTED = 100
"""Artists that the systems beside ours are fitted on."""


class PopularityEvaluation(Evaluation):
    """Songs of artists that neither the network nor its interval was fitted on; an item is a song."""

    trivial = "mean"
    classical = "artist prior; MFCC, ridge"
    ours = "popularity"
    oracle = "knows the taste"
    columns = "R2; of attainable; without chance; coverage; width ↓"
    note = (
        "The audience is computed: half of what it gives is its taste in sound, a fifth the artist, the rest chance; "
        "nobody can foresee more from sound than who knows the taste. R2: 1 less the square error as a share of the "
        "variance. of attainable: R2 as a share of that system's. without chance: R2 for its predictions in place of "
        "the votes, in which are neither artists nor luck. coverage: of intervals meant to hold 0.9. It says nothing "
        "of what people like."
    )
    card = "antiphon_classify"
    road = "`antiphon library analyse FILE --only popularity --json`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Unseen artists first; then what is known where an artist's other songs have votes."""
        folder = make_folder(ask.work / f"material-{ask.seed}")
        count = None if ask.limit is None else max(2, ask.limit // material.SONGS)
        fit, fit_clips = songs(folder, "fit", ask.seed, ask.say, FITTED if count is None else min(FITTED, 4 * count))
        attributes, numbers = material.attributes("measure", ask.seed, count)
        mels, shown = [], []
        for artist in dict.fromkeys(numbers):
            for sound in material.sounds(artist, ask.seed):
                mels.append(spectrogram(sound).astype(np.float16))
                if ask.wants("popularity"):
                    shown.append(analysis_of(sound, MEL.rate, "popularity"))
        mel, artists = np.stack(mels), np.asarray(numbers, np.int64)
        measured = vote(liking(attributes, heard_songs(mel)), numbers, ask.seed)
        votes, mean = fit.votes.popularity, float(fit.votes.popularity.mean())
        found = {"mean": _interval(np.full(len(mel), mean), np.full(len(votes), mean), fit)}
        if ask.wants("MFCC, ridge"):
            rows = mfcc(fit_clips.mel)
            line = taste.chosen((rows, votes, fit.artists))
            apart = taste.left_out([rows] * taste.PARTS, votes, fit.artists)
            found["MFCC, ridge"] = _interval(line.predicted(mfcc(mel)), apart, fit)
        if ask.wants("popularity"):
            found["popularity"] = np.array([[one[key] for key in _PRINTED] for one in shown], np.float64).T
        found["knows the taste"] = _interval(measured.best, fit.votes.best, fit)
        most = float(_explained(measured.best, measured.popularity).mean())
        for system, rows_of in found.items():
            if ask.wants(system):
                yield from _values(system, rows_of, measured, artists, most)
        if ask.wants("artist prior"):
            prior = _prior(measured.popularity, artists, mean)
            for n, share in enumerate(_explained(prior, measured.popularity)):
                yield MetricValue("artist prior", "R2", _item(n, artists), float(share), SEEN)


_PRINTED = ("popularity", "popularity_low", "popularity_high")


def _interval(predicted: F64, left_out: F64, fit: MadeSongs) -> F64:
    """Predictions and both ends of their intervals `[3, songs]`, whose width is by `left_out` of the songs to fit."""
    width = taste.half_width(left_out, fit.votes.popularity, fit.artists)
    return np.stack([predicted, np.maximum(0.0, predicted - width), np.minimum(1.0, predicted + width)])


def _item(n: int, artists: NDArray[np.int64]) -> str:
    return f"song {n % material.SONGS + 1} of artist {artists[n]}"


def _values(system: str, found: F64, measured: Votes, artists: NDArray[np.int64], most: float) -> Iterator[MetricValue]:
    predicted, low, high = found
    plain = _explained(predicted, measured.best)
    for n, share in enumerate(_explained(predicted, measured.popularity)):
        row = {
            "R2": share,
            "of attainable": share / most,
            "without chance": plain[n],
            "coverage": low[n] <= measured.popularity[n] <= high[n],
            "width": high[n] - low[n],
        }
        yield from scored(system, _item(n, artists), row, UNSEEN)


def _explained(predicted: F64, truth: F64) -> F64:
    """Of each song 1 less its square error as a share of the variance; the mean of it is R2."""
    return np.asarray(1.0 - (predicted - truth) ** 2 / truth.var(), np.float64)


def _prior(truth: F64, artists: NDArray[np.int64], mean: float) -> F64:
    """The mean of the votes for the artist's other songs, drawn to the mean of all as if by `OTHERS` further songs."""
    others = [(artists == artist) & (np.arange(len(truth)) != n) for n, artist in enumerate(artists)]
    return np.array([(truth[other].sum() + OTHERS * mean) / (other.sum() + OTHERS) for other in others])
