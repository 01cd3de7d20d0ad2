"""Wavelet shrinkage: a packet transform of windowed frames, each coefficient shrunk on its own.

A frame of `lag` samples under a sine window is split by an orthogonal filter pair, `depth` times and
around its ends, into 2**depth bands of equal width. The gate's estimate says how much noise each band
holds; a coefficient that stands well above it is kept, one below it goes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.native import f32, f32p, i64, i64p, kernel
from antiphon_denoise.spectrum import Grid

F32 = NDArray[np.float32]
WAVELET = "sym16"
DEPTH = 6


@kernel
def denoise_split(x: f32p, n: i64, low: f32p, high: f32p, taps: i64, out: f32p, even: f32p, odd: f32p) -> None:
    """out ← the low half, then the high half, of x `[n]`; x is taken to go round. Scratch: n/2 + taps each."""
    half = n // 2
    reach = half + taps // 2
    for i in range(half):
        even[i] = x[2 * i]
        odd[i] = x[2 * i + 1]
    for i in range(half, reach):
        even[i] = even[i - half]
        odd[i] = odd[i - half]
    for i in range(n):
        out[i] = 0.0
    for q in range(taps // 2):
        la = low[2 * q]
        lb = low[2 * q + 1]
        ha = high[2 * q]
        hb = high[2 * q + 1]
        for i in range(half):
            a = even[i + q]
            b = odd[i + q]
            out[i] = out[i] + la * a + lb * b
            out[half + i] = out[half + i] + ha * a + hb * b


@kernel
def denoise_join(x: f32p, n: i64, low: f32p, high: f32p, taps: i64, out: f32p, lows: f32p, highs: f32p) -> None:
    """The inverse of `denoise_split`. Scratch: n/2 + taps each."""
    half = n // 2
    reach = taps // 2
    for i in range(half):
        lows[reach + i] = x[i]
        highs[reach + i] = x[half + i]
    for j in range(reach):
        i = reach - 1 - j
        lows[i] = lows[i + half]
        highs[i] = highs[i + half]
    for i in range(n):
        out[i] = 0.0
    for q in range(taps // 2):
        la = low[2 * q]
        lb = low[2 * q + 1]
        ha = high[2 * q]
        hb = high[2 * q + 1]
        for i in range(half):
            a = lows[reach + i - q]
            b = highs[reach + i - q]
            out[2 * i] = out[2 * i] + la * a + ha * b
            out[2 * i + 1] = out[2 * i + 1] + lb * a + hb * b


@kernel
def denoise_packets(
    x: f32p, n: i64, depth: i64, low: f32p, high: f32p, taps: i64, y: f32p, a: f32p, b: f32p, back: i64
) -> None:
    """x ← its packet transform (back 0) or the inverse (back 1); y `[n]` is scratch."""
    for step in range(depth):
        level = depth - 1 - step if back == 1 else step
        size = n >> level
        for p in range(1 << level):
            if back == 1:
                denoise_join(offset(x, p * size), size, low, high, taps, offset(y, p * size), a, b)  # noqa: F821
            else:
                denoise_split(offset(x, p * size), size, low, high, taps, offset(y, p * size), a, b)  # noqa: F821
        for i in range(n):
            x[i] = y[i]


@kernel
def denoise_shrink(
    x: f32p, bands: i64, each: i64, first: i64p, last: i64p, power: f32p, gain: f32p, unit: f32, force: f32, amount: f32
) -> None:
    """Shrinks the coefficients x `[bands, each]`; first, last: the bins a band spans.

    A band's noise is what the gate would take of its power. unit: a coefficient's variance for power 1.
    """
    for p in range(bands):
        total = f32(0.0)
        taken = f32(0.0)
        for k in range(first[p], last[p]):
            g = gain[k]
            total = total + power[k]
            taken = taken + (f32(1.0) - g * g) * power[k]
        count = f32(last[p] - first[p])
        noise = taken / count * unit
        rest = f32(1.0) - taken / total
        for i in range(each):
            here = x[p * each + i]
            before = x[p * each + max(i - 1, 0)]
            after = x[p * each + min(i + 1, each - 1)]
            energy = f32(0.5) * here * here + f32(0.25) * (before * before + after * after) + f32(1e-20)
            keep = f32(1.0) - force * noise / energy
            keep = max(keep, f32(0.0))
            keep = keep * keep
            keep = max(keep, f32(0.0)) if rest < f32(0.999) else f32(1.0)
            x[p * each + i] = here * (f32(1.0) - amount * (f32(1.0) - keep))


class Shrinker:
    """Packet transform, shrinkage and inverse of one frame of every channel."""

    def __init__(self, grid: Grid, channels: int) -> None:
        # only here: importing it takes longer than the whole plugin, and prepare is off the block path
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
        self.frame: F32 = np.zeros((channels, length), np.float32)
        scratch = [np.zeros(length, np.float32)] + [np.zeros(length // 2 + taps, np.float32) for _ in range(2)]
        self._forth = [
            denoise_packets.bind(row, length, depth, self._low, self._high, taps, *scratch, 0) for row in self.frame
        ]
        self._back = [
            denoise_packets.bind(row, length, depth, self._low, self._high, taps, *scratch, 1) for row in self.frame
        ]
        self._unit = 0.5 * grid.scale

    def run(self, samples: F32, power: F32, gain: F32, force: float, amount: float, out: F32) -> None:
        """out `[channels, lag]` ← the shrunk, windowed frame of `samples` `[channels, lag]`."""
        np.multiply(samples, self._window, out=self.frame)
        for row, forth, back in zip(self.frame, self._forth, self._back, strict=True):
            forth()
            denoise_shrink(
                row, self._bands, self._each, self._first, self._last, power, gain, self._unit, force, amount
            )
            back()
        np.multiply(self.frame, self._window, out=out)
