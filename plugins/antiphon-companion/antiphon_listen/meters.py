"""Meter of a recording: the likeliest pair of a beat grid and a number of beats per bar.

A waltz at twice its beat, or a jig by its dotted quarters, is as regular as at its own. So a fitted linear model scores
all pairs of a tracked grid and a meter, by how fast onsets and harmony recur in beats, and what stands between beats;
the softmax of the scores is a probability. The model was fitted beside songs in four, whose grid is the one that
`beats.grid_scores` selects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon_listen import bars, beats, signals, spectra
from antiphon_listen.beats import BeatGrid
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import Tables

BEATS = (2, 3, 4, 5, 6)
"""Beats per bar of the meters; two are dotted quarters and six are eighths of 6/8."""
NAMES = {2: "6/8", 3: "3/4", 4: "4/4", 5: "5/4", 6: "6/8"}
_USUAL_METER = NAMES[4]
MIN_ODDS = 1.2
"""Minimum log odds of another meter to four: records are in four far more often than the pieces of the fit."""
_USUAL = 100.0
"""Tempo in bpm at which the features of the tempo are 0."""
_RATES = np.array([1 / 8, 1 / 6, 1 / 5, 1 / 4, 1 / 3, 2 / 5, 1 / 2, 3 / 5, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 3, 4, 6])
"""Rates in cycles per beat at which onsets and harmony may recur."""
_POINTS, _WINDOW = 12, 24
"""Points per beat, and beats of a window, of the spectra at these rates: a bar of another length ends no recurrence."""
CLIP = 5.0
"""Maximum of features in standard deviations."""
_EIGHTHS, SWUNG = 0.1, 3.0
"""Minimum strength of both inner eighths of dotted beats over their middle, as a share of the strongest of these
places, and log odds of four against dotted beats with less: of rendered swing 19 in 20 have less than .08, of rendered
pieces in 6/8 three in four more than .15."""


@dataclass(frozen=True, slots=True)
class MeteredGrid:
    """Likeliest beat grid of a recording, and its meter."""

    grid: BeatGrid
    share: float  # as of `beats.octave_share`
    meter: int  # beats per bar, one of `BEATS`
    probability: float  # of the meter's name, 0 to 1


@dataclass(frozen=True, slots=True)
class PairCandidates:
    """Grids of a recording: those of `beats.grid_candidates`, then more for dotted quarters alone.

    Dotted quarters may begin at any of three eighths.
    """

    grids: list[BeatGrid]
    scores: F64  # `[grids]`, of `beats.grid_scores`, 0 for the best of the first `count`
    count: int

    @property
    def possible(self) -> NDArray[np.bool_]:
        """Which pairs exist, `[grids, meters]`."""
        return np.asarray((np.arange(len(self.grids)) < self.count)[:, None] | (np.array(BEATS) == 2))


def pair_candidates(curves: MusicCurves, tables: Tables) -> PairCandidates | None:
    """Grids of a recording; None without one of four beats."""
    grids = beats.grid_candidates(curves)
    if not grids:
        return None
    scores = beats.grid_scores(grids, tables)
    # every second one is off the beat
    moved = [beats.move_grid(curves, grid, part) for grid in grids[::2] for part in (1 / 3, 2 / 3)]
    moved = [grid for grid in moved if len(grid.beats) >= beats.MIN_GRID]
    more = beats.grid_scores(moved, tables) if moved else scores[:0]
    return PairCandidates([*grids, *moved], np.concatenate([scores, more]) - scores.max(), len(grids))


def track(curves: MusicCurves, tables: Tables) -> MeteredGrid | None:
    """Most likely beat grid of a recording's curves with its meter; None without one of four beats."""
    found = pair_candidates(curves, tables)
    if found is None:
        return None
    grids, scores = found.grids, found.scores[: found.count]
    # nothing tells one click of a metronome from another
    if found.count == 1 and not curves.drums and bars.has_no_chords(curves, grids[0], tables):
        return MeteredGrid(grids[0], 1.0, 4, 0.0)
    odds = tables.pair_weights[0] * found.scores[:, None] + meter_odds(curves, grids, tables)
    shares = np.exp(odds - odds.max(where=found.possible, initial=-np.inf)) * found.possible
    # a grid that is too irregular for a tempo shows no bars either
    sure = np.array([beats.confidence(curves, grid) >= beats.MIN_CONFIDENCE for grid in grids])
    shares[~sure] *= np.array(BEATS) == 4
    names = {name: [n for n, meter in enumerate(BEATS) if NAMES[meter] == name] for name in NAMES.values()}
    # a swung beat tells of four, but not which other meter it is if it is not four
    swung = np.array([not has_eighths(curves, grid) for grid in grids])[:, None] & (np.array(BEATS) == 2)
    likely, told = (
        {name: float(table[:, places].sum() / table.sum()) for name, places in names.items()}
        for table in (shares, shares * np.exp(-SWUNG * swung))
    )
    likely[_USUAL_METER] = told.pop(_USUAL_METER)
    best = max(told, key=likely.__getitem__)
    if max(told.values()) > np.exp(MIN_ODDS) * likely[_USUAL_METER]:
        among = np.full_like(shares, -1.0)
        among[:, names[best]] = shares[:, names[best]]
        chosen, place = divmod(int(among.argmax()), len(BEATS))
    else:
        # both grids of a tempo, on its beats and between them, tell of it
        octaves = np.array([beats.octave_share(grids[: found.count], scores, grid) for grid in grids[: found.count]])
        chosen = int(np.argmax(np.where(octaves >= octaves.max() - 1e-9, scores, -np.inf)))
        best, place = _USUAL_METER, BEATS.index(4)
    share = beats.octave_share(grids[: found.count], scores, grids[chosen])
    return MeteredGrid(grids[chosen], share, BEATS[place], likely[best])


