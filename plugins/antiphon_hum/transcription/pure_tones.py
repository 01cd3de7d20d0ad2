"""Pure tones: a network trained on voices takes a sine for several of them, and a pitch tracker is right about it.

Whether it is one is measured: how much of a sound's energy lies at one frequency at a time, and at that of the notes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, Samples
from antiphon_hum.transcription.note import Note

PURE = 0.95
"""Share of a sound's energy that the notes of pure tones have to account for."""
WINDOW = 4096
LOBE = 3
"""Bins on each side of a tone that a Hann window spreads it over, with one to spare."""
_LOWEST = 2
"""The first bin of a tone; what is below is an offset."""
_PIECE = 1 << 16
"""Frames of which spectra are in memory at once."""


class PureTones:
    """Measures a sound at one rate, given piece by piece."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._window = np.hanning(WINDOW)
        self._rest: F32 = np.zeros(0, np.float32)
        self._total: list[F64] = []
        self._peak: list[F64] = []
        self._bin: list[F64] = []

    def feed(self, sound: Samples) -> None:
        """Takes the next float32 `[channels, n]` of the sound."""
        for at in range(0, sound.shape[1], _PIECE):
            self._take(np.mean(sound[:, at : at + _PIECE], axis=0, dtype=np.float32))

    def _take(self, mono: F32) -> None:
        self._rest = np.concatenate([self._rest, mono])
        if len(self._rest) < WINDOW:
            return
        parts = np.lib.stride_tricks.sliding_window_view(self._rest, WINDOW)[:: WINDOW // 2]
        power = np.abs(np.fft.rfft(parts * self._window)) ** 2
        power[:, :_LOWEST] = 0.0
        highest = power.argmax(axis=1)
        near = np.clip(highest[:, None] + np.arange(-LOBE, LOBE + 1), 0, power.shape[1] - 1)
        self._total.append(power.sum(axis=1))
        self._peak.append(np.minimum(np.take_along_axis(power, near, 1).sum(axis=1), self._total[-1]))
        self._bin.append(highest.astype(np.float64))
        self._rest = self._rest[len(parts) * (WINDOW // 2) :].copy()

    def alone(self) -> float:
        """The share of the energy that lies at one frequency at a time, 0 to 1."""
        return self._share(np.ones(sum(map(len, self._total)), bool))

    def accounted(self, notes: Sequence[Note]) -> float:
        """The share of the energy that lies at the pitches of notes while they sound, 0 to 1."""
        places = np.concatenate(self._bin) if self._bin else np.zeros(0)
        middles = (np.arange(len(places)) + 1.0) * (WINDOW // 2)
        kept = np.zeros(len(places), bool)
        for note in notes:
            hertz = 440.0 * 2.0 ** ((note.number - 69) / 12 + np.array([-1.0, 1.0]) / 12)
            low, high = hertz * WINDOW / self._rate
            kept |= (middles >= note.start) & (middles < note.end) & (places > low - 1.0) & (places < high + 1.0)
        return self._share(kept)

    def _share(self, kept: NDArray[np.bool_]) -> float:
        if not self._total:
            return 0.0
        return float(np.concatenate(self._peak)[kept].sum() / (np.concatenate(self._total).sum() + 1e-12))
