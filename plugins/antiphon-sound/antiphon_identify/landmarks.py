"""Landmarks of a sound: local spectral peaks in time and frequency (after Wang, 2003)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from antiphon.api import F32, Samples
from antiphon.api.backends.analysis import Analysis, AnalysisRun, Quantity

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
"""Frames per search batch; it bounds memory, and changes no result."""
_FLOOR = 1e-6


class Fingerprint(Analysis):
    """Fingerprint analysis of `antiphon library identify`."""

    quantities = (Quantity("landmarks", "landmarks", "", "Peaks of the spectrum, by which a recording is recognised."),)
    rate = RATE
    channels = 1

    def begin(self, rate: int, channels: int) -> FingerprintRun:
        return FingerprintRun()


class FingerprintRun(AnalysisRun):
    """Finds the landmarks of one sound, chunk by chunk; it takes at most 40 MB of memory for an hour of sound."""

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
