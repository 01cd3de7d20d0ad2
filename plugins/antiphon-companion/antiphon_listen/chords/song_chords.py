"""Chords of a recording on beats or half beats: by the chord network, and by triads where their model fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from antiphon.api import F32, F64, SHARP_NAMES
from antiphon.api.backends.signal import root_name
from antiphon_listen.chords import harmony
from antiphon_listen.chords.chord_network import LABELS, ChordOdds
from antiphon_listen.chords.harmony import I64, NO_CHORD
from antiphon_listen.signals import MusicCurves
from antiphon_listen.spectra import frames
from antiphon_listen.tables import Tables

TONES = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10), "maj6": (0, 4, 7, 9), "min6": (0, 3, 7, 9), "minmaj7": (0, 3, 7, 11), "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10), "sus2": (0, 2, 7), "sus4": (0, 5, 7),
}  # fmt: skip
"""Semitones above the root of each kind of `LABELS`."""
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
_NETWORK, _TRIADS = 4.0, 0.4
"""Exponents of the two likelihoods of a step, by songs whose numbers end in 8: neighbouring frames are not
independent."""
_MAX_LOG_ODDS = 30.0
"""Maximum of a triad's log odds: a sound far from all that the triads were fitted to is no stronger evidence."""


@dataclass(frozen=True, slots=True)
class SongChords:
    """Chords of a recording."""

    spans: list[tuple[float, float, str]]  # (start s, end s, label in Harte's syntax) from 0 to the end
    confidence: float  # mean probability of the chords by the network; 0 without it
    grid: F64  # times of the steps, in seconds
    triads: I64  # `[n]`, each step's nearest triad, or `NO_CHORD`

    def spelled(self, key: int) -> SongChords:
        """The chords with their roots as they are written in a key, an index in `KEY_NAMES`."""
        spans = []
        for start, end, label in self.spans:
            root, _, kind = label.partition(":")
            spans.append((start, end, f"{root_name(SHARP_NAMES.index(root), key)}:{kind}" if kind else label))
        return replace(self, spans=spans)

    def later(self, seconds: float) -> SongChords:
        """The chords of a recording that has so many seconds more, of silence, at its beginning, or fewer."""
        starts = np.array([start + seconds for start, _, _ in self.spans])
        labels, end = [label for _, _, label in self.spans], self.spans[-1][1] + seconds
        return replace(self, spans=_joined(starts, labels, end), grid=self.grid + seconds)


def find_chords(curves: MusicCurves, beats: F64, tables: Tables, odds: ChordOdds | None) -> SongChords:
    """Chords of a recording with these beats; major and minor triads alone without the network's `odds`."""
    if odds is None:
        grid, path = harmony.chord_steps(curves, beats, tables)
        labels = [harmony.name_of(int(chord)) for chord in path]
        return SongChords(_joined(grid, labels, curves.seconds), 0.0, grid, path)
    grid = harmony.step_grid(beats, curves.seconds)
    rows = odds.chords
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    edges = np.append(grid, 2.0 * grid[-1] - grid[-2])
    place = np.clip(edges * frames.FRAMES_PER_SECOND + 0.5, 0.0, len(rows))
    whole = np.minimum(place.astype(int), len(rows) - 1)
    until = total[whole] + (place - whole)[:, None] * rows[whole]
    scores = np.asarray(np.diff(until, axis=0) / np.maximum(np.diff(place), 1e-6)[:, None])
    fitted = _NETWORK * scores + _TRIADS * _triad_odds(
        harmony.likelihoods(harmony.shares(curves.per_interval(grid)), tables)
    )
    path = harmony.viterbi_states(fitted, harmony.SELF_TRANSITION)
    spans = _joined(grid, [LABELS[chord] for chord in path], curves.seconds)
    certain = np.exp(scores[np.arange(len(path)), path])
    triads = np.append(_NEAREST_TRIAD, NO_CHORD)[path]
    return SongChords([_with_bass(span, odds.bass) for span in spans], float(certain.mean()), grid, triads)


def _triad_odds(likelihoods: F64) -> F64:
    """Log odds of `LABELS` by the triad model, as far as it does not take the sound for no chord, `[n, 169]`."""
    whole = np.logaddexp.reduce(likelihoods, axis=1)
    fits = 1.0 - np.exp(likelihoods[:, NO_CHORD] - whole)
    triads = likelihoods[:, :NO_CHORD]
    share = np.maximum(triads - np.logaddexp.reduce(triads, axis=1)[:, None], -_MAX_LOG_ODDS)
    out = np.full((len(likelihoods), len(LABELS)), -np.log(NO_CHORD))
    out[:, :-1] = share[:, _NEAREST_TRIAD]
    return np.asarray(out * fits[:, None])


def _nearest(label: str) -> int:
    root, _, kind = label.partition(":")
    return SHARP_NAMES.index(root) + 12 * (3 in TONES[kind])


_NEAREST_TRIAD = np.array([_nearest(label) for label in LABELS[:-1]])
"""The triad with the same root and third, of each label but the last."""


def _joined(grid: F64, labels: Sequence[str], seconds: float) -> list[tuple[float, float, str]]:
    """Steps as spans from 0 to the end, equal neighbours as one; before the first step there is no chord."""
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


def _with_bass(span: tuple[float, float, str], bass: F32) -> tuple[float, float, str]:
    """The span with its bass, as "C:maj/3", where another tone of the chord than its root is the lowest."""
    start, end, label = span
    root, _, kind = label.partition(":")
    first, last = (int(at * frames.FRAMES_PER_SECOND + 0.5) for at in (start, end))
    if not kind or first >= len(bass):
        return span
    lowest = int(np.argmax(bass[first : max(first + 1, last)].mean(axis=0)))
    step = (lowest - SHARP_NAMES.index(root)) % 12
    return (start, end, f"{label}/{DEGREES[step]}") if lowest < 12 and step and step in TONES[kind] else span
