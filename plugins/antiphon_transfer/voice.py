"""Features of one voice hop by hop: pitch and level, and how both have moved. The training computes the same."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.signal import CENTRE, HIGHEST, HISTORY, HOP, LOWEST, Decimator, MedianPitch, Yin

LAG = 2
"""Hops by which the median of the pitch is late."""
BEHIND = CENTRE + LAG * HOP
"""Decimated samples from the sound that the features are of to the end of the newest hop."""
SIDE = 256
"""Decimated samples on either side whose level is measured: 21 ms in all."""
DECAY, LEAST, RANGE = 0.01, -70.0, 50.0
"""dB a hop by which the loudest level decays; its lower bound; range of the relative level."""
CENTRES = np.arange(LOWEST, HIGHEST + 1, 5.0)
FEATURES = 7 + len(CENTRES)
STEPS = (4, 16)
"""Hops over which the level's movement is measured."""


class VoiceTracker:
    """Features `[FEATURES]` of the newest hop; the caller fills the decimator.

    `pitch`: MIDI number, of the last hop that was `voiced` where there is none now, 0 before the first; `level`: dBFS.
    """

    def __init__(self, decimator: Decimator) -> None:
        self._decimator = decimator
        self._yin, self._median = Yin(decimator.rate), MedianPitch(LAG)
        window = np.hanning(2 * SIDE + 1)[:-1]
        self._weights: F32 = (window / window.sum()).astype(np.float32)
        self._power: F32 = np.zeros(2 * SIDE, np.float32)
        self._levels: F64 = np.zeros(max(STEPS) + 1)
        self.features: F32 = np.zeros(FEATURES, np.float32)
        self._near: F64 = np.zeros(len(CENTRES))
        self.reset()

    def reset(self) -> None:
        """Clears the past; the caller resets the decimator."""
        self._median.reset()
        self._levels.fill(LEAST)
        self._loudest = LEAST
        self.pitch, self.level, self.voiced = 0.0, LEAST, False
        self._before = 0.0
        self._held = 0

    def step(self) -> None:
        """Measures the hop that is full."""
        sound = self._decimator.newest(HISTORY)
        found = self._median.step(self._yin.find(sound, LOWEST, HIGHEST))
        middle = HISTORY - BEHIND
        part = sound[middle - SIDE : middle + SIDE]
        np.multiply(part, part, out=self._power)
        self.level = max(LEAST, 10.0 * math.log10(float(np.dot(self._power, self._weights)) + 1e-12))
        self._levels[1:] = self._levels[:-1]
        self._levels[0] = self.level
        self._loudest = max(self.level, self._loudest - DECAY, LEAST)
        self.voiced = found > 0.0
        moved = 0.0
        if self.voiced:
            moved = found - self.pitch if self._held else 0.0
            self.pitch = found
            self._held += 1
        else:
            self._held = 0
        self._describe(moved)

    def _describe(self, moved: float) -> None:
        x = self.features
        x[0] = (self.pitch - 60.0) / 24.0
        x[1] = max(self.level - self._loudest, -RANGE) / 25.0 + 1.0
        for n, step in enumerate(STEPS):
            x[2 + n] = min(max((self.level - self._levels[step]) / 10.0, -2.0), 2.0)
        x[4] = math.log1p(self._held) / 5.0
        x[5] = math.exp(-self._held / 8.0)
        x[6] = min(max(moved, -1.0), 1.0)
        np.subtract(CENTRES, self.pitch, out=self._near)
        np.multiply(self._near, self._near, out=self._near)
        np.multiply(self._near, -1.0 / 32.0, out=self._near)
        np.exp(self._near, out=x[7:], casting="same_kind")
