"""The bound on what is removed: of a band at most a multiple of the power of the noise in it, hop by hop."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.signal import SpectrumSizes
from antiphon.api.kernels import f32, f32p, i64, i64p, kernel
from antiphon_denoise.band_means import BandMeans
from antiphon_denoise.bands import COUNT, places
from antiphon_denoise.floor.features import ROW, STRIDE

MOST = 5.0
"""Power that a hop may lose of a band, over the band's mean noise: noise in a hop is often above its mean."""


def floor_at(hops: int, sizes: SpectrumSizes, count: int) -> int:
    """Which of `count` estimates is of the sound so many hops after its beginning."""
    stride = STRIDE * ROW * sizes.scale
    return max(0, min(count - 1, (hops * sizes.hop - stride // 2) // stride))


@kernel
def denoise_bound(
    power: f32p, gain: f32p, bins: i64, below: i64p, fraction: f32p, area: f32p, noise: f32p, most: f32, bands: i64,
    work: f32p,
) -> None:  # fmt: skip
    """gain `[bins]` ← nearer to 1 in the bands that would lose more than `most` times their noise.

    noise: `[bands]` mean power; below, fraction, area: as for `denoise_band_means`; work: `[bands]`.
    """
    for b in range(bands):
        work[b] = f32(0.0)
    for k in range(bins):
        lost = (f32(1.0) - gain[k]) * (f32(1.0) - gain[k]) * power[k]
        work[below[k]] = work[below[k]] + (f32(1.0) - fraction[k]) * lost
        work[below[k] + 1] = work[below[k] + 1] + fraction[k] * lost
    for b in range(bands):
        allowed = most * noise[b] * area[b]
        lost = work[b]
        work[b] = f32(1.0)
        if lost > allowed:
            work[b] = math.sqrt(allowed / lost)
    for k in range(bins):
        share = (f32(1.0) - fraction[k]) * work[below[k]] + fraction[k] * work[below[k] + 1]
        gain[k] = f32(1.0) - share * (f32(1.0) - gain[k])


class Bound:
    """Applies the bound to the gains of a stream of `bins`."""

    def __init__(self, bins: int) -> None:
        self._bins = bins
        self._below, self._fraction = places(bins)
        self._area = BandMeans().area
        self._work: F32 = np.zeros(COUNT, np.float32)

    def apply(self, power: F32, noise: F32, gain: F32) -> None:
        """gain ← as `denoise_bound`; `noise`: `[COUNT]`."""
        denoise_bound(power, gain, self._bins, self._below, self._fraction, self._area, noise, MOST, COUNT, self._work)
