"""Wavelet shrinkage: a wavelet packet transform of windowed frames, each coefficient scaled by its own gain.

A frame of `lag` samples under a sine window is split by an orthogonal filter pair, `depth` times and circularly, into
2**depth bands of equal width. The gate's estimate gives the noise power of each band; a coefficient well above it
passes, one below it is set to 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f32, f32p, i64, i64p, kernel, wavelet_join, wavelet_split
from antiphon.api.spectra import SpectrumSizes

F32 = NDArray[np.float32]
WAVELET = "sym16"
DEPTH = 6
FORCE = 2.0


@kernel
def denoise_shrink(
    x: f32p, bands: i64, each: i64, first: i64p, last: i64p, power: f32p, gain: f32p, unit: f32, amount: f32
) -> None:
    """Scales the coefficients x `[bands, each]` in place.

    The noise power of a band is the mean power that the gate would remove from its bins.

    Args:
        x: Coefficients.
        bands: Number of bands.
        each: Coefficients in a band.
        first: `[bands]` first bin of each band.
        last: `[bands]` bin after its last.
        power: `[bins]` power spectrum.
        gain: `[bins]` the gate's gain, 0 to 1.
        unit: Variance of a coefficient for power 1.
        amount: Share of the reduction to apply, 0 to 1.
    """
    for p in range(bands):
        removed = f32(0.0)
        for k in range(first[p], last[p]):
            g = f32(1.0) - gain[k]
            removed = removed + g * g * power[k]
        noise = f32(FORCE) * unit * removed / f32(last[p] - first[p])
        for i in range(each):
            here = x[p * each + i]
            before = x[p * each + max(i - 1, 0)]
            after = x[p * each + min(i + 1, each - 1)]
            energy = f32(0.5) * here * here + f32(0.25) * (before * before + after * after) + f32(1e-20)
            keep = max(f32(1.0) - noise / energy, f32(0.0))
            x[p * each + i] = here * (f32(1.0) - amount * (f32(1.0) - keep * keep))


class Shrinker:
    """Wavelet packet transform, shrinkage and inverse of one frame of every channel."""

    def __init__(self, grid: SpectrumSizes, channels: int) -> None:
        # imported here, off the block path: it takes longer to import than the whole plugin
        import pywt

        bank = pywt.Wavelet(WAVELET)
        self._low: F32 = np.asarray(bank.dec_lo[::-1], np.float32)
        self._high: F32 = np.asarray(bank.dec_hi[::-1], np.float32)
        taps = len(self._low)
        length = grid.lag
        depth = DEPTH + (grid.scale - 1).bit_length()
        self._bands, self._each = 1 << depth, length >> depth
        order = np.arange(self._bands)
        place = order.copy()
        for shift in (1, 2, 4, 8):
            place ^= place >> shift
        edge = grid.bins / self._bands
        self._first = np.floor(place * edge).astype(np.int64)
        self._last = np.maximum(np.ceil((place + 1) * edge), self._first + 1).astype(np.int64)
        self._window: F32 = np.sin(np.pi * (np.arange(length) + 0.5) / length).astype(np.float32)
        self._frame: F32 = np.zeros((channels, length), np.float32)
        rows = [(row, np.zeros(length, np.float32)) for row in self._frame]
        self.packets = [pair[depth % 2] for pair in rows]
        scratch = [np.zeros((length + taps) // 2 + 1, np.float32) for _ in range(2)]
        self._forward: list[list[Callable[[], None]]] = []
        self._inverse: list[list[Callable[[], None]]] = []
        for pair in rows:
            steps = [(1 << n, length >> n, pair[n % 2], pair[(n + 1) % 2]) for n in range(depth)]
            pack = (self._low, self._high, taps)
            self._forward.append([wavelet_split.bind(x, p, size, *pack, y, *scratch) for p, size, x, y in steps])
            self._inverse.append(
                [wavelet_join.bind(y, p, size, *pack, x, *scratch) for p, size, x, y in reversed(steps)]
            )
        self._unit = 0.5 * grid.scale

    def run(self, samples: F32, power: F32, gain: F32, amount: float, out: F32) -> None:
        """out `[channels, lag]` ← the shrunk frame of `[channels, lag]`, under the squared window.

        `amount` is the share of the reduction to apply, 0 to 1.
        """
        np.multiply(samples, self._window, out=self._frame)
        for row, forward, inverse in zip(self.packets, self._forward, self._inverse, strict=True):
            for step in forward:
                step()
            denoise_shrink(row, self._bands, self._each, self._first, self._last, power, gain, self._unit, amount)
            for step in inverse:
                step()
        np.multiply(self._frame, self._window, out=out)