def has_eighths(curves: MusicCurves, grid: BeatGrid) -> bool:
    """Whether strokes divide the beats into three, as in dotted quarters; swung beats lack the first one of the two."""
    lengths = beats.interval_lengths(grid.beats)
    inner = [curves.strengths_near_onsets(grid.beats + part * lengths).mean(axis=1).sum() for part in (1 / 3, 2 / 3)]
    on, half = (grid.parts[:, first : first + 3].mean(axis=0).sum() for first in (0, 6))
    return bool(min(inner) - half > _EIGHTHS * max(on, half, *inner))


def meter_odds(curves: MusicCurves, grids: list[BeatGrid], tables: Tables) -> F64:
    """Scores of the meters of each grid, whatever the grid's own score, `[grids, meters]`."""
    rows = (np.array([features(curves, grid) for grid in grids]) - tables.pair_mean) / tables.pair_spread
    rows = np.concatenate([np.clip(rows, -CLIP, CLIP), np.ones((len(grids), 1))], axis=1)
    return np.asarray(rows @ tables.pair_weights[1:].reshape(len(BEATS), -1).T)


def features(curves: MusicCurves, grid: BeatGrid) -> F64:
    """Features of a grid, `[93]`: recurrence at `_RATES`, strengths on, between and at thirds of beats, and tempo."""
    mean, lengths = grid.parts.mean(axis=0), beats.interval_lengths(grid.beats)
    thirds = np.concatenate([grid.beats + lengths * part for part in (1 / 3, 2 / 3)])
    strength = curves.strengths_near_onsets(thirds).reshape(3, 2, -1).mean(axis=2)
    change = curves.novelty_near_times(thirds).reshape(2, -1).mean(axis=1)
    level = np.concatenate([mean, strength.ravel(), change])
    octaves = np.log2(grid.tempo / _USUAL)
    return np.concatenate([
        _recurrence(curves, grid.beats),
        np.log((level + 0.1) / (mean[:12].mean() + 0.1)),
        [octaves, octaves**2, float(grid.drums)],
    ])  # fmt: skip


def _recurrence(curves: MusicCurves, at: F64) -> F64:
    """Logarithms of the magnitudes of onsets and novelty at `_RATES` along the beats, the mean of windows, `[68]`."""
    places = np.arange((len(at) - 1) * _POINTS) / _POINTS
    seconds = np.interp(places, np.arange(len(at)), at)
    frames = np.arange(curves.strength.shape[1]) / signals.FRAMES_PER_SECOND
    changes = np.arange(len(curves.novelty)) / spectra.FRAMES_PER_SECOND
    rows = [np.interp(seconds, frames, row) for row in curves.strength]
    rows.append(np.interp(seconds, changes, np.minimum(curves.novelty, 4.0)))
    level, size = np.array([row / (row.mean() + 1e-9) for row in rows]), _WINDOW * _POINTS
    waves, found = np.exp(-2j * np.pi * np.outer(places, _RATES)), []
    for first in range(0, max(1, len(places) - size + 1), size // 2):
        part = level[:, first : first + size]
        window = np.hanning(part.shape[1] + 2)[1:-1]
        window /= window.sum()
        part = (part - (part @ window)[:, None]) * window
        found.append(np.abs(part @ waves[first : first + size]))
    return np.asarray(np.log(np.mean(found, axis=0) + 0.03).ravel())
