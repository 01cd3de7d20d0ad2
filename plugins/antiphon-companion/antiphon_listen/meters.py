"""Meter of a recording: the likeliest pair of a beat grid and a number of beats per bar.

A waltz at twice its beat, or a jig by its dotted quarters, is as regular as at its own. So a fitted linear model scores
all pairs of a tracked grid and a meter, by how onsets and harmony repeat; the softmax of the scores is a probability.
The model was fitted beside songs in four, whose grid is the one that `beats.grid_scores` selects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from antiphon.api import F64
from antiphon_listen import bars, beats
from antiphon_listen.beats import BeatGrid
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import Tables

BEATS = (2, 3, 4, 6)
"""Beats per bar of the meters; two are dotted quarters and six are eighths of 6/8."""
NAMES = {2: "6/8", 3: "3/4", 4: "4/4", 6: "6/8"}
_USUAL_METER = NAMES[4]
_MIN_ODDS = 1.0
"""Minimum log odds of another meter to four: records are in four far more often than the pieces of the fit."""
_USUAL = 100.0
"""Tempo in bpm at which the features of the tempo are 0."""


@dataclass(frozen=True, slots=True)
class MeteredGrid:
    """Likeliest beat grid of a recording, and its meter."""

    grid: BeatGrid
    share: float  # as of `beats.octave_share`
    meter: int  # beats per bar, one of `BEATS`
    probability: float  # of the meter's name, 0 to 1


def track(curves: MusicCurves, tables: Tables) -> MeteredGrid | None:
    """Most likely beat grid of a recording's curves with its meter; None without one of four beats."""
    grids = beats.grid_candidates(curves)
    if not grids:
        return None
    scores = beats.grid_scores(grids, tables)
    odds = pair_scores(grids, scores, tables)
    shares = np.exp(odds - odds.max())
    # a grid that is too irregular for a tempo shows no bars either
    sure = np.array([beats.confidence(curves, grid) >= beats.MIN_CONFIDENCE for grid in grids])
    shares[~sure] *= np.array(BEATS) == 4
    shares /= shares.sum()
    names = {name: [n for n, meter in enumerate(BEATS) if NAMES[meter] == name] for name in NAMES.values()}
    likely = {name: float(shares[:, places].sum()) for name, places in names.items()}
    best = max(likely, key=likely.__getitem__)
    if best != _USUAL_METER and likely[best] > np.exp(_MIN_ODDS) * likely[_USUAL_METER]:
        among = np.full_like(shares, -1.0)
        among[:, names[best]] = shares[:, names[best]]
        chosen, place = divmod(int(among.argmax()), len(BEATS))
    else:
        best, chosen, place = _USUAL_METER, int(np.argmax(scores)), BEATS.index(4)
    share = beats.octave_share(grids, scores, grids[chosen])
    return MeteredGrid(grids[chosen], share, BEATS[place], likely[best])


def pair_scores(grids: list[BeatGrid], scores: F64, tables: Tables) -> F64:
    """Scores of all pairs, `[grids, meters]`, whose softmax is their probability; `scores`: of the grids, `[grids]`."""
    rows = (np.array([features(grid) for grid in grids]) - tables.pair_mean) / tables.pair_spread
    rows = np.concatenate([rows, np.ones((len(grids), 1))], axis=1)
    return np.asarray(tables.pair_weights[0] * (scores - scores.max())[:, None] + rows @ _by_meter(tables.pair_weights))


def _by_meter(weights: F64) -> F64:
    return weights[1:].reshape(len(BEATS), -1).T


def features(grid: BeatGrid) -> F64:
    """Features of a grid, `[77]`: repetition in and over its beats, relative strengths of its parts, and its tempo."""
    size = len(bars.METER_COLUMNS) * 4 + 4
    over = bars.meter_features(grid) if len(grid.beats) >= bars.MIN_BEATS else np.zeros(size)
    mean = grid.parts.mean(axis=0)
    relative = np.log((mean + 0.1) / (mean.mean() + 0.1))
    octaves = np.log2(grid.tempo / _USUAL)
    return np.concatenate([grid.repeats, over, relative, [octaves, octaves**2, float(grid.drums)]])
