"""Worker of the node `identify`: compares the last seconds of each stream with the catalogue once a second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from antiphon.api import AntiphonError, Samples
from antiphon.api.backends.analysis import (
    CatalogueService,
    IdentifiedFile,
    SoundCatalogue,
    service,
)
from antiphon.api.backends.files import library_folder
from antiphon.api.backends.workers import RecentSound, ReportingStepper, WorkerSpec
from antiphon_identify.landmarks import RATE, FingerprintRun

MIN_SECONDS = 3.0
"""Minimum seconds of sound before the first comparison."""
HOLD_COMPARISONS = 4
"""Unsuccessful comparisons after which a track is dropped: a quiet passage is no other track."""
_REOPEN_SECONDS = 10.0
"""Interval in seconds of checks for newly analysed tracks."""
_SILENCE = 1e-4


class CatalogueReader:
    """Catalogue and index on disk, reopened every `_REOPEN_SECONDS` seconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._catalogue: SoundCatalogue | None = None
        self._due = 0.0

    def ask(self, sound: Samples) -> Sequence[IdentifiedFile]:
        """Matching catalogued files of a sound at `RATE`; none if the catalogue cannot be read."""
        try:
            self._open()
            if self._catalogue is None:
                return ()
            run = FingerprintRun()
            run.feed(sound[None])
            seconds, hertz = run.result()["landmarks"]
            return self._catalogue.identify(seconds.astype(np.float64), hertz.astype(np.float64))
        except AntiphonError:
            self._catalogue = None
            return ()

    def _open(self) -> None:
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _REOPEN_SECONDS
        catalogues: CatalogueService = service("catalogue")
        if self._catalogue is not None:
            self._catalogue.refresh()
        elif catalogues.exists(self._folder):
            self._catalogue = catalogues.open(self._folder)


class Identifier(ReportingStepper["IdentifiedStream"]):
    """Stepper with a node per slot; a stream's config is the compared length in seconds. `spec`: the worker's."""

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(spec)
        self._reader = CatalogueReader(library_folder())

    def stream(self, config: str) -> IdentifiedStream:
        return IdentifiedStream(self.spec.rate, float(config or 10.0), self._reader)


class IdentifiedStream(RecentSound):
    """Recent sound of one node at `RATE`, with its last match."""

    def __init__(self, rate: int, seconds: float, reader: CatalogueReader) -> None:
        super().__init__(rate=rate, wanted=RATE, frames=round(seconds * RATE))
        self._reader = reader
        self._track, self._start, self._score, self._speed, self._left = 0, 0.0, 0.0, 1.0, 0

    def look(self) -> None:
        if len(self.sound) >= MIN_SECONDS * RATE:
            self._compare()

    def answer(self) -> tuple[float, float, float, float]:
        if not self._track:
            return 0.0, 0.0, 0.0, 1.0
        return float(self._track), self._start + self.seconds * self._speed, self._score, self._speed

    def _compare(self) -> None:
        sounds = np.abs(self.sound).max() > _SILENCE
        # a cover is another recording
        found = [match for match in self._reader.ask(self.sound) if match.kind == "recording"] if sounds else []
        if found:
            best = found[0]
            begin = self.seconds - len(self.sound) / RATE
            self._track, self._score, self._speed, self._left = best.number, best.score, best.speed, HOLD_COMPARISONS
            self._start = best.offset - begin * best.speed
            return
        self._left -= 1
        if self._left <= 0:
            self._track = 0
