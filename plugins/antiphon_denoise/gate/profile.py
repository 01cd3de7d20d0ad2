"""Power spectra of the last half second, of which `learn` takes the mean as the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.api.spectra import SpectrumSizes

F32 = NDArray[np.float32]
SECONDS = 0.5


class RecentSpectra:
    """A ring of the power spectra of the last `SECONDS`. `mean`: `[bins]` result of `take`."""

    def __init__(self, grid: SpectrumSizes, rate: int) -> None:
        self._grid = grid
        self._reach = round(SECONDS * rate)
        self._slots = self._reach // grid.hop + 2
        self._ring: F32 = np.zeros((self._slots, grid.bins), np.float32)
        self.mean: F32 = np.zeros(grid.bins, np.float32)
        self.clear()

    def clear(self) -> None:
        """Empties the ring."""
        self._count = 0

    def add(self, power: F32) -> None:
        """Adds power `[bins]` of the newest frame; frame n, from 0, ends after (n + 1) hops."""
        self._ring[self._count % self._slots] = power
        self._count += 1

    def take(self, when: int) -> bool:
        """mean ← mean power of the frames within the half second before a sample; of the newest frame where none fits.

        False where no frame had ended by then. `when` counts from the last `clear`.
        """
        hop, size = self._grid.hop, self._grid.size
        last = min(when // hop, self._count) - 1
        if last < 0 or self._count - last > self._slots:
            return False
        oldest = max(0, self._count - self._slots)
        earliest = max(when - self._reach, 0)
        first = max(oldest, -(-(earliest + size) // hop) - 1)
        first = min(first, last)
        self.mean.fill(0.0)
        for n in range(first, last + 1):
            np.add(self.mean, self._ring[n % self._slots], out=self.mean)
        np.multiply(self.mean, 1.0 / (last + 1 - first), out=self.mean)
        return True
