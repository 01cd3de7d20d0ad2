"""The grid of hops all modes work on: the newest samples as a frame, frames overlapped to samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
C64 = NDArray[np.complex64]

OVERLAP = 4


@dataclass(frozen=True, slots=True)
class Framing:
    """Frames of `size` samples at `rate` Hz, one every quarter of that; output lags by `size`."""

    size: int
    rate: int

    @property
    def hop(self) -> int:
        return self.size // OVERLAP

    @property
    def bins(self) -> int:
        return self.size // 2 + 1

    @property
    def hertz(self) -> F64:
        """The middle of every bin."""
        return np.asarray(np.arange(self.bins) * (self.rate / self.size), np.float64)


def grid(rate: int) -> Framing:
    """The power of two nearest to 46 ms."""
    return Framing(2 ** max(8, round(math.log2(rate * 0.0464))), rate)


def hann(size: int) -> F32:
    """A periodic Hann window; its square, overlapped by `OVERLAP`, is 1.5."""
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size), np.float32)


class Overlap:
    """Frames of the newest samples of every channel, and the sum of the windowed frames made of them."""

    def __init__(self, grid: Framing, channels: int) -> None:
        self._hop, self._size = grid.hop, grid.size
        self._window = hann(grid.size)
        self._scaled: F32 = self._window / np.float32(1.5)
        self._heard: F32 = np.zeros((channels, grid.size), np.float32)
        self._sum: F32 = np.zeros((channels, grid.size), np.float32)
        self._made: F32 = np.zeros((channels, grid.size), np.float32)
        self._framed: F32 = np.zeros((channels, grid.size), np.float32)
        self.filled = 0

    def clear(self) -> None:
        self._heard.fill(0.0)
        self._sum.fill(0.0)
        self.filled = 0

    def swap(self, heard: F32, said: F32) -> bool:
        """Takes as many samples as it gives; no more than are missing to a hop. Whether the hop is full now."""
        first = self._size - self._hop + self.filled
        count = heard.shape[1]
        said[:] = self._sum[:, self.filled : self.filled + count]
        self._heard[:, first : first + count] = heard
        self.filled += count
        return self.filled == self._hop

    @property
    def missing(self) -> int:
        """Samples to the end of this hop."""
        return self._hop - self.filled

    def frame(self) -> F32:
        """The newest `size` samples under the window."""
        np.multiply(self._heard, self._window, out=self._framed)
        return self._framed

    def add(self, frame: F32) -> None:
        """Adds a frame `[channels, size]` made of the newest samples, and goes on by a hop."""
        keep = self._size - self._hop
        self._sum[:, :keep] = self._sum[:, self._hop :]
        self._sum[:, keep:] = 0.0
        np.multiply(frame, self._scaled, out=self._made)
        np.add(self._sum, self._made, out=self._sum)
        self._turn()

    def skip(self) -> None:
        """Goes on by a hop, the input being the output."""
        self._sum[:, : self._hop] = self._heard[:, : self._hop]
        self._sum[:, self._hop :] = 0.0
        self._turn()

    def _turn(self) -> None:
        keep = self._size - self._hop
        self._heard[:, :keep] = self._heard[:, self._hop :]
        self.filled = 0
