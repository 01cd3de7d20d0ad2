"""Chords and key of a recording: chords by crema's network in numpy and Gaussian triad models, key from chords."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, SHARP_NAMES
from antiphon.api.backends.models import ModelError, logistic, read_weights
from antiphon.signal.pitch import root_name
from antiphon_listen import spectra
from antiphon_listen.signals import MusicCurves
from antiphon_listen.spectra import BINS
from antiphon_listen.tables import Tables

log = logging.getLogger(__name__)
MODEL = "listen-chords"
KINDS = ("maj", "min", "dim", "aug", "7", "maj7", "min7", "maj6", "min6", "minmaj7", "dim7", "hdim7", "sus2", "sus4")
"""Kinds of chords in Harte's syntax."""
LABELS = (*(f"{root}:{kind}" for root in SHARP_NAMES for kind in KINDS), "N")
"""Classes of `CremaNetwork`, by root."""
_HARMONICS, _SPAN = 2, 6 * BINS
"""Copies of the spectrum an octave apart, and bins of each."""
_FLOOR = -80.0
"""Floor in dB below the loudest bin."""
_BLOCK, _AROUND = 1024, 2
"""Frames per convolution batch, and their context on each side."""


@dataclass(frozen=True, slots=True)
class ChordOdds:
    """Log probabilities of each frame: `chords` `[n, 169]` of `LABELS`, `bass` `[n, 13]` of pitch classes and none."""

    chords: F32
    bass: F32


