"""Worker of the node `identify`: compares the last seconds of each stream with the catalogue once a second."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F32, AntiphonError, Samples
from antiphon.api.backends.analysis import (
    Analysis,
    AnalysisRun,
    CatalogueService,
    IdentifiedFile,
    Quantity,
    SoundCatalogue,
    service,
)
from antiphon.api.backends.files import library_folder, stream_sound
from antiphon.api.backends.workers import RecentSound, ReportingStepper, WorkerSpec

# ---- Landmarks of a sound: local spectral peaks in time and frequency (after Wang, 2003)

RATE = 8000
SIZE, HOP = 1024, 200
"""Frame length in samples, 128 ms, so that partials stand above noise; and hop, 25 ms."""
LOWEST, HIGHEST = 180.0, 3400.0
"""Frequency range in Hz, slightly more than a telephone's."""
AROUND_TIME, AROUND_BINS = 8, 8
"""Half-widths in frames and bins of the peak neighbourhood, 0.2 s and 62 Hz."""
MIN_MAGNITUDE = 0.02
"""Minimum magnitude of a landmark: a sine at -82 dB of full scale."""
_FIRST, _LAST = int(LOWEST * SIZE / RATE), int(HIGHEST * SIZE / RATE)
_CHUNK = 400
"""Number of frames per search batch, which bounds memory and does not affect the result."""
_FLOOR = 1e-6


class Fingerprint(Analysis):
    """Fingerprint analysis of `antiphon library identify`."""

    quantities = (Quantity("landmarks", "landmarks", "", "Peaks of the spectrum, by which a recording is recognised."),)
    rate = RATE
    channels = 1

    def begin(self, rate: int, channels: int) -> FingerprintRun:
        return FingerprintRun()


class FingerprintRun(AnalysisRun):
    """Finds the landmarks of one sound, chunk by chunk, in at most 40 MB of memory for an hour of sound."""

    def __init__(self) -> None:
        self._window = np.hanning(SIZE + 1)[:-1].astype(np.float32)
        self._samples: F32 = np.zeros(SIZE // 2, np.float32)
        self._rows: F32 = np.full((AROUND_TIME, _LAST - _FIRST + 3), np.log(_FLOOR), np.float32)
        self._frame = 0
        self._seconds: list[F32] = []
        self._hertz: list[F32] = []

    def feed(self, block: Samples) -> None:
        self._samples = np.concatenate([self._samples, block[0]])
        while len(self._samples) >= SIZE + (_CHUNK - 1) * HOP:
            self._take(_CHUNK)

    def result(self) -> Mapping[str, Any]:
        self._samples = np.concatenate([self._samples, np.zeros(SIZE // 2, np.float32)])
        while (count := min(_CHUNK, (len(self._samples) - SIZE) // HOP + 1)) > 0:
            self._take(count)
        self._search(np.full((AROUND_TIME, self._rows.shape[1]), np.log(_FLOOR), np.float32))
        seconds, hertz = (np.concatenate([np.zeros(0, np.float32), *rows]) for rows in (self._seconds, self._hertz))
        order = np.lexsort((hertz, seconds))
        return {"landmarks": (seconds[order], hertz[order])}

    def _take(self, count: int) -> None:
        """Spectra of the next frames."""
        frames = np.lib.stride_tricks.sliding_window_view(self._samples, SIZE)[::HOP][:count]
        spectra = np.fft.rfft(frames * self._window, axis=1)[:, _FIRST - 1 : _LAST + 2]
        self._samples = self._samples[count * HOP :].copy()
        self._search(np.log(np.maximum(np.abs(spectra), _FLOOR)).astype(np.float32))

    def _search(self, rows: F32) -> None:
        """Local maxima among the frames with complete neighbourhoods."""
        rows = np.concatenate([self._rows, rows])
        count = len(rows) - 2 * AROUND_TIME
        if count <= 0:
            self._rows = rows
            return
        highest = _largest(_largest(rows, AROUND_TIME, axis=0), AROUND_BINS, axis=1)
        inner = rows[AROUND_TIME : AROUND_TIME + count]
        level = np.float32(np.log(MIN_MAGNITUDE))
        peaks = (inner >= highest[AROUND_TIME : AROUND_TIME + count]) & (inner > level)
        peaks[:, 0] = peaks[:, -1] = False
        frame, place = np.nonzero(peaks)
        before, at, behind = (inner[frame, place + by] for by in (-1, 0, 1))
        bend = np.minimum(before - 2.0 * at + behind, -1e-6)
        top = np.clip(0.5 * (before - behind) / bend, -0.5, 0.5)
        self._seconds.append(((frame + self._frame) * (HOP / RATE)).astype(np.float32))
        self._hertz.append(((place + _FIRST - 1 + top) * (RATE / SIZE)).astype(np.float32))
        self._frame += count
        self._rows = rows[count:].copy()


def _largest(table: F32, around: int, axis: int) -> F32:
    """Running maximum over `around` places on either side along an axis, by maxima of doubled widths."""
    table = np.moveaxis(table, axis, 0)
    edge = np.full((around, table.shape[1]), -np.inf, np.float32)
    found = np.concatenate([edge, table, edge])
    width, whole = 1, 2 * around + 1
    while width < whole:
        step = min(width, whole - width)
        found = np.maximum(found[:-step], found[step:])
        width += step
    return np.moveaxis(found, 0, axis)


MIN_SECONDS = 3.0
"""Minimum seconds of sound before the first comparison."""
HOLD_COMPARISONS = 4
"""Number of unsuccessful comparisons after which a track is dropped; a quiet passage does not end a track."""
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
        """Identifies a sound at `RATE`; returns the files that match, none if the catalogue cannot be read."""
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


def identify_file(path: Path) -> Sequence[IdentifiedFile] | None:
    """Matching catalogued files of a sound file, the best first; None without a catalogue.

    Raises FileError: the file, or the catalogue, cannot be read.
    """
    catalogues: CatalogueService = service("catalogue")
    if not catalogues.exists(library_folder()):
        return None
    run = FingerprintRun()
    with stream_sound(path, rate=RATE) as (_, blocks):
        for block in blocks:
            run.feed(block.mean(axis=0, keepdims=True))
    seconds, hertz = run.result()["landmarks"]
    with closing(catalogues.open(library_folder())) as catalogue:
        return catalogue.identify(seconds.astype(np.float64), hertz.astype(np.float64))


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
