"""Stretches of a file, spaced evenly over it, in mono."""

from abc import ABC, abstractmethod

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.analysis import listening_mono

STRETCH = 8.0
"""Length in seconds of an analysed stretch."""


class StretchListener(ABC):
    """Cuts `most` stretches out of a sound that comes in blocks."""

    def __init__(self, rate: int, frames: int | None, most: int) -> None:
        self._length, self._most = round(STRETCH * rate), most
        self._every = max(self._length, (frames or 0) // most)
        self._parts: list[F32] = []
        self._at = self._heard = 0

    @abstractmethod
    def take(self, sound: F32) -> bool:
        """Analyses a stretch, `[n]`; False for one that is too short."""

    def feed(self, block: F32) -> None:
        """Processes the next frames, `[channels, n]`."""
        while block.shape[1] and self._heard < self._most:
            place = self._at % self._every
            count = min(block.shape[1], (self._length if place < self._length else self._every) - place)
            if place < self._length:
                self._parts.append(block[:, :count].copy())
            self._at += count
            if place + count == self._length:
                self.end()
            block = block[:, count:]

    def end(self) -> None:
        """Analyses the last, incomplete stretch."""
        # as trained: in the power of two channels a wide mix is as even as noise
        sound = listening_mono(np.concatenate(self._parts, 1)) if self._parts else np.zeros(0, np.float32)
        self._parts.clear()
        self._heard += self.take(sound)