class CremaNetwork:
    """The network. `weights`: arrays named as in `antiphon_models.listen.crema`."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = {name: np.asarray(array, np.float32) for name, array in weights.items()}

    def __call__(self, magnitudes: F32) -> ChordOdds:
        """Probabilities of the frames of `ConstantQ`, `[n, 252]`; there is one at least."""
        x = self._both_ways(self._both_ways(self._front(levels(magnitudes)), 1), 2)
        pitch = logistic(self._linear(x, "pitch"))
        root, bass = (_log_softmax(self._linear(x, name)) for name in ("root", "bass"))
        x = np.concatenate([x, pitch, np.exp(root), np.exp(bass)], axis=1)
        return ChordOdds(_log_softmax(self._linear(x, "tag")), bass)

    def _front(self, x: F32) -> F32:
        """`[n, 216, 2]` to `[n, 72]`: a convolution, and a layer over all bins, block by block."""
        kernel, bias = self._weights["front.kernel"], self._weights["front.bias"]
        found = []
        for first in range(0, len(x), _BLOCK):
            start = max(0, first - _AROUND)
            block = x[start : first + _BLOCK + _AROUND] * self._weights["input.scale"] + self._weights["input.shift"]
            smooth = np.maximum(0.0, _convolve(block, kernel) + bias)[first - start :][:_BLOCK]
            found.append(np.maximum(0.0, self._linear(smooth, "bins")))
        return np.concatenate(found)

    def _linear(self, x: F32, name: str) -> F32:
        return np.asarray(x @ self._weights[f"{name}.kernel"] + self._weights[f"{name}.bias"])

    def _both_ways(self, x: F32, number: int) -> F32:
        """Runs a recurrent layer forwards and another backwards, and joins their outputs."""
        forward, backward = self._run_gru(x, f"forward{number}"), self._run_gru(x[::-1], f"backward{number}")[::-1]
        return np.concatenate([forward, backward], axis=1)

    def _run_gru(self, x: F32, name: str) -> F32:
        """Runs gated recurrent units (Cho et al., 2014) with hard sigmoids."""
        given, recurrent = self._linear(x, name), self._weights[f"{name}.recurrent"]
        units = recurrent.shape[0]
        gates, candidate = (np.ascontiguousarray(part) for part in np.split(recurrent, [2 * units], axis=1))
        out = np.zeros((len(x), units), np.float32)
        state: F32 = np.zeros(units, np.float32)
        for n in range(len(x)):
            gate = np.minimum(np.maximum(0.2 * (given[n, : 2 * units] + state @ gates) + 0.5, 0.0), 1.0)
            update, reset = gate[:units], gate[units:]
            fresh = np.tanh(given[n, 2 * units :] + (reset * state) @ candidate)
            state = np.asarray(update * state + (1.0 - update) * fresh, np.float32)
            out[n] = state
        return out


@cache
def chord_network() -> CremaNetwork | None:
    """The installed network; None, after one warning, where its weights are missing or changed."""
    try:
        return CremaNetwork(read_weights(MODEL))
    except ModelError as error:
        log.warning("chords of recordings are triads, found without the network: %s", error)
        return None


def levels(magnitudes: F32) -> F32:
    """dB below the loudest bin, `[n, 216, 2]`: the lower six octaves, and the upper six."""
    parts = [magnitudes[:, BINS * n : BINS * n + _SPAN] for n in range(_HARMONICS)]
    tops = [max(float(part.max(initial=0.0)), 1e-5) for part in parts]
    decibels = [20.0 * np.log10(np.maximum(part, 1e-5) / top) for part, top in zip(parts, tops, strict=True)]
    return np.maximum(np.stack(decibels, axis=2), _FLOOR).astype(np.float32)


def _convolve(x: F32, kernel: F32) -> F32:
    """`[n, bins, c]` and `[5, 5, c]` to `[n, bins]`, with zeros around."""
    (high, wide, channels), (count, bins) = kernel.shape, x.shape[:2]
    padded = np.pad(x, ((high // 2, high // 2), (wide // 2, wide // 2), (0, 0)))
    out = np.zeros((count, bins), np.float32)
    for a, b, c in np.ndindex(high, wide, channels):
        out += kernel[a, b, c] * padded[a : a + count, b : b + bins, c]
    return out


def _log_softmax(x: F32) -> F32:
    x = x - x.max(axis=1, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))


NO_CHORD = 24
"""Index of no chord, after twelve major and twelve minor chords from C on."""
_MAX_STEP = 0.55
"""Maximum seconds of a step: longer beats are halved."""
_UNIFORM_STEP = 0.5
"""Step in seconds without detected beats."""
_LIKELIHOOD_EXPONENT = 0.5
"""Exponent of the likelihood, as neighbouring steps are not independent."""
SELF_TRANSITION = 0.85
"""Self-transition probability of a chord per step, slightly above the annotated share, .80 of POP909's half beats."""
MIN_KEY = 0.5
"""Minimum confidence of a key. At least four in five keys above it are right; the card has the figures."""
_MAX_CLASS_SHARE = 0.28
"""Share of the strongest pitch class from which a sound is one pitch, which has no key: .31 to .35 of clicks, at most
.24 of 30 records and voices and .21 of 33 rendered pieces."""
_PROFILES = (
    (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
    (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
)
"""Share of each pitch class in a major and a minor key: Albrecht and Shanahan (2013)."""
_CHORD_WEIGHT, _PROFILE_WEIGHT = 0.54, 9.1
"""Weights of the chords' scores and of the profiles, fitted to records, renders and played pieces with known keys."""
_FOLD = np.concatenate([0.5 * np.eye(12), np.eye(12)])
"""Matrix that sums pitch classes of bass and treble."""
I64 = NDArray[np.int64]


def possible_chord_times(beats: F64, seconds: float) -> F64:
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
            out[:, 12 * mode + root] = _gaussian_log_density(rotate_root(rows, root), tables, mode)
    out[:, NO_CHORD] = _gaussian_log_density(rows, tables, 2)
    return out


def rotate_root(rows: F64, root: int) -> F64:
    """Rotates both halves so that the root is at index 0."""
    return np.concatenate([np.roll(rows[:, :12], -root, axis=1), np.roll(rows[:, 12:], -root, axis=1)], axis=1)


def _gaussian_log_density(rows: F64, tables: Tables, kind: int) -> F64:
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
    """Returns the times of steps and the chord of each."""
    grid = possible_chord_times(beats, curves.seconds)
    rows = shares(curves.pitch_classes_by_interval(grid))
    return grid, viterbi_states(_LIKELIHOOD_EXPONENT * likelihoods(rows, tables), SELF_TRANSITION)


def name_of(chord: int) -> str:
    """Chord name in Harte's syntax (ISMIR 2005): "A:min", "N" for none."""
    return "N" if chord == NO_CHORD else f"{SHARP_NAMES[chord % 12]}:{'min' if chord >= 12 else 'maj'}"


def key_of(path: I64, notes: F32, tables: Tables) -> tuple[int | None, float]:
    """Key by chords and pitch classes, as in `KEY_NAMES`, and its confidence, 0 to 1; None and 0 of one note or none.

    `notes`: `[m, 24]` as `MusicCurves.notes`. Confidence: the key's probability times its profile's correlation.
    """
    classes = np.sqrt(notes).mean(axis=0) @ _FOLD
    turned = np.array([np.roll(profile, tonic) for profile in _PROFILES for tonic in range(12)])
    away, goal = turned - turned.mean(axis=1, keepdims=True), classes - classes.mean()
    size = np.linalg.norm(away, axis=1) * np.linalg.norm(goal)
    match = np.asarray(away @ goal / (size + 1e-9))
    if not match.any() or classes.max() > _MAX_CLASS_SHARE * classes.sum():
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


TONES = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10), "maj6": (0, 4, 7, 9), "min6": (0, 3, 7, 9), "minmaj7": (0, 3, 7, 11), "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10), "sus2": (0, 2, 7), "sus4": (0, 5, 7),
}  # fmt: skip
"""Semitones above the root of each kind of `LABELS`."""
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
_NETWORK, _TRIADS = 4.0, 0.4
"""Exponents of the two likelihoods of a step, tuned on songs whose numbers end in 8; below 1, as neighbouring frames
are not independent."""
_TONES, _TONES_OF_NONE = 0.2, 0.5
"""Weight of the tones that sound, in which qualities over one root differ, and of no chord's share in it: at 1 lone
voices get chords."""
_ABSENT, _PRESENT, _BASS_TONE = 0.3, 0.7, 0.7
"""Level of a pitch class, relative to the strongest, that surely is absent and surely sounds; weight of the bass."""
_MAX_LOG_ODDS = 30.0
"""Maximum of a triad's log odds. A sound far from the data of the triad model is no stronger evidence."""


