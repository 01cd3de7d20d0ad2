"""Tempo, beats, downbeats, key, chords and sections of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from antiphon.api import Samples
from antiphon.api.analysis import Analysis, AnalysisRun, Quantity
from antiphon_listen import bars, beats, harmony, onsets, tables
from antiphon_listen.chroma import NoteSpectrum
from antiphon_listen.onsets import OnsetStrength
from antiphon_listen.sections import sections
from antiphon_listen.signals import curves

_QUIETEST = 1e-4
"""Peak, -80 dB of full scale, below which a sound is silent."""
SHORTEST = 3.0
"""Seconds below which there is no tempo."""
_NOTHING = {"tempo": None, "beats": None, "downbeats": None, "key": None, "chords": None, "sections": None}


class Music(Analysis):
    """What a musician would write down first."""

    version = 2
    quantities = (
        Quantity("tempo", "number", "bpm", "Of the beats, by the median."),
        Quantity("beats", "times", "s", "Where a listener would tap."),
        Quantity("downbeats", "times", "s", "The beats that begin bars."),
        Quantity("key", "text", "", 'Of the whole recording, "C major".'),
        Quantity("chords", "spans", "s", 'Major and minor triads, "C:maj", and "N".'),
        Quantity("sections", "spans", "s", "Letters, the same for sections that are alike; one may be the chorus."),
    )
    rate = onsets.RATE
    channels = 1

    def begin(self, rate: int, channels: int) -> MusicRun:
        return MusicRun()


class MusicRun(AnalysisRun):
    """Holds onset strength and pitch classes: about 8 MB an hour."""

    def __init__(self) -> None:
        self._onsets, self._notes = OnsetStrength(), NoteSpectrum()
        self._frames, self._peak = 0, 0.0

    def feed(self, block: Samples) -> None:
        mono = block[0]
        self._frames += len(mono)
        self._peak = max(self._peak, float(np.abs(mono).max(initial=0.0)))
        self._onsets.feed(mono)
        self._notes.feed(mono)

    def result(self) -> Mapping[str, Any]:
        strength, notes = self._onsets.end(), self._notes.end()
        seconds = self._frames / onsets.RATE
        if self._peak < _QUIETEST or len(notes) < 2 or not notes.any():
            return _NOTHING
        found, fitted = curves(strength, notes, seconds), tables.load()
        beat_grid = beats.track(found, fitted) if seconds >= SHORTEST else None
        tapped = np.zeros(0) if beat_grid is None else beat_grid.beats
        ones = tapped if beat_grid is None else bars.downbeats(found, beat_grid, fitted)
        grid, path = harmony.chord_steps(found, tapped, fitted)
        return {
            "tempo": None if beat_grid is None else beat_grid.tempo,
            "beats": tapped if len(tapped) else None,
            "downbeats": ones if len(ones) else None,
            "key": harmony.key_of(path, fitted),
            "chords": harmony.spans(grid, path, seconds),
            "sections": sections(found, ones),
        }
