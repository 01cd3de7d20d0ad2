"""Onset strength: spectral flux in three ranges of pitch (Böck and Widmer, 2013)."""

from __future__ import annotations

import numpy as np

from antiphon.api import F32
from antiphon_listen.spectra.frames import FrameBuffer, hann, magnitudes, mel_bank

RATE, SIZE, HOP = 22050, 1024, 256
FRAMES_PER_SECOND = RATE / HOP
BANDS = 48
_LAG = 2
"""Frame distance of the flux, 23 ms: an attack spreads over two."""
_COMPRESSION = 100.0
_EDGES = (8, 24)
"""First bands of the middle and the high range: about 400 Hz and 1.7 kHz."""
_BRIGHT = 5000.0
"""Hz above which drums and cymbals have onsets, and other instruments few."""
_RISING = 0.9
"""Rises above `_BRIGHT` over those of all bands from which a sound has drums: with drums .93 to 2 (22 pieces of game
music, a jazz quartet, a country song), of pianos, strings, speech .03 to .65 (12), of orchestras to .9 (9 of 10)."""


class OnsetStrength:
    """Streaming onset strength, `[n, 3]` of low, middle and high range, `FRAMES_PER_SECOND` a second."""

    def __init__(self) -> None:
        self._frames, self._window = FrameBuffer(SIZE, HOP), hann(SIZE)
        self._bank = np.ascontiguousarray(mel_bank(RATE, SIZE, BANDS, 30.0, 10000.0).T)
        self._last = np.zeros((_LAG, BANDS), np.float32)
        self._rows: list[F32] = []
        edges = 700.0 * np.expm1(np.linspace(np.log1p(30.0 / 700.0), np.log1p(10000.0 / 700.0), BANDS + 2))
        self._bright = int(np.searchsorted(edges[1:-1], _BRIGHT))
        self._rises = np.zeros(2)

    def feed(self, samples: F32) -> None:
        """Processes the next samples, `[n]`."""
        self._take(self._frames.push(samples))

    def _take(self, frames: F32) -> None:
        if not len(frames):
            return
        level = np.log1p(_COMPRESSION * (magnitudes(frames, self._window) / (SIZE / 4)) @ self._bank)
        level = np.concatenate([self._last, level])
        before = level[:-_LAG]
        # the maximum of neighbouring bands: vibrato moves energy between them and is no onset
        wide = before.copy()
        np.maximum(wide[:, 1:], before[:, :-1], out=wide[:, 1:])
        np.maximum(wide[:, :-1], before[:, 1:], out=wide[:, :-1])
        rise = np.maximum(0.0, level[_LAG:] - wide)
        self._rows.append(np.add.reduceat(rise, (0, *_EDGES), axis=1))
        self._rises += rise[:, self._bright :].mean(axis=1).sum(), rise.mean(axis=1).sum()
        self._last = level[-_LAG:]

    @property
    def has_drums(self) -> bool:
        """Whether there are drums in the sound so far."""
        bright, all_bands = self._rises
        return bool(bright > _RISING * all_bands)

    def pull(self) -> F32:
        """Strengths since the last call, `[n, 3]`, unnormalised."""
        rows = np.concatenate(self._rows) if self._rows else np.zeros((0, 3), np.float32)
        self._rows = []
        return rows

    def end(self) -> F32:
        """All remaining strengths, `[n, 3]`, each range over its own mean."""
        self._take(self._frames.end())
        return divide_by_mean(self.pull())


def divide_by_mean(rows: F32) -> F32:
    """Strengths, `[n, 3]`, each range over its own mean."""
    return (rows / (rows.mean(axis=0) + 1e-9)).astype(np.float32) if len(rows) else rows