@dataclass(frozen=True, slots=True)
class SongChords:
    """Chords of a recording."""

    spans: list[tuple[float, float, str]]  # (start s, end s, label in Harte's syntax) from 0 to the end
    confidence: float  # mean probability of the chords by the network; 0 without it
    grid: F64  # times of the steps, in seconds
    triads: I64  # `[n]`, each step's nearest triad, or `NO_CHORD`

    def spell(self, key: int) -> SongChords:
        """The chords with their roots as they are written in a key, an index in `KEY_NAMES`."""
        spans = []
        for start, end, label in self.spans:
            root, _, kind = label.partition(":")
            spans.append((start, end, f"{root_name(SHARP_NAMES.index(root), key)}:{kind}" if kind else label))
        return replace(self, spans=spans)

    def shift(self, seconds: float) -> SongChords:
        """Returns the chords moved by `seconds`, for silence added to the recording's beginning or removed from it."""
        starts = np.array([start + seconds for start, _, _ in self.spans])
        labels, end = [label for _, _, label in self.spans], self.spans[-1][1] + seconds
        return replace(self, spans=_merge_steps(starts, labels, end), grid=self.grid + seconds)


def find_chords(curves: MusicCurves, beats: F64, tables: Tables, odds: ChordOdds | None) -> SongChords:
    """Finds the chords of a recording with these beats; only major and minor triads without the network's `odds`."""
    if odds is None:
        grid, path = chord_steps(curves, beats, tables)
        labels = [name_of(int(chord)) for chord in path]
        return SongChords(_merge_steps(grid, labels, curves.seconds), 0.0, grid, path)
    grid = possible_chord_times(beats, curves.seconds)
    rows = odds.chords
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    edges = np.append(grid, 2.0 * grid[-1] - grid[-2])
    place = np.clip(edges * spectra.FRAMES_PER_SECOND + 0.5, 0.0, len(rows))
    whole = np.minimum(place.astype(int), len(rows) - 1)
    until = total[whole] + (place - whole)[:, None] * rows[whole]
    scores = np.asarray(np.diff(until, axis=0) / np.maximum(np.diff(place), 1e-6)[:, None])
    classes = shares(curves.pitch_classes_by_interval(grid))
    known = likelihoods(classes, tables)
    fitted = _NETWORK * scores + _TRIADS * _triad_odds(known) + _TONES * _tone_odds(classes) * _chord_share(known)
    path = viterbi_states(fitted, SELF_TRANSITION)
    spans = _merge_steps(grid, [LABELS[chord] for chord in path], curves.seconds)
    certain = np.exp(scores[np.arange(len(path)), path])
    triads = np.append(_NEAREST_TRIAD, NO_CHORD)[path]
    return SongChords([_add_bass_to_span(span, odds.bass) for span in spans], float(certain.mean()), grid, triads)


