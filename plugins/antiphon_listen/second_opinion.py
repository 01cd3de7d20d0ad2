"""Tempo and beats by librosa's tracker, beside those of `music`: an optional package, asked by name alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from antiphon.api import Samples, UsageError
from antiphon.api.backends.analysis import Analysis, AnalysisRun, Quantity, import_librosa

RATE = 22050
"""librosa's own default."""
LONGEST = 1800
"""Seconds of sound, 160 MB: librosa's tracker takes all of it at once."""


class LibrosaBeats(Analysis):
    """What `antiphon library analyse --by librosa` adds."""

    by_name = True
    quantities = (
        Quantity("librosa_tempo", "number", "bpm", "Tempo by librosa's beat tracker (Ellis, 2007)."),
        Quantity("librosa_beats", "times", doc="Beats by the same."),
    )
    rate = RATE
    channels = 1

    def begin(self, rate: int, channels: int) -> LibrosaRun:
        import_librosa()  # one that is not installed is a reason before anything is decoded
        return LibrosaRun()


class LibrosaRun(AnalysisRun):
    """Holds all samples of the sound."""

    def __init__(self) -> None:
        self._blocks: list[Samples] = []
        self._count = 0

    def feed(self, block: Samples) -> None:
        self._count += block.shape[1]
        if self._count > LONGEST * RATE:
            self._blocks.clear()
            raise UsageError(f"librosa's tracker takes sounds of at most {LONGEST // 60} minutes")
        self._blocks.append(block[0].copy())

    def result(self) -> Mapping[str, Any]:
        librosa = import_librosa()
        sound = np.concatenate([np.zeros(0, np.float32), *self._blocks])
        if not np.any(sound):
            return {"librosa_tempo": None, "librosa_beats": None}
        tempo, beats = librosa.beat.beat_track(y=sound, sr=RATE, units="time")
        found = float(np.atleast_1d(tempo)[0])
        return {"librosa_tempo": found or None, "librosa_beats": beats if len(beats) else None}
