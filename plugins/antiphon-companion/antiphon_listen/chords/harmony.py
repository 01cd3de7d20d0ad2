"""Chord and key detection: Gaussian pitch class models of major and minor triads, smoothed over time; key by chords.

Chords are the states of a hidden Markov model on beats or half beats, as in Sheh and Ellis (ISMIR 2003), with separate
pitch classes of bass and treble as in Mauch and Dixon (2010).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, SHARP_NAMES
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import Tables

NO_CHORD = 24
"""Index of no chord, after twelve major and twelve minor chords from C on."""
_MAX_STEP = 0.55
"""Maximum seconds of a step: longer beats are halved."""
_UNIFORM_STEP = 0.5
"""Step in seconds without detected beats."""
_LIKELIHOOD_EXPONENT = 0.5
"""Exponent of the likelihood, as neighbouring steps are not independent."""
SELF_TRANSITION = 0.85
"""Self-transition probability of a chord per step: a little over the annotated share, .80 of POP909's half beats."""
MIN_KEY = 0.5
"""Minimum confidence of a key: of those above it four in five and more are right. The card has the figures."""
_PROFILES = (
    (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
    (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
)
"""Share of each pitch class in a major and a minor key: Albrecht and Shanahan (2013)."""
_CHORD_WEIGHT, _PROFILE_WEIGHT = 0.54, 9.1
"""Weights of the chords' scores and of the profiles, fitted to records, renders and played pieces with known keys."""
_FOLD = np.concatenate([0.5 * np.eye(12), np.eye(12)])
"""Matrix from pitch classes of bass and treble to those of both."""
I64 = NDArray[np.int64]


def step_grid(beats: F64, seconds: float) -> F64:
    """Possible times of chord changes: beats or half beats from 0 to the end, or an even grid without beats."""
    if len(beats) < 2:
        return np.arange(0.0, max(seconds, 2.0 * _UNIFORM_STEP), _UNIFORM_STEP)
    length = float(np.median(np.diff(beats)))
    early = beats[0] - length * np.arange(int(beats[0] / length), 0, -1)
    late = beats[-1] + length * np.arange(1, int(max(0.0, seconds - beats[-1]) / length) + 1)
    grid = np.concatenate([early, beats, late])
    if length > _MAX_STEP:
        grid = np.sort(np.concatenate([grid, (grid[:-1] + grid[1:]) / 2]))
    return np.asarray(grid)


def shares(rows: F64) -> F64:
    """Compressed pitch classes of each step relative to its strongest, `[n, 24]`."""
    return np.asarray(np.sqrt(rows / (rows.max(axis=1, keepdims=True) + 0.05)))


def likelihoods(rows: F64, tables: Tables) -> F64:
    """Log-likelihoods of the 24 chords and of no chord, `[n, 25]`."""
    out = np.zeros((len(rows), NO_CHORD + 1))
    for mode in (0, 1):
        for root in range(12):
            out[:, 12 * mode + root] = _normal(rotate_root(rows, root), tables, mode)
    out[:, NO_CHORD] = _normal(rows, tables, 2)
    return out


def rotate_root(rows: F64, root: int) -> F64:
    """Both halves rotated so that the root is at index 0."""
    return np.concatenate([np.roll(rows[:, :12], -root, axis=1), np.roll(rows[:, 12:], -root, axis=1)], axis=1)


def _normal(rows: F64, tables: Tables, kind: int) -> F64:
    away, precision = rows - tables.chord_mean[kind], tables.chord_precision[kind]
    return np.asarray(0.5 * np.linalg.slogdet(precision)[1] - 0.5 * ((away @ precision) * away).sum(axis=1))


def viterbi_states(scores: F64, stay: float) -> I64:
    """Most likely states (Viterbi), with equal probabilities of all changes, `[n]`."""
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
    """Times of steps and each one's chord."""
    grid = step_grid(beats, curves.seconds)
    rows = shares(curves.per_interval(grid))
    return grid, viterbi_states(_LIKELIHOOD_EXPONENT * likelihoods(rows, tables), SELF_TRANSITION)


def name_of(chord: int) -> str:
    """Chord name in Harte's syntax (ISMIR 2005): "A:min", "N" for none."""
    return "N" if chord == NO_CHORD else f"{SHARP_NAMES[chord % 12]}:{'min' if chord >= 12 else 'maj'}"


def key_of(path: I64, notes: F32, tables: Tables) -> tuple[int | None, float]:
    """Key by chords and pitch classes, as in `KEY_NAMES`, and its confidence, 0 to 1; None and 0 without notes.

    `notes`: `[m, 24]` as `MusicCurves.notes`. Confidence: the key's probability times its profile's correlation.
    """
    classes = np.sqrt(notes).mean(axis=0) @ _FOLD
    turned = np.array([np.roll(profile, tonic) for profile in _PROFILES for tonic in range(12)])
    away, goal = turned - turned.mean(axis=1, keepdims=True), classes - classes.mean()
    size = np.linalg.norm(away, axis=1) * np.linalg.norm(goal)
    match = np.asarray(away @ goal / (size + 1e-9))
    if not match.any():
        return None, 0.0
    scores, chords = _PROFILE_WEIGHT * match, path[path < NO_CHORD]
    if len(chords):
        features = key_features(np.bincount(chords, minlength=NO_CHORD), int(chords[0]), int(chords[-1]))
        scores = scores + _CHORD_WEIGHT * len(chords) / len(path) * (features @ tables.key_weights)
    key, share = _best(scores)
    return key, share * max(0.0, float(match[key]))


def likely_key(lengths: NDArray[Any], tables: Tables) -> tuple[int, float]:
    """Likeliest key by durations of chords `[24]`, 0 to 11 from C major, 12 to 23 from C minor, and its probability."""
    return _best(key_features(lengths, None, None) @ tables.key_weights)


def _best(scores: F64) -> tuple[int, float]:
    """Index of the best score and its share, by the softmax that the weights were fitted by."""
    key = int(np.argmax(scores))
    return key, float(1.0 / np.exp(scores - scores[key]).sum())


def key_features(lengths: NDArray[Any], first: int | None, last: int | None) -> F64:
    """Features of each of the 24 keys, `[24, 145]`: share, first and last of the chords from its tonic on; its mode."""
    rows = np.zeros((3, 2, 12))
    rows[0] = np.sqrt(lengths / lengths.sum()).reshape(2, 12)
    for row, chord in zip(rows[1:], (first, last), strict=True):
        if chord is not None:
            row[chord // 12, chord % 12] = 1.0
    out = np.zeros((24, 2 * rows.size + 1))
    for tonic in range(12):
        turned = np.roll(rows, -tonic, axis=2).ravel()
        out[tonic, : rows.size] = out[12 + tonic, rows.size : -1] = turned
    out[12:, -1] = 1.0
    return out