def _chord_share(likelihoods: F64) -> F64:
    """Probability of any chord by the triad model, `[n, 1]`."""
    return np.asarray(1.0 - np.exp(likelihoods[:, NO_CHORD] - np.logaddexp.reduce(likelihoods, axis=1)))[:, None]


def _triad_odds(likelihoods: F64) -> F64:
    """Log odds of `LABELS` by the triad model, `[n, 169]`: of a chord among the triads, weighted by that of any."""
    triads = likelihoods[:, :NO_CHORD]
    share = np.maximum(triads - np.logaddexp.reduce(triads, axis=1)[:, None], -_MAX_LOG_ODDS)
    none = likelihoods[:, NO_CHORD] - np.logaddexp.reduce(likelihoods, axis=1)
    chords = share[:, _NEAREST_TRIAD] * _chord_share(likelihoods)
    return np.concatenate([chords, np.maximum(none, -_MAX_LOG_ODDS)[:, None]], axis=1)


def _tone_odds(rows: F64) -> F64:
    """Log odds of the tones of `LABELS` to those that sound, `[n, 169]`; of no chord half those of an average one.

    `rows`: as of `shares`. The network and the triads keep a root's quality too long, and lack some qualities.
    """
    level = np.maximum(_BASS_TONE * rows[:, :12], rows[:, 12:])
    share = (level / (level.max(axis=1, keepdims=True) + 1e-6) - _ABSENT) / (_PRESENT - _ABSENT)
    odds = np.clip(np.log(np.clip(share, 0.02, 0.98) / (1.0 - np.clip(share, 0.02, 0.98))), -4.0, 4.0)
    chords = odds @ _TONE_TABLE - np.maximum(odds, 0.0).sum(axis=1, keepdims=True)
    return np.concatenate([chords, _TONES_OF_NONE * np.median(chords, axis=1, keepdims=True)], axis=1)


_CHORDS = [(SHARP_NAMES.index(root), TONES[kind]) for root, _, kind in (label.partition(":") for label in LABELS[:-1])]
"""Root and tones of each label but the last."""
_TONE_TABLE = np.array([[(n - root) % 12 in tones for root, tones in _CHORDS] for n in range(12)], np.float64)
"""Whether each pitch class from C on is one of a label's tones, `[12, labels]`."""
_NEAREST_TRIAD = np.array([root + 12 * (3 in tones) for root, tones in _CHORDS])
"""The triad with the same root and third."""


def _merge_steps(grid: F64, labels: Sequence[str], seconds: float) -> list[tuple[float, float, str]]:
    """Merges steps to spans from 0 to the end, without equal neighbours; before the first step there is no chord."""
    spans: list[tuple[float, float, str]] = []
    edges = [*np.maximum(0.0, grid), seconds]
    if edges[0] > 0.0:
        edges, labels = [0.0, *edges], ["N", *labels]
    for start, end, label in zip(edges, [*edges[1:-1], seconds], labels, strict=False):
        if spans and spans[-1][2] == label:
            spans[-1] = (spans[-1][0], float(end), label)
        elif end > start:
            spans.append((float(start), float(end), label))
    return spans


def _add_bass_to_span(span: tuple[float, float, str], bass: F32) -> tuple[float, float, str]:
    """Returns the span with its bass, such as "C:maj/3", if the lowest tone is a chord tone other than the root."""
    start, end, label = span
    root, _, kind = label.partition(":")
    first, last = (int(at * spectra.FRAMES_PER_SECOND + 0.5) for at in (start, end))
    if not kind or first >= len(bass):
        return span
    lowest = int(np.argmax(bass[first : max(first + 1, last)].mean(axis=0)))
    step = (lowest - SHARP_NAMES.index(root)) % 12
    return (start, end, f"{label}/{DEGREES[step]}") if lowest < 12 and step and step in TONES[kind] else span
