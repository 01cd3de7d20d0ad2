"""Timbre vector: means and spreads of the MFCC (after Logan and Salomon, 2001)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.analysis import Analysis, AnalysisRun, Quantity
from antiphon_listen.spectra.frames import FrameBuffer, hann, magnitudes, mel_bank

RATE, SIZE, HOP = 22050, 2048, 1024
BANDS, COEFFICIENTS = 40, 20
_MIN_POWER = 1e-6
"""Minimum mean power of a frame's bands, -60 dB of full scale: softer frames are ignored."""


class Timbre(Analysis):
    """Vector compared by `antiphon library similar`."""

    quantities = (Quantity("embedding", "vector", "dB", "Means, spreads and changes of 20 MFCC, without the level."),)
    rate = RATE
    channels = 1

    def begin(self, rate: int, channels: int) -> TimbreRun:
        return TimbreRun()


class TimbreRun(AnalysisRun):
    """Stores sums only: memory is independent of the sound's length."""

    def __init__(self) -> None:
        self._frames, self._window = FrameBuffer(SIZE, HOP), hann(SIZE)
        self._bank = mel_bank(RATE, SIZE, BANDS, 40.0, 10000.0).T
        turns = np.outer(np.arange(BANDS) + 0.5, np.arange(1, COEFFICIENTS + 1))
        self._cosines = np.sqrt(2.0 / BANDS) * np.cos(np.pi * turns / BANDS)
        self._sum, self._squares, self._changes = (np.zeros(COEFFICIENTS) for _ in range(3))
        self._count = self._steps = 0
        self._last = np.zeros((0, COEFFICIENTS))

    def feed(self, block: Samples) -> None:
        self._take(self._frames.push(block[0]))

    def _take(self, frames: Samples) -> None:
        if not len(frames):
            return
        power = (magnitudes(frames, self._window) / (SIZE / 4)) ** 2 @ self._bank
        rows = 10.0 * np.log10(power[power.mean(axis=1) > _MIN_POWER] + 1e-9) @ self._cosines
        steps = np.diff(np.concatenate([self._last, rows]), axis=0)
        self._sum += rows.sum(axis=0)
        self._squares += (rows**2).sum(axis=0)
        self._changes += (steps**2).sum(axis=0)
        self._count += len(rows)
        self._steps += len(steps)
        self._last = rows[-1:] if len(rows) else self._last

    def result(self) -> Mapping[str, Any]:
        self._take(self._frames.end())
        if self._count < 2:
            return {"embedding": None}
        mean = self._sum / self._count
        spread = np.sqrt(np.maximum(0.0, self._squares / self._count - mean**2))
        return {"embedding": np.concatenate([mean, spread, np.sqrt(self._changes / max(1, self._steps))])}
