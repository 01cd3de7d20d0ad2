"""Chords and key: normal distributions of pitch classes for major and minor triads, smoothed over time; key by profile.

Chords are the states of a hidden Markov model on beats or half beats, as in Sheh and Ellis (ISMIR 2003), with the pitch
classes of bass and treble apart as in Mauch and Dixon (2010).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES
from antiphon_listen.signals import F64, MusicCurves
from antiphon_listen.tables import Tables

NO_CHORD = 24
"""After twelve major and twelve minor chords from C on."""
_LONGEST_STEP = 0.55
"""Seconds of a step: longer beats are halved."""
_UNIFORM_STEP = 0.5
"""Seconds of a step where no beats were found."""
_SHARE = 0.5
"""Of the log-likelihood that counts: neighbouring steps are not independent."""
STAY = 0.85
"""How likely a chord is to go on, a step: a little over the annotated share, .80 of POP909's half beats."""
_MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
_MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
"""Shares of scale degrees in 490 pieces of major and minor (Albrecht and Shanahan, Music Perception 2013)."""
I64 = NDArray[np.int64]


def step_grid(beats: F64, seconds: float) -> F64:
    """The times at which chords may change: beats or half beats from 0 to the end, or an even grid without beats."""
    if len(beats) < 2:
        return np.arange(0.0, max(seconds, 2.0 * _UNIFORM_STEP), _UNIFORM_STEP)
    length = float(np.median(np.diff(beats)))
    early = beats[0] - length * np.arange(int(beats[0] / length), 0, -1)
    late = beats[-1] + length * np.arange(1, int(max(0.0, seconds - beats[-1]) / length) + 1)
    grid = np.concatenate([early, beats, late])
    if length > _LONGEST_STEP:
        grid = np.sort(np.concatenate([grid, (grid[:-1] + grid[1:]) / 2]))
    return np.asarray(grid)


def shares(rows: F64) -> F64:
    """Pitch classes of each step relative to its strongest, compressed, `[n, 24]`."""
    return np.asarray(np.sqrt(rows / (rows.max(axis=1, keepdims=True) + 0.05)))


def likelihoods(rows: F64, tables: Tables) -> F64:
    """Log-likelihoods of the 24 chords and of none, `[n, 25]`."""
    out = np.zeros((len(rows), NO_CHORD + 1))
    for mode in (0, 1):
        for root in range(12):
            out[:, 12 * mode + root] = _normal(turned(rows, root), tables, mode)
    out[:, NO_CHORD] = _normal(rows, tables, 2)
    return out


def turned(rows: F64, root: int) -> F64:
    """Both halves with this root in place 0."""
    return np.concatenate([np.roll(rows[:, :12], -root, axis=1), np.roll(rows[:, 12:], -root, axis=1)], axis=1)


def _normal(rows: F64, tables: Tables, kind: int) -> F64:
    away, precision = rows - tables.chord_mean[kind], tables.chord_precision[kind]
    return np.asarray(0.5 * np.linalg.slogdet(precision)[1] - 0.5 * ((away @ precision) * away).sum(axis=1))


def smoothed(scores: F64, stay: float) -> I64:
    """The most likely states (Viterbi), where a state goes on or any other follows, `[n]`."""
    count, states = scores.shape
    held, moved = np.log(stay), np.log((1.0 - stay) / (states - 1))
    total, own = scores[0].copy(), np.arange(states)
    back = np.zeros((count, states), np.int64)
    for n in range(1, count):
        best = int(np.argmax(total))
        keep, move = total + held, total[best] + moved
        back[n] = np.where(keep >= move, own, best)
        total = np.maximum(keep, move) + scores[n]
    path = np.zeros(count, np.int64)
    path[-1] = int(np.argmax(total))
    for n in range(count - 1, 0, -1):
        path[n - 1] = back[n][path[n]]
    return path


def chord_steps(curves: MusicCurves, beats: F64, tables: Tables) -> tuple[F64, I64]:
    """The times of steps and each one's chord."""
    grid = step_grid(beats, curves.seconds)
    rows = shares(curves.per_interval(grid))
    return grid, smoothed(_SHARE * likelihoods(rows, tables), STAY)


def spans(grid: F64, path: I64, seconds: float) -> list[tuple[float, float, str]]:
    """Chords as (start s, end s, "C:maj"), joined, from 0 to the end."""
    firsts = np.flatnonzero(np.diff(path, prepend=-1))
    edges = [*np.maximum(0.0, grid[firsts]), seconds]
    found = [
        (float(edges[n]), float(edges[n + 1]), name_of(int(path[first])))
        for n, first in enumerate(firsts) if edges[n + 1] > edges[n]
    ]  # fmt: skip
    none = name_of(NO_CHORD)
    if found and found[0][0] > 0.0:
        found = [(0.0, found[0][1], none), *found[1:]] if found[0][2] == none else [(0.0, found[0][0], none), *found]
    return found


def name_of(chord: int) -> str:
    """In Harte's syntax (ISMIR 2005): "A:min", "N" for none."""
    return "N" if chord == NO_CHORD else f"{SHARP_NAMES[chord % 12]}:{'min' if chord >= 12 else 'maj'}"


def key_of(path: I64) -> str | None:
    """The key of a path of chords, "C major"; None without a chord."""
    key = key_number(np.bincount(path, minlength=NO_CHORD + 1)[:NO_CHORD].astype(np.float64))
    return None if key is None else f"{SHARP_NAMES[key % 12]} {'minor' if key >= 12 else 'major'}"


def key_number(counts: F64) -> int | None:
    """The key whose profile correlates best with the notes of all chords; None without a chord.

    Args:
        counts: `[24]`, how long each chord lasts.

    Returns:
        0 to 11 from C major on, 12 to 23 from C minor on.
    """
    notes = np.zeros(12)
    for third, roots in ((4, counts[:12]), (3, counts[12:])):
        for step in (0, third, 7):
            notes += np.roll(roots, step)
    if notes.std() == 0.0:
        return None
    scores = [np.corrcoef(np.roll(profile, tonic), notes)[0, 1] for profile in (_MAJOR, _MINOR) for tonic in range(12)]
    return int(np.argmax(scores))
