"""Beat tracking: tracks grids of several periods and phases, and selects the most likely one by fitted weights.

A grid is tracked as in Ellis, "Beat tracking by dynamic programming" (JNMR 2007): the path of most onset strength whose
steps stay near one period. A grid's period may be half or twice the beat's, and its phase off the beat, at about equal
strength. A linear model, fitted to annotated songs, scores the alignment of onsets and harmonic changes with each grid.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.kernels import f64, f64p, i64, i64p, kernel
from antiphon_listen import signals, spectra
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import Tables

MIN_CONFIDENCE = 0.5
"""Minimum confidence of a tempo. The card gives the shares of noises and songs that reach it."""
MIN_GRID = 4
"""Minimum beats of a grid."""
SHORTEST, LONGEST = 0.3, 1.1
"""Range of the beat period in seconds: 55 to 200 bpm."""
_TIGHTNESS = 400.0
"""Penalty of a step by squared octaves off the period, in standard deviations of strength."""
_ONSET_LATENCY = 0.012
"""Latency of the onset strength in seconds: half a frame."""
_WEIGHTS = np.array([0.45, 0.3, 0.25])
"""Weights of low, middle and high onset strengths."""
_PEAKS, _PERIODS = 10, 6
_RATIOS = (1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4)
_MIN_PERIOD_DISTANCE = 0.04
"""Minimum distance of two distinct periods in natural octaves."""
_MULTIPLES = np.array([1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 3, 4, 6, 8])
"""Multiples of a grid's period at which its onsets may repeat: of all ranges; of low and high ones, and of harmonic
changes, only from the beat on."""
_OFF_PERIOD = np.array([[0.985], [1.0], [1.015]])
"""Ratios to a period between which a repetition is sought."""
_REPEAT_SECONDS = 8.0 * LONGEST + 0.5
"""Longest repetition in seconds."""
_REPEAT_FRAMES = round(_REPEAT_SECONDS * signals.FRAMES_PER_SECOND)
_FROM_BEAT = 4
"""Place of the period itself in `_MULTIPLES`."""
_LOW_TWO = len(_MULTIPLES) + 2
"""Index of the low range's repetition after two periods in `BeatGrid.repeats`."""
_MAX_CHANGE = 6.0
"""Limit of the ratio of harmonic novelty to its mean, where novelty is compared with itself."""
_USUAL = 140.0
"""Middle of the tempi of records, in bpm."""
_SPAN = 16
_FEWEST_EVEN, _UNEVEN, _UNLIKE, _SOFT = 8, 0.04, 0.25, 0.1
"""Even pulse: minimum onsets; maximum relative deviation of intervals; the same of strengths, as accents make a pulse
uneven; and relative strength from which there is something between the onsets."""
_HALF_TIME = 5.0
"""Added to the score of a grid that has the beats of a half-time grid at twice its tempo."""
_HALF_TEMPO, _HALF_REPEAT, _HALF_LONGER, _HALF_QUARTERS = 66.0, 0.8, 0.02, 0.3
"""Half-time grid: maximum tempo in bpm; minimum repetition of low onsets after two beats, and its minimum excess over
four; and high onsets at its quarters over the mean. A slow song repeats after four, or lacks such onsets."""
_SAME = 0.05
"""Distance in seconds within which two beats count as the same."""
_CONFIDENCE_WEIGHTS = (-5.43, 8.73, 2.58, 2.31, -2.35)
"""Log odds that a grid's tempo is right, or half or double: intercept and weights of `_regularity`."""
_GAP = 1.5
"""Number of periods between two beats above which there is a silence between them."""
_WINDOW = 12.0
"""Maximum seconds of a part judged separately: tempo drifts, and a song may have a part without beats."""
_EDGE = 0.2
"""Seconds during which noise begins, which resembles an onset."""
_MIN_SOUNDING = 0.5
"""Minimum share of such a part that is not silent."""
_ONSET_RATIO = 1.5
"""Ratio to the mean strength above which a beat has an onset."""


@kernel
def listen_best_beat_scores(x: f64p, frames: i64, low: i64, high: i64, cost: f64p, score: f64p, back: i64p) -> None:
    """score[t] = x[t] + max over k of score[t - low - k] + cost[k]; back[t] is the argmax frame, -1 at the start."""
    for t in range(frames):
        score[t] = x[t]
        back[t] = -1
        if t >= low:
            best = f64(-1e30)
            place = i64(-1)
            last = min(t, high)
            for step in range(low, last + 1):
                value = score[t - step] + cost[step - low]
                if value > best:
                    best = value
                    place = t - step
            score[t] = x[t] + best
            back[t] = place


