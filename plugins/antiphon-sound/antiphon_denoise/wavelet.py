"""Wavelet shrinkage: wavelet packet transform of windowed frames, a gain per coefficient.

A frame of `lag` samples under a sine window is split by an orthogonal filter pair, `depth` times and circularly, into
2**depth bands of equal width. The gate's estimate gives the noise power of each band; a coefficient well above it
passes, one below it is set to 0.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.signal import SpectrumSizes, symlet_filters, wavelet_join, wavelet_split
from antiphon.api.kernels import address, address_f32, f32, f32p, i64p, kernel
from antiphon.native.intrinsics import address_i64

DEPTH = 6
FORCE = 2.0


class ShrinkerWord(IntEnum):
    """Indices into the state of the wavelet shrinker: numbers, then addresses of arrays."""

    DEPTH = 0
    LENGTH = 1
    """Number of samples in a frame."""
    TAPS = 2
    SCALE = 3
    ROW = 4
    """`[LENGTH]`: a frame of one channel."""
    OTHER = 5
    SCRATCH = 6
    LOW = 7
    HIGH = 8
    WINDOW = 9
    FIRST = 10
    LAST = 11


@kernel
def denoise_shrink_coefficients(w: i64p, x: f32p, power: f32p, gain: f32p, amount: f32) -> None:
    """Scales coefficients x, band by band, in place, by the share `amount` of the reduction.

    The noise power of a band is the mean power that the gate would remove from its bins, FIRST to before LAST, by
    their power and gain `[bins]`, times a coefficient's variance for power 1.
    """
    bands = 1 << w[ShrinkerWord.DEPTH]
    each = w[ShrinkerWord.LENGTH] >> w[ShrinkerWord.DEPTH]
    first = address_i64(w[ShrinkerWord.FIRST])
    last = address_i64(w[ShrinkerWord.LAST])
    unit = f32(0.5) * f32(w[ShrinkerWord.SCALE])
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


@kernel
def denoise_shrink_row(w: i64p, power: f32p, gain: f32p, amount: f32) -> None:
    """Shrinks the frame in ROW, in place: transform, shrinkage and inverse."""
    depth = w[ShrinkerWord.DEPTH]
    length = w[ShrinkerWord.LENGTH]
    taps = w[ShrinkerWord.TAPS]
    low = address_f32(w[ShrinkerWord.LOW])
    high = address_f32(w[ShrinkerWord.HIGH])
    scratch = address_f32(w[ShrinkerWord.SCRATCH])
    for n in range(depth):
        x = address_f32(w[ShrinkerWord.ROW + n % 2])
        y = address_f32(w[ShrinkerWord.ROW + (n + 1) % 2])
        wavelet_split(x, 1 << n, length >> n, low, high, taps, y, scratch)
    denoise_shrink_coefficients(w, address_f32(w[ShrinkerWord.ROW + depth % 2]), power, gain, amount)
    for back in range(depth):
        n = depth - 1 - back
        x = address_f32(w[ShrinkerWord.ROW + n % 2])
        y = address_f32(w[ShrinkerWord.ROW + (n + 1) % 2])
        wavelet_join(y, 1 << n, length >> n, low, high, taps, x, scratch)


class Shrinker:
    """Wavelet packet transform, shrinkage and inverse of one frame of every channel.

    `words`: state of `denoise_shrink_row`, indexed by `ShrinkerWord`.
    """

    def __init__(self, grid: SpectrumSizes) -> None:
        low, high = symlet_filters()
        length = grid.lag
        depth = DEPTH + (grid.scale - 1).bit_length()
        order = np.arange(1 << depth)
        place = order.copy()
        for shift in (1, 2, 4, 8):
            place ^= place >> shift
        edge = grid.bins / len(order)
        first = np.floor(place * edge).astype(np.int64)
        last = np.maximum(np.ceil((place + 1) * edge), first + 1).astype(np.int64)
        self._window: F32 = np.sin(np.pi * (np.arange(length) + 0.5) / length).astype(np.float32)
        self._row, other = (np.zeros(length, np.float32) for _ in range(2))
        scratch = np.zeros(length + len(low), np.float32)
        self._arrays = self._row, other, scratch, low, high, self._window, first, last
        self.words = np.array([depth, length, len(low), grid.scale, *map(address, self._arrays)], np.int64)
