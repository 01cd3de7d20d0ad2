"""One level of a circular (periodised) wavelet packet transform, its inverse, and a pair of filters for both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.native.compiling import kernel
from antiphon.native.intrinsics import offset
from antiphon.native.kernel import f32p, i64

_SYMLET = (
    -1.0797982104319795e-05, -5.396483179315242e-06, 0.00016545679579108483, 3.656592483348223e-05,
    -0.0013387206066921965, -0.00022211647621176323, 0.0069377611308027096, 0.001359844742484172,
    -0.024952758046290123, -0.003510275068374009, 0.07803785290341991, 0.03072113906330156,
    -0.15959219218520598, -0.054040601387606135, 0.47534280601152273, 0.7565249878756971,
    0.39712293362064416, -0.034574228416972504, -0.06698304907021778, 0.032333091610663785,
    0.004869274404904607, -0.031051202843553064, -0.0031265171722710075, 0.012666731659857348,
    0.0007182119788317892, -0.0038809122526038786, -0.0001084456223089688, 0.0008523547108047095,
    2.8078582128442894e-05, -0.00010943147929529757, -3.113556407621969e-06, 6.230006701220761e-06,
)  # fmt: skip
"""The low-pass filter of Daubechies' least asymmetric wavelet with 16 vanishing moments, 32 taps of unit energy."""


def symlet_filters() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Low-pass and high-pass filter of the symlet of 32 taps, for `wavelet_split` and `wavelet_join`."""
    low = np.array(_SYMLET, np.float32)
    signs = np.where(np.arange(len(low)) % 2, -1.0, 1.0).astype(np.float32)
    return low, low[::-1] * signs


@kernel
def wavelet_split(x: f32p, packets: i64, size: i64, low: f32p, high: f32p, taps: i64, y: f32p, scratch: f32p) -> None:
    """Forward transform of one wavelet packet level, with each packet extended periodically.

    Args:
        x: float32 `[packets, size]`.
        size: Samples of a packet, an even number.
        low: The low-pass filter, `taps` float32.
        high: The high-pass filter, `taps` float32.
        y: float32 `[packets, size]`, written: of each packet the low half, then the high half.
        scratch: size + taps float32.
    """
    half = size // 2
    even = scratch
    odd = offset(scratch, half + taps // 2)
    for p in range(packets):
        at = p * size
        for i in range(half):
            even[i] = x[at + 2 * i]
            odd[i] = x[at + 2 * i + 1]
            y[at + i] = 0.0
            y[at + half + i] = 0.0
        for i in range(half, half + taps // 2):
            even[i] = even[i - half]
            odd[i] = odd[i - half]
        for q in range(taps // 2):
            la = low[2 * q]
            lb = low[2 * q + 1]
            ha = high[2 * q]
            hb = high[2 * q + 1]
            for i in range(half):
                a = even[i + q]
                b = odd[i + q]
                y[at + i] = y[at + i] + la * a + lb * b
                y[at + half + i] = y[at + half + i] + ha * a + hb * b


@kernel
def wavelet_join(x: f32p, packets: i64, size: i64, low: f32p, high: f32p, taps: i64, y: f32p, scratch: f32p) -> None:
    """Computes the inverse of `wavelet_split`, with its arguments: from `x`, which is overwritten, into `y`."""
    half = size // 2
    reach = taps // 2
    lows = scratch
    highs = offset(scratch, half + reach)
    for p in range(packets):
        at = p * size
        for i in range(half):
            lows[reach + i] = x[at + i]
            highs[reach + i] = x[at + half + i]
            x[at + i] = 0.0
            x[at + half + i] = 0.0
        for j in range(reach):
            i = reach - 1 - j
            lows[i] = lows[i + half]
            highs[i] = highs[i + half]
        for q in range(reach):
            tap = 2 * (reach - 1 - q)
            la = low[tap]
            lb = low[tap + 1]
            ha = high[tap]
            hb = high[tap + 1]
            for i in range(half):
                # read forwards: backwards the compiler would not use vectors
                a = lows[i + q + 1]
                b = highs[i + q + 1]
                x[at + i] = x[at + i] + la * a + ha * b
                x[at + half + i] = x[at + half + i] + lb * a + hb * b
        for i in range(half):
            y[at + 2 * i] = x[at + i]
            y[at + 2 * i + 1] = x[at + half + i]
