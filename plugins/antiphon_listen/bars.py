"""Downbeat tracking, by harmonic changes and durations, with one meter a recording.

Each beat gets log odds of being a downbeat, by a line fitted to annotated songs on the chords and onsets around it. A
Viterbi path counts beats modulo the meter and may skip or add some, at a cost, as bars of two beats do occur.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import F64
from antiphon_listen.beats import BeatGrid
from antiphon_listen.chords import harmony
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import Tables

METERS = {4: 0.0, 3: -10.0, 6: -12.0}
"""Score offset by beats per bar: songs in four are far more frequent."""
MIN_BEATS = 8
"""Minimum beats for bar tracking."""
_IRREGULAR_BAR_PENALTY = -10.0
"""Score penalty of a bar of irregular length."""
LOG_ODDS_BIAS = 1.1
"""Bias of the log odds, whose mean is that of one beat in four: it draws the path to likely downbeats."""
_STAY = 0.7
_HARMONY_OFFSETS = (-8, -6, -4, -3, -2, -1, 1, 2, 3, 4, 6, 8)
"""Beat offsets whose harmonic changes are features."""
_ONSET_OFFSETS = (-4, -2, -1, 1, 2, 4)
"""Beat offsets whose onsets are features."""


def bar_odds(curves: MusicCurves, grid: BeatGrid, tables: Tables) -> F64:
    """Log odds of each beat being a downbeat, `[n]`."""
    if len(grid.beats) < MIN_BEATS:
        return np.zeros(len(grid.beats))
    return np.asarray(features(curves, grid, tables) @ tables.bar_weights[:-1] + tables.bar_weights[-1])


def find_downbeats(odds: F64, beats: F64) -> F64:
    """Times of the downbeats in seconds, on the best path through the beats' odds."""
    if len(beats) < MIN_BEATS:
        return beats[:0]
    odds = odds + LOG_ODDS_BIAS
    best, chosen = -np.inf, beats[:0]
    for meter, prior in METERS.items():
        score, places = _counted(odds, meter)
        if score + prior > best:
            best, chosen = score + prior, beats[places == 0]
    return chosen


def features(curves: MusicCurves, grid: BeatGrid, tables: Tables) -> F64:
    """Features of each beat, `[n, 118]`: chord changes, their durations, onsets, and the neighbours'."""
    count = len(grid.beats)
    scores = harmony.likelihoods(harmony.shares(curves.per_interval(grid.beats)), tables)
    path = harmony.viterbi_states(0.5 * scores, _STAY)
    change = np.concatenate([[0.0], np.diff(path) != 0]).astype(np.float64)
    total = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0)])
    places = np.arange(count)
    columns = [change]
    for width in (1, 2, 4):
        before = total[places] - total[np.maximum(0, places - width)]
        after = total[np.minimum(count, places + width)] - total[places]
        gain = before.max(axis=1) + after.max(axis=1) - (before + after).max(axis=1)
        columns.append(np.tanh(gain / (8 * width)))
    edges = np.flatnonzero(np.concatenate([[1.0], change[1:]]))
    lengths = np.diff(np.append(edges, count))
    ahead, behind = np.zeros(count), np.zeros(count)
    ahead[edges] = np.minimum(lengths, 8) / 4
    behind[edges[1:]] = np.minimum(lengths[:-1], 8) / 4
    bar, both = (ahead == 1.0).astype(np.float64), ((ahead >= 0.9) & (behind >= 0.9)).astype(np.float64)
    columns += [ahead, behind, bar, both]
    degree = np.zeros((count, 24))
    tonic = int(np.argmax(np.bincount(path, minlength=harmony.NO_CHORD + 1)[: harmony.NO_CHORD]))
    chords = np.flatnonzero(path < harmony.NO_CHORD)
    degree[chords, (path[chords] % 12 - tonic) % 12 + 12 * (path[chords] >= 12)] = change[chords]
    own = np.concatenate([np.array(columns, np.float64).T, degree], axis=1)
    around = [np.roll(own, -step, axis=0)[:, [0, 2, 3, 4]] for step in _HARMONY_OFFSETS]
    return np.concatenate([own, *around, _accents(grid)], axis=1)


def _accents(grid: BeatGrid) -> F64:
    """Onsets and novelty on and after each beat relative to the recording's, and of neighbouring beats, `[n, 38]`."""
    level = np.log(grid.parts + 0.1)
    level = level - level.mean(axis=0)
    level /= level.std(axis=0) + 0.1
    return np.concatenate(
        [level, *(np.roll(level, -step, axis=0)[:, [0, 1, 2, 12]] for step in _ONSET_OFFSETS)], axis=1
    )


def _counted(odds: F64, meter: int) -> tuple[float, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Score of the best path, and each beat's position in its bar."""
    count, own = len(odds), np.arange(meter)
    total = np.zeros(meter)
    total[0] = odds[0]
    back = np.zeros((count, meter), np.int64)
    for n in range(1, count):
        best = int(np.argmax(total))
        on, jump = np.roll(total, 1), total[best] + _IRREGULAR_BAR_PENALTY
        back[n] = np.where(on >= jump, (own - 1) % meter, best)
        total = np.maximum(on, jump)
        total[0] += odds[n]
    places = np.zeros(count, np.int64)
    places[-1] = int(np.argmax(total))
    for n in range(count - 1, 0, -1):
        places[n - 1] = back[n][places[n]]
    return float(total.max()), places
