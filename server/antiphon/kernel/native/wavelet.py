"""One level of a circular (periodised) wavelet packet transform, and its inverse."""

from __future__ import annotations

from antiphon.kernel.native.compiling import kernel
from antiphon.kernel.native.kernel import f32p, i64


@kernel
def wavelet_split(
    x: f32p, packets: i64, size: i64, low: f32p, high: f32p, taps: i64, y: f32p, even: f32p, odd: f32p
) -> None:
    """Forward transform of one wavelet packet level, with each packet extended periodically.

    Args:
        x: float32 `[packets, size]`.
        packets: Number of packets.
        size: Samples of a packet, an even number.
        low: The low-pass filter, `taps` float32.
        high: The high-pass filter, `taps` float32.
        taps: Length of the filters, an even number.
        y: float32 `[packets, size]`, written: of each packet the low half, then the high half.
        even: Scratch, (size + taps) / 2 float32.
        odd: Scratch, as `even`.
    """
    half = size // 2
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
def wavelet_join(
    x: f32p, packets: i64, size: i64, low: f32p, high: f32p, taps: i64, y: f32p, lows: f32p, highs: f32p
) -> None:
    """Inverse of `wavelet_split`.

    Args:
        x: float32 `[packets, size]` as `wavelet_split` wrote it; it is overwritten.
        packets: Number of packets.
        size: Samples of a packet, an even number.
        low: The low-pass filter, `taps` float32.
        high: The high-pass filter, `taps` float32.
        taps: Length of the filters, an even number.
        y: float32 `[packets, size]`, written.
        lows: Scratch, (size + taps) / 2 float32.
        highs: Scratch, as `lows`.
    """
    half = size // 2
    reach = taps // 2
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
