"""The 44 frequency bands of the spectral gate, at least 1 ERB apart in scale, and means of spectra over them."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon.api.kernels import f32, f32p, i64, i64p, kernel

COUNT = 44
HOP = 384
"""Frames between two spectra at 48 kHz."""
BINS = 1025
BIN_HZ = 23.4
_FIRST, _LAST = 1.0, 960.0


def _chain(stretch: float) -> list[float]:
    """Band centres in bins, each `stretch` equivalent rectangular bandwidths, at least two bins, above the last."""
    centres = [_FIRST]
    while centres[-1] < _LAST:
        hertz = centres[-1] * BIN_HZ
        bandwidth = 24.7 * (4.37e-3 * hertz + 1.0) / BIN_HZ
        centres.append(centres[-1] + max(2.0, stretch * bandwidth))
    return centres


@cache
def centres() -> NDArray[np.float64]:
    """Band centres, float64 `[COUNT]`, in whole bins of `BIN_HZ`; read-only, as they are found once."""
    low, high = 0.05, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if len(_chain(middle)) > COUNT else (low, middle)
    found = np.round(_chain(high))
    found.flags.writeable = False
    return found


def places(bins: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Position of each of `bins` bins between two band centres, for linear interpolation.

    Two arrays `[bins]`: index of the band centre below, 0 to `COUNT` - 2, and fraction of the way to the next, 0 to 1.
    """
    middle = centres()
    at = np.clip(np.arange(bins), middle[0], middle[-1])
    below = np.clip(np.searchsorted(middle, at, side="right") - 1, 0, COUNT - 2)
    fraction = (at - middle[below]) / (middle[below + 1] - middle[below])
    return below.astype(np.int64), fraction.astype(np.float32)


@kernel
def denoise_band_means(
    first: f32p, first_gain: f32p, second: f32p, second_gain: f32p, bins: i64,
    below: i64p, fraction: f32p, area: f32p, out: f32p, bands: i64,
) -> None:  # fmt: skip
    """out `[2, bands]` ← mean over each band of first * first_gain² and of second * second_gain², all `[bins]`.

    below, fraction: `[bins]`, band centre below each bin, and fraction of the bin's way to the next, 0 to 1; area:
    `[bands]`, sum of the interpolation weights of a band's bins.
    """
    for b in range(2 * bands):
        out[b] = 0.0
    for k in range(bins):
        b = below[k]
        up = fraction[k]
        down = f32(1.0) - up
        v = first[k]
        g = first_gain[k]
        w = second[k]
        h = second_gain[k]
        out[b] = out[b] + down * v * g * g
        out[b + 1] = out[b + 1] + up * v * g * g
        b = b + bands
        out[b] = out[b] + down * w * h * h
        out[b + 1] = out[b + 1] + up * w * h * h
    for b in range(bands):
        out[b] = out[b] / area[b]
        out[bands + b] = out[bands + b] / area[b]


class BandMeans:
    """The means of spectra, two at a time, of which the first `BINS` bins are read.

    `area`: `[COUNT]` sum of the interpolation weights of a band's bins; `ones`: `[BINS]` gains of 1.
    """

    def __init__(self) -> None:
        self._below, self._fraction = places(BINS)
        up, down = self._fraction, 1.0 - self._fraction
        area = np.bincount(self._below, down, COUNT) + np.bincount(self._below + 1, up, COUNT)
        self.area: F32 = area.astype(np.float32)
        self.ones: F32 = np.ones(BINS, np.float32)

    def measure(self, first: F32, second: F32, out: F32) -> None:
        """Writes the means over each band of two spectra, `[BINS]` or longer, into `[2, COUNT]`."""
        self.write_scaled(first, self.ones, second, self.ones, out)

    def write_scaled(self, first: F32, first_gain: F32, second: F32, second_gain: F32, out: F32) -> None:
        """Writes the means over each band of two spectra, each times the square of its gains, into `[2, COUNT]`."""
        denoise_band_means(
            first, first_gain, second, second_gain, BINS, self._below, self._fraction, self.area, out, COUNT
        )
