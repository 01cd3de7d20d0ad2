"""Power spectra of the last half second, averaged by `learn` as the noise profile."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.signal import SpectrumSizes
from antiphon.api.kernels import address, address_f32, f32, f32p, i64, i64p, kernel

SECONDS = 0.5


class RecentWord(IntEnum):
    """Places in the words of a ring of spectra: numbers, then addresses of arrays."""

    COUNT = 0
    """Number of added spectra."""
    SLOTS = 1
    BINS = 2
    HOP = 3
    SIZE = 4
    REACH = 5
    """Frames of the half second."""
    RING = 6
    MEAN = 7


@kernel
def denoise_recent_add(recent: i64p, power: f32p) -> None:
    """Adds power `[bins]` of the newest frame; frame n, from 0, ends after (n + 1) hops."""
    bins = recent[RecentWord.BINS]
    slot = recent[RecentWord.COUNT] % recent[RecentWord.SLOTS]
    into = address_f32(recent[RecentWord.RING] + 4 * slot * bins)
    for k in range(bins):
        into[k] = power[k]
    recent[RecentWord.COUNT] = recent[RecentWord.COUNT] + 1


@kernel
def denoise_recent_take(recent: i64p, when: i64) -> i64:
    """mean ← as `RecentSpectra.take`, which says when it returns 1."""
    hop = recent[RecentWord.HOP]
    count = recent[RecentWord.COUNT]
    slots = recent[RecentWord.SLOTS]
    bins = recent[RecentWord.BINS]
    last = min(when // hop, count) - 1
    if last < 0 or count - last > slots:
        return 0
    earliest = max(when - recent[RecentWord.REACH], 0)
    first = max(max(0, count - slots), (earliest + recent[RecentWord.SIZE] + hop - 1) // hop - 1)
    first = min(first, last)
    mean = address_f32(recent[RecentWord.MEAN])
    for k in range(bins):
        mean[k] = 0.0
    for n in range(first, last + 1):
        power = address_f32(recent[RecentWord.RING] + 4 * (n % slots) * bins)
        for k in range(bins):
            mean[k] = mean[k] + power[k]
    share = f32(1.0) / f32(last + 1 - first)
    for k in range(bins):
        mean[k] = mean[k] * share
    return 1


class RecentSpectra:
    """A ring of the power spectra of the last `SECONDS`; `mean`: `[bins]`, written by `take`."""

    def __init__(self, grid: SpectrumSizes, rate: int) -> None:
        reach = round(SECONDS * rate)
        slots = reach // grid.hop + 2
        self._ring: F32 = np.zeros((slots, grid.bins), np.float32)
        self.mean: F32 = np.zeros(grid.bins, np.float32)
        numbers = 0, slots, grid.bins, grid.hop, grid.size, reach
        self.words = np.array([*numbers, address(self._ring), address(self.mean)], np.int64)

    def clear(self) -> None:
        self.words[RecentWord.COUNT] = 0

    def add(self, power: F32) -> None:
        """Adds power `[bins]` of the newest frame; frame n, from 0, ends after (n + 1) hops."""
        denoise_recent_add(self.words, power)

    def take(self, when: int) -> bool:
        """mean ← mean power of the frames within the half second before a sample; of the newest frame where none fits.

        False where no frame had ended by then. `when` counts from the last `clear`.
        """
        return denoise_recent_take(self.words, when) == 1
