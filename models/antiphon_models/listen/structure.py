"""POP909's phrases as labelled by two listeners, in seconds.

A label file counts bars of four beats (`i4A4B8…`, Dai et al. 2020) from a beat that it does not name, and capitals are
phrases with melody. That beat is found by the score: phrases with melody are to lie where the track MELODY sounds, and
to begin where bars do. Of 26 songs whose first beat follows from Dai's `melody.txt`, it was within half a beat in 18
and within a beat and a half in 23; the first chord, from which labels were counted before, in 9 and 16.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.files import read_midi

_LEAST, _MOST = -3, 8
"""Bars between the end of the labels and that of the beats: songs beyond count other bars than `beat_midi.txt` has."""
_BEFORE, _BEHIND = 6, 28
"""Search range in beats, before and after the first chord, for the first bar line."""
_ON_BAR, _ON_CHORD = 16.0, 4.0
"""Weights, in beats of melody in the right phrases, of phrases on downbeats, and of a start at the first chord."""


@dataclass(frozen=True, slots=True)
class LabelledPhrase:
    """Phrase from `start` to `end` in seconds; `letter` is a capital where it has the melody."""

    start: float
    end: float
    letter: str


@dataclass(frozen=True, slots=True)
class LabelledSong:
    """Phrases of a song by two listeners, with beats and downbeats in seconds."""

    name: str
    listeners: tuple[tuple[LabelledPhrase, ...], tuple[LabelledPhrase, ...]]
    beats: NDArray[np.float64]
    downbeats: NDArray[np.float64]


def read_labels(folder: Path) -> LabelledSong | None:
    """Phrases of a song; None where its labels count other bars than its beats."""
    table = np.loadtxt(folder / "beat_midi.txt", ndmin=2)
    beats, on_bar = table[:, 0], table[:, 2]
    chords = (line.split() for line in (folder / "chord_midi.txt").read_text().splitlines())
    first = next((float(row[0]) for row in chords if len(row) == 3 and row[2] != "N"), float(beats[0]))
    labels = [
        [(letter, 4 * int(bars)) for letter, bars in re.findall(r"([A-Za-z])(\d+)", file.read_text())]
        for file in (folder / "human_label1.txt", folder / "human_label2.txt")
    ]
    chord = int(np.argmin(np.abs(beats - first)))
    ends = [chord + sum(length for _, length in found) for found in labels]
    if not all(labels) or not all(_LEAST <= (len(beats) - end) / 4 <= _MOST for end in ends):
        return None
    begin = _first_beat(labels, _sung(folder / f"{folder.name}.mid", beats), on_bar, chord)
    listeners = []
    for found in labels:
        times = _times(beats, begin + np.cumsum([0, *(length for _, length in found)]))
        listeners.append(tuple(LabelledPhrase(times[n], times[n + 1], letter) for n, (letter, _) in enumerate(found)))
    return LabelledSong(folder.name, (listeners[0], listeners[1]), beats, table[on_bar == 1, 0])


def _sung(path: Path, beats: F64) -> F64:
    """Share of each beat in which the track MELODY sounds."""
    song = read_midi(path)
    notes = [note for track in song.tracks if track.name.strip() == "MELODY" for note in track.notes]
    starts = np.array([song.seconds(note.start) for note in notes])
    ends = np.maximum.accumulate([0.0, *(song.seconds(note.end) for note in notes)])
    lengths = np.diff(beats, append=2.0 * beats[-1] - beats[-2])
    times = beats[:, None] + lengths[:, None] * np.array([0.125, 0.375, 0.625, 0.875])
    return np.asarray((ends[np.searchsorted(starts, times, "right")] > times).mean(axis=1))


def _first_beat(labels: Sequence[Sequence[tuple[str, int]]], sung: F64, on_bar: F64, chord: int) -> int:
    """First beat of the bar count of labels (letters with beats); `sung` and `on_bar` are per beat."""
    count, longest = len(sung), max(sum(length for _, length in found) for found in labels)
    last = min(chord + _BEHIND, count - longest - 4 * _LEAST)
    scores = {begin: _ON_CHORD * (begin == chord) for begin in range(max(0, chord - _BEFORE), last + 1)}
    for begin in scores:
        for found in labels:
            edges = begin + np.cumsum([0, *(length for _, length in found)])
            signs = np.array([1.0 if letter.isupper() else -1.0 for letter, _ in found])
            melody = np.array([part.sum() for part in np.split(sung, edges.clip(0, count))[1:-1]])
            bars = on_bar[edges[:-1][edges[:-1] < count]].sum() / len(found)
            scores[begin] += 0.5 * float(signs @ melody + _ON_BAR * bars)
    return max(scores, key=lambda begin: scores[begin])


def _times(beats: NDArray[np.float64], places: NDArray[np.int64]) -> list[float]:
    """Times of beats by number, extrapolated at the median tempo."""
    length = float(np.median(np.diff(beats)))
    over = np.maximum(0, places - (len(beats) - 1))
    return [float(time) for time in beats[np.minimum(places, len(beats) - 1)] + length * over]
