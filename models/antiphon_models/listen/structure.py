"""POP909's phrases as two listeners labelled them, in seconds.

A label file counts bars of four beats (`i4A4B8…`, Dai et al. 2020). They count from the first chord on, not from the
first downbeat of `beat_midi.txt`: on every sixth song, gaps of the melody lie one beat before the boundaries so placed
on 57 of 131 (a pickup), more than at any other shift from 8 beats before to 8 after.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_LEAST, _MOST = -3, 8
"""Bars between the end of the labels and that of the beats: songs beyond count other bars than `beat_midi.txt` has."""


@dataclass(frozen=True, slots=True)
class LabelledPhrase:
    """A phrase: from `start` to `end` in seconds; `letter` is a capital where it has the melody."""

    start: float
    end: float
    letter: str


@dataclass(frozen=True, slots=True)
class LabelledSong:
    """A song's phrases by two listeners, and its beats and downbeats in seconds."""

    name: str
    listeners: tuple[tuple[LabelledPhrase, ...], tuple[LabelledPhrase, ...]]
    beats: NDArray[np.float64]
    downbeats: NDArray[np.float64]


def read_labels(folder: Path) -> LabelledSong | None:
    """A song's phrases; None where its labels count other bars than its beats have."""
    table = np.loadtxt(folder / "beat_midi.txt", ndmin=2)
    beats = table[:, 0]
    chords = (line.split() for line in (folder / "chord_midi.txt").read_text().splitlines())
    first = next((float(row[0]) for row in chords if len(row) == 3 and row[2] != "N"), float(beats[0]))
    begin = int(np.argmin(np.abs(beats - first)))
    listeners = []
    for listener in (1, 2):
        found = re.findall(r"([A-Za-z])(\d+)", (folder / f"human_label{listener}.txt").read_text())
        edges = begin + 4 * np.cumsum([0, *(int(bars) for _, bars in found)])
        if not found or not _LEAST <= (len(beats) - edges[-1]) / 4 <= _MOST:
            return None
        times = _times(beats, edges)
        listeners.append(tuple(LabelledPhrase(times[n], times[n + 1], letter) for n, (letter, _) in enumerate(found)))
    return LabelledSong(folder.name, (listeners[0], listeners[1]), beats, table[table[:, 2] == 1, 0])


def _times(beats: NDArray[np.float64], places: NDArray[np.int64]) -> list[float]:
    """Times of beats by number, those beyond the last at the median tempo."""
    length = float(np.median(np.diff(beats)))
    over = np.maximum(0, places - (len(beats) - 1))
    return [float(time) for time in beats[np.minimum(places, len(beats) - 1)] + length * over]