@dataclass(frozen=True, slots=True)
class BeatGrid:
    """Hypothesis of beat times.

    `parts`: `[n, 14]`: strengths of low, middle and high onsets on the beat and a quarter, half and three quarters
    after it, and harmonic novelty on the beat and half a beat after it.
    """

    beats: F64  # seconds, ascending
    parts: F64
    repeats: F64  # `[r]`, autocorrelations at `_MULTIPLES` of the period
    drums: bool = False

    @property
    def tempo(self) -> float:
        """Tempo in bpm, by the median over `_SPAN` beats: a single one is rounded to frames of 12 ms, 1 to 3 %."""
        span = min(_SPAN, max(1, (len(self.beats) - 1) // 2))  # of few beats, so that a single one decides nothing
        return float(60.0 * span / np.median(self.beats[span:] - self.beats[:-span]))


def grid_scores(grids: list[BeatGrid], tables: Tables) -> F64:
    """Returns scores of grids by the linear model, `[n]`, raised for double tempo if the likeliest is half-time.

    A kick on the first beat and a snare on the third look like a bar of two beats. Annotated songs have almost none of
    these, and a model fitted to some would be worse on other songs.
    """
    rows = np.array([features(grid) for grid in grids])
    scores = np.asarray(((rows - tables.grid_mean) / tables.grid_spread) @ tables.grid_weights)
    best = grids[int(np.argmax(scores))].tempo
    for half in filter(_is_half_time, grids):
        if np.abs(np.log(best / half.tempo / np.array([1.0, 2.0]))).min() > _MIN_PERIOD_DISTANCE:
            continue
        for place, grid in enumerate(grids):
            twice = abs(np.log(0.5 * grid.tempo / half.tempo)) < _MIN_PERIOD_DISTANCE
            if twice and np.median(np.abs(half.beats[:, None] - grid.beats).min(axis=1)) < _SAME:
                scores[place] += _HALF_TIME
    return scores


def _is_half_time(grid: BeatGrid) -> bool:
    if not grid.drums or grid.tempo >= _HALF_TEMPO:
        return False
    two, four = grid.repeats[_LOW_TWO], grid.repeats[_LOW_TWO + 2]
    high = grid.parts[:, 2:12:3].mean(axis=0)
    even = min(high[1], high[3]) > _HALF_QUARTERS * high.mean()
    return bool(even and two > _HALF_REPEAT and two > four + _HALF_LONGER)


def octave_share(grids: list[BeatGrid], scores: F64, chosen: BeatGrid) -> float:
    """Probability of a grid's tempo among those of the others, 0 to 1: low where half or double is as likely."""
    share = np.exp(scores - scores.max())
    near = np.array([abs(np.log(grid.tempo / chosen.tempo)) < _MIN_PERIOD_DISTANCE for grid in grids])
    return float(share[near].sum() / share.sum())


def confidence(curves: MusicCurves, grid: BeatGrid) -> float:
    """Confidence in a grid's tempo, up to octaves, 0 to 1, the mean over windows.

    A threshold of .5 separates most music from noise, speech and voices of animals.
    """
    strength, period = _WEIGHTS @ curves.strength, 60.0 / grid.tempo
    begin, end = sounding_time_range(curves)
    windows = max(1, round((end - begin) / _WINDOW))
    odds = []
    for first, last in itertools.pairwise(np.linspace(begin, end, windows + 1)):
        if curves.sounding(np.linspace(first, last, 20)).mean() < _MIN_SOUNDING:
            continue
        inside = (grid.beats >= first) & (grid.beats < last)
        part = strength[round(first * signals.FRAMES_PER_SECOND) : round(last * signals.FRAMES_PER_SECOND)]
        if inside.sum() < 2 or part.std() == 0.0:
            odds.append(-np.inf)
        else:
            on = grid.parts[inside, :3].mean(axis=1)
            odds.append(_CONFIDENCE_WEIGHTS[0] + float(np.dot(_CONFIDENCE_WEIGHTS[1:], _regularity(part, on, period))))
    return float(np.mean(1.0 / (1.0 + np.exp(-np.array(odds))))) if odds else 0.0


def sounding_time_range(curves: MusicCurves) -> tuple[float, float]:
    """Returns the times in seconds of the first and the last sound."""
    begin, end = 0.0, curves.seconds
    for first, last in curves.silences:
        begin = max(begin, last) if first <= begin + _EDGE else begin
        end = min(end, first) if last >= curves.seconds else end
    return begin, max(begin, end)


def _regularity(strength: F64, on: F64, period: float) -> F64:
    """Regularity features of a part: repetition, strength on beats over the mean, clear beats, their spread."""
    row = _autocorrelation(strength, len(strength))
    lags = np.outer((1, 2, 4), (0.98, 0.99, 1.0, 1.01, 1.02)) * period * signals.FRAMES_PER_SECOND
    repeated = float(np.interp(lags, np.arange(len(row)), row).max())
    mean = float(strength.mean()) + 1e-9
    spread = min(2.0, float(on.std() / (on.mean() + 1e-9)))
    return np.array([repeated, np.log(on.mean() / mean + 0.1), (on > _ONSET_RATIO * mean).mean(), spread])


def _autocorrelation(strength: F64, lags: int) -> F64:
    """Returns the autocorrelation of the strength without its mean, 1 at lag 0, `[lags]`."""
    even = strength - strength.mean()
    size = 1 << (2 * len(even) - 1).bit_length()
    row = np.fft.irfft(np.abs(np.fft.rfft(even, size)) ** 2)[:lags]
    return np.asarray(row / (row[0] + 1e-12))


def grid_candidates(curves: MusicCurves, shortest: float = 4.0 * LONGEST) -> list[BeatGrid]:
    """Grids of the likely periods, each on and off its beat; empty below `shortest` seconds."""
    strength = _WEIGHTS @ curves.strength
    begin, end = sounding_time_range(curves)
    extent = slice(round(begin * signals.FRAMES_PER_SECOND), round(end * signals.FRAMES_PER_SECOND))
    sounding = curves.sounding(np.arange(len(strength)) / signals.FRAMES_PER_SECOND)
    heard = strength[sounding]
    if len(heard) < shortest * signals.FRAMES_PER_SECOND or heard.std() == 0.0 or not curves.novelty.any():
        return []
    frames = np.arange(len(strength)) * (spectra.FRAMES_PER_SECOND / signals.FRAMES_PER_SECOND)
    change = np.interp(frames, np.arange(len(curves.novelty)), curves.novelty)
    observed = strength / heard.std() + 0.3 * np.minimum(change, 4.0)
    rows = [strength, curves.strength[0], curves.strength[2], np.minimum(change, _MAX_CHANGE)]
    correlations = [
        _autocorrelation(np.where(sounding, row, row[sounding].mean())[extent], _REPEAT_FRAMES) for row in rows
    ]
    periods = _periods(correlations[0])
    even = even_pulse_period(strength[extent])
    if even:
        periods = [even]
    grids = []
    for period in periods:
        beats = _path(observed / observed[sounding].std(), period) / signals.FRAMES_PER_SECOND - _ONSET_LATENCY
        repeats = _period_autocorrelations(correlations, period)
        for at in (beats,) if even else (beats, beats[:-1] + np.diff(beats) / 2):
            at = at[(at >= begin) & curves.sounding(at)]
            if len(at) >= MIN_GRID:
                grids.append(BeatGrid(at, parts_of(curves, at), repeats, curves.drums))
    return grids


def move_grid(curves: MusicCurves, grid: BeatGrid, part: float) -> BeatGrid:
    """Moves a grid by a part of its beats."""
    at = grid.beats[:-1] + part * np.diff(grid.beats)
    at = at[curves.sounding(at)]
    return replace(grid, beats=at, parts=parts_of(curves, at) if len(at) >= MIN_GRID else grid.parts[:0])


def even_pulse_period(strength: F64) -> float:
    """Period in frames of an even pulse with equal onsets, such as a metronome's; 0 for other sounds.

    Annotated songs contain no such sound, so the fitted line has no data on it: the beat is the onset interval, doubled
    until it is slow enough for one.
    """
    inner = np.arange(1, len(strength) - 1)
    peaks = inner[(strength[inner] > strength[inner - 1]) & (strength[inner] >= strength[inner + 1])]
    places = peaks[strength[peaks] > 0.35 * strength.max()]
    # kick and snare of half-time, with three hats between them, are as even as a metronome
    between = (strength[peaks] > _SOFT * strength.max()).sum() - len(places)
    if len(places) < _FEWEST_EVEN or between > 2 * len(places):
        return 0.0
    gaps, heights = np.diff(places), strength[places]
    period = float(gaps.mean())
    away = abs(heights[::2].mean() - heights[1::2].mean())
    if np.abs(gaps - period).max() > max(2.0, _UNEVEN * period) or max(heights.std(), away) > _UNLIKE * heights.mean():
        return 0.0
    while period < SHORTEST * signals.FRAMES_PER_SECOND:
        period *= 2.0
    return period if period <= LONGEST * signals.FRAMES_PER_SECOND else 0.0


def _period_autocorrelations(correlations: list[F64], period: float) -> F64:
    """Autocorrelations at `_MULTIPLES` of a period in frames, `[32]`."""
    lags = _MULTIPLES * period * _OFF_PERIOD
    found = [np.interp(lags, np.arange(len(row)), row).max(axis=0) for row in correlations]
    return np.concatenate([found[0], *(row[_FROM_BEAT:] for row in found[1:])])


def _periods(correlation: F64) -> list[float]:
    """Likely periods in frames, by the peaks of an autocorrelation."""
    row = correlation[: round(3.0 * signals.FRAMES_PER_SECOND)]
    inner = np.arange(round(0.15 * signals.FRAMES_PER_SECOND), len(row) - 1)
    peaks = inner[(row[inner] > row[inner - 1]) & (row[inner] >= row[inner + 1])]
    peaks = peaks[np.argsort(-row[peaks], kind="stable")][:_PEAKS]
    beside = 0.5 * (row[peaks - 1] - row[peaks + 1]) / (row[peaks - 1] - 2 * row[peaks] + row[peaks + 1] - 1e-12)
    every = np.outer(peaks + beside, _RATIOS).ravel()
    seconds = every / signals.FRAMES_PER_SECOND
    every = every[(seconds >= SHORTEST) & (seconds <= LONGEST)]
    places = np.arange(len(row))
    found = sum((np.interp(n * every, places, row) * (n * every < len(row)) for n in (1, 2)), np.zeros(len(every)))
    periods: list[float] = []
    for period in every[np.argsort(-found, kind="stable")]:
        if all(abs(np.log(period / other)) > _MIN_PERIOD_DISTANCE for other in periods):
            periods.append(float(period))
    return periods[:_PERIODS]


def _path(observed: F64, period: float) -> F64:
    """Frames of the best path."""
    low, high = round(0.75 * period), round(1.33 * period)
    cost = -_TIGHTNESS * np.log(np.arange(low, high + 1) / period) ** 2
    score, back = np.zeros(len(observed)), np.zeros(len(observed), np.int64)
    listen_best_beat_scores(np.ascontiguousarray(observed), len(observed), low, high, cost, score, back)
    at = len(score) - high + int(np.argmax(score[-high:]))
    path = []
    while at >= 0:
        path.append(at)
        at = int(back[at])
    return np.array(path[::-1], np.float64)


def flag_beats_after_silence(beats: F64) -> NDArray[np.bool_]:
    """Returns flags of the beats that follow a silence, `[n]`."""
    lengths = np.diff(beats)
    return np.concatenate([[False], lengths > _GAP * np.median(lengths)])


def interval_lengths(beats: F64) -> F64:
    """Seconds from each beat to the next, but not over a silence, `[n]`."""
    lengths = np.diff(beats, append=2.0 * beats[-1] - beats[-2])
    return np.minimum(lengths, _GAP * np.median(lengths))


def parts_of(curves: MusicCurves, beats: F64) -> F64:
    """Strengths and novelty on and after beats, as `BeatGrid.parts`, `[n, 14]`."""
    lengths, count = interval_lengths(beats), len(beats)
    times = np.concatenate([beats + part * lengths for part in (0.0, 0.25, 0.5, 0.75)])
    strength = curves.strengths_near_onsets(times).reshape(3, 4, count).swapaxes(0, 1).reshape(12, count)
    change = curves.novelty_near_times(np.concatenate([times[:count], times[2 * count : 3 * count]])).reshape(2, count)
    return np.concatenate([strength, change]).T


def features(grid: BeatGrid) -> F64:
    """Features of a grid, `[75]`: its tempo, strength and novelty on and off its beats, and how onsets repeat."""
    mean = grid.parts.mean(axis=0)
    strength = mean[:12].reshape(4, 3)
    total = strength.mean(axis=0) + 1e-9
    octaves = np.log2(grid.tempo / 90.0)
    middle = (mean[12] + mean[13]) / 2 + 1e-9
    _, third, half, two_thirds, once, _, twice, thrice, four, six, eight = grid.repeats[: len(_MULTIPLES)]
    repeated = np.log1p(10.0 * max(0.0, once))
    drums = float(grid.drums)
    return np.array([
        octaves, octaves**2, max(0.0, twice), max(0.0, half), *(strength / total).ravel(), *np.log(total),
        mean[12] / middle, mean[12] - mean[13], *_beat_group_contrasts(grid.parts[:, (0, 1, 2, 12)]),
        repeated, np.log2(grid.tempo / _USUAL) ** 2, drums * octaves, drums * octaves**2, drums * repeated,
        *grid.repeats, eight + four + twice - thrice - six, max(twice, four) - thrice, half - max(third, two_thirds),
    ])  # fmt: skip


def _beat_group_contrasts(columns: F64) -> F64:
    """Contrast of the strongest of two, three, four and eight beats in each column, averaged over the recording."""
    rows = []
    for beats in (2, 3, 4, 8):
        count = len(columns) // beats
        if count:
            mean = columns[: count * beats].reshape(count, beats, -1).mean(axis=0)
            middle = mean.mean(axis=0)
            rows.append((mean.max(axis=0) - middle) / (np.abs(middle) + 0.3))
        else:
            rows.append(np.zeros(columns.shape[1]))
    return np.array(rows).T.ravel()
