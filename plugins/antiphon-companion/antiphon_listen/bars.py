"""Downbeat tracking from harmonic changes and durations, with one meter per recording.

A linear model, fitted to annotated songs, gives each beat log odds of being a downbeat from the chords and onsets
around it. A Viterbi path counts beats modulo the meter; it may skip or add some at a cost, as bars of two beats occur.
"""

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon_listen import harmony
from antiphon_listen.beats import BeatGrid, flag_beats_after_silence, sounding_time_range
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import Tables

MIN_BEATS = 8
"""Minimum beats for bar tracking."""
_IRREGULAR_BAR_PENALTY = -10.0
"""Score penalty of a bar of irregular length."""
LOG_ODDS_BIAS = 1.1
"""Bias of the log odds, whose mean is that of one beat in four: it draws the path to likely downbeats."""
_STAY = 0.7
_ALONE = 0.9
"""Share of beats without a chord from which a recording counts as drums alone."""
_FROM_START, _KICK = 2.0, 0.5
"""For drums alone: the log odds of whole bars after the first stroke, and the log odds per standard deviation by which
low onsets (kick) exceed middle ones (snare)."""
_HARMONY_OFFSETS = (-8, -6, -4, -3, -2, -1, 1, 2, 3, 4, 6, 8)
"""Beat offsets whose harmonic changes are features."""
_ONSET_OFFSETS = (-4, -2, -1, 1, 2, 4)
"""Beat offsets whose onsets are features."""


def bar_odds(curves: MusicCurves, grid: BeatGrid, tables: Tables) -> tuple[F64, F64]:
    """Log odds of each beat being a downbeat, `[n]`, in bars of four, and of three or five."""
    if len(grid.beats) < MIN_BEATS:
        return np.zeros(len(grid.beats)), np.zeros(len(grid.beats))
    found = features(curves, grid, tables)
    in_four = tables.drum_weights if grid.drums else tables.bar_weights
    four, three = (found @ line[:-1] + line[-1] for line in (in_four, tables.waltz_weights))
    return np.asarray(four), np.asarray(three)


def track_bars(curves: MusicCurves, grid: BeatGrid, tables: Tables, meter: int) -> tuple[F64, F64]:
    """Log odds of each beat being a downbeat, `[n]`, and times of the downbeats in seconds; `meter`: beats per bar."""
    four, three = bar_odds(curves, grid, tables)
    if meter == 4 and grid.drums and len(grid.beats) >= MIN_BEATS and has_no_chords(curves, grid, tables):
        four = _odds_of_drums(curves, grid)
    # dotted beats have the chords' changes of other bars of even length
    odds = four if meter in (2, 4) else three
    return odds, find_downbeats(odds, grid.beats, meter)


def _odds_of_drums(curves: MusicCurves, grid: BeatGrid) -> F64:
    """Log odds of drums alone, `[n]`, in bars of four from the first stroke."""
    begin, _ = sounding_time_range(curves)
    places = np.round((grid.beats - max(0.0, begin)) * grid.tempo / 60.0).astype(int)
    level = _standardise_columns(np.log(grid.parts[:, :2] + 0.1))
    return np.asarray(_FROM_START * (places % 4 == 0) + _KICK * (level[:, 0] - level[:, 1]) - LOG_ODDS_BIAS - 1.0)


def has_no_chords(curves: MusicCurves, grid: BeatGrid, tables: Tables) -> bool:
    """Whether at least `_ALONE` of the beats have no chord."""
    scores = harmony.likelihoods(harmony.shares(curves.pitch_classes_by_interval(grid.beats)), tables)
    return bool((harmony.viterbi_states(0.5 * scores, _STAY) == harmony.NO_CHORD).mean() >= _ALONE)


def find_downbeats(odds: F64, beats: F64, meter: int = 4) -> F64:
    """Times of the downbeats in seconds, on the best path through the beats' odds in bars of `meter` beats."""
    if len(beats) < MIN_BEATS:
        return beats[:0]
    return np.asarray(beats[_bar_places(odds + LOG_ODDS_BIAS, meter, flag_beats_after_silence(beats)) == 0])


def features(curves: MusicCurves, grid: BeatGrid, tables: Tables) -> F64:
    """Features of each beat, `[n, 118]`: chord changes, their durations, onsets, and the neighbours'."""
    count = len(grid.beats)
    scores = harmony.likelihoods(harmony.shares(curves.pitch_classes_by_interval(grid.beats)), tables)
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
    return np.concatenate([own, *around, _accent_features(grid)], axis=1)


def _accent_features(grid: BeatGrid) -> F64:
    """Onsets and novelty on and after each beat relative to the recording's, and of neighbouring beats, `[n, 38]`."""
    level = _standardise_columns(np.log(grid.parts + 0.1))
    return np.concatenate(
        [level, *(np.roll(level, -step, axis=0)[:, [0, 1, 2, 12]] for step in _ONSET_OFFSETS)], axis=1
    )


def _standardise_columns(level: F64) -> F64:
    """Returns columns with mean 0 and standard deviation 1."""
    return np.asarray((level - level.mean(axis=0)) / (level.std(axis=0) + 0.1))


def _bar_places(odds: F64, meter: int, free: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions in bars on the best path; at `free` beats any position begins without a penalty."""
    count, own = len(odds), np.arange(meter)
    total = np.zeros(meter)
    # its odds lack what stands before it
    total[0] = max(0.0, odds[0])
    back = np.zeros((count, meter), np.int64)
    for n in range(1, count):
        best = int(np.argmax(total))
        on, jump = np.roll(total, 1), total[best] + (0.0 if free[n] else _IRREGULAR_BAR_PENALTY)
        back[n] = np.where(on >= jump, (own - 1) % meter, best)
        total = np.maximum(on, jump)
        total[0] += odds[n]
    places = np.zeros(count, np.int64)
    places[-1] = int(np.argmax(total))
    for n in range(count - 1, 0, -1):
        places[n - 1] = back[n][places[n]]
    return places
