"""The worker of the node `identify`: the last seconds of each stream, compared with the catalogue once a second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import AntiphonError, Samples
from antiphon.api.catalogues import Catalogue, IdentifiedFile, ShardSet, identified, present_index
from antiphon.api.files import library_folder
from antiphon.api.workers import WorkerSpec
from antiphon_identify.landmarks import RATE, FingerprintRun

EVERY = 2
"""Hops from one comparison to the next."""
LEAST = 3.0
"""Seconds of sound before the first one."""
HOLD = 4
"""Comparisons for which a track stays, while nothing is recognised: a quiet passage is no other track."""
_REOPEN = 10.0
"""Seconds after which tracks that have been analysed meanwhile are looked for."""
_SILENCE = 1e-4


class CatalogueReader:
    """The catalogue and its index as they are on disk; looked at again every `_REOPEN` seconds.

    Args:
        folder: The catalogue's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._catalogue: Catalogue | None = None
        self._index: ShardSet | None = None
        self._due = 0.0

    def ask(self, sound: Samples) -> Sequence[IdentifiedFile]:
        """What catalogued files a sound at `RATE` comes from; none where the catalogue cannot be read."""
        try:
            self._open()
            if self._catalogue is None or self._index is None:
                return ()
            run = FingerprintRun()
            run.feed(sound[None])
            seconds, hertz = run.result()["landmarks"]
            return identified(self._catalogue, self._index, seconds.astype(np.float64), hertz.astype(np.float64))
        except AntiphonError:
            self._catalogue = None
            return ()

    def _open(self) -> None:
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _REOPEN
        if self._catalogue is None and Catalogue.exists(self._folder):
            self._catalogue = Catalogue(self._folder)
        if self._catalogue is not None:
            self._index = present_index(self._catalogue)


class Identifier:
    """A `Stepper`: slots are nodes; a stream's config is how many seconds are compared."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._rate, self._hop = spec.rate, spec.hop
        self._reader = CatalogueReader(library_folder())
        self._streams: dict[int, _Stream] = {}

    def warm(self) -> None:
        """The first comparison is as slow as any."""

    def open(self, slot: int, config: str) -> None:
        self._streams[slot] = _Stream(self._rate, float(config or 10.0), self._reader)

    def close(self, slot: int) -> None:
        self._streams.pop(slot, None)

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        for slot in np.flatnonzero(hops >= 0).tolist():
            y[slot, 0] = self._streams[slot].step(int(hops[slot]), x[slot, 0])


class _Stream:
    """The sound of one node at `RATE`, and what was recognised in it last."""

    def __init__(self, rate: int, seconds: float, reader: CatalogueReader) -> None:
        import soxr

        self._resampled = soxr.ResampleStream(rate, RATE, 1, dtype="float32")
        self._sound: Samples = np.zeros(0, np.float32)
        self._most = round(seconds * RATE)
        self._reader = reader
        self._seconds = 0.0
        self._track, self._start, self._score, self._speed, self._left = 0, 0.0, 0.0, 1.0, 0

    def step(self, hop: int, sound: Samples) -> tuple[float, float, float, float]:
        new = self._resampled.resample_chunk(sound)
        self._sound = np.concatenate([self._sound, new])[-self._most :]
        self._seconds += len(new) / RATE
        if hop % EVERY == 0 and len(self._sound) >= LEAST * RATE:
            self._compare()
        if not self._track:
            return 0.0, 0.0, 0.0, 1.0
        return float(self._track), self._start + self._seconds * self._speed, self._score, self._speed

    def _compare(self) -> None:
        heard = np.abs(self._sound).max() > _SILENCE
        found = self._reader.ask(self._sound) if heard else ()
        if found:
            best = found[0]
            begin = self._seconds - len(self._sound) / RATE
            self._track, self._score, self._speed, self._left = best.number, best.score, best.speed, HOLD
            self._start = best.offset - begin * best.speed
            return
        self._left -= 1
        if self._left <= 0:
            self._track = 0
