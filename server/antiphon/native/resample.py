"""Kernels of the rate, block and channel adapters: rings with contiguous reads, and a polyphase filter.

A ring of `size` frames a channel is a row of 2 * `size`: every frame is written twice, `size` apart, so that any `size`
successive frames are contiguous. Frame n is at n % `size`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.native.compiling import kernel
from antiphon.native.kernel import f32, f32p, f64, i64


def sinc_table(places: NDArray[np.float64], half: int, cutoff: float, beta: float) -> NDArray[np.float32]:
    """Taps of a Kaiser-windowed sinc between two frames, float32 `[places, 2 * half]`.

    `places`: positions between the frames, 0 to 1. `cutoff`: share of the source's bandwidth. Each row sums to 1, so
    that a constant is preserved at every position.
    """
    away = half - 1 - np.arange(2 * half) + places[:, None]
    inside = np.clip(1.0 - np.square(away / half), 0.0, None)
    rows = np.where(np.abs(away) < half, np.sinc(cutoff * away) * np.i0(beta * np.sqrt(inside)), 0.0)
    table: NDArray[np.float32] = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
    return table


@kernel
def push(x: f32p, xs: i64, have: i64, ring: f32p, size: i64, at: i64, want: i64, frames: i64) -> None:
    """Writes x, of `have` channels, to a ring of `want` channels from frame `at` on.

    Mono is copied to all channels, several are averaged to one; else surplus ones are dropped and missing ones silent.
    """
    for c in range(want):
        row = c * 2 * size
        w = at % size
        for n in range(frames):
            v = f32(0.0)
            if have == want:
                v = x[c * xs + n]
            elif have == 1:
                v = x[n]
            elif want == 1:
                total = f64(0.0)
                for h in range(have):
                    total = total + f64(x[h * xs + n])
                v = f32(total / f64(have))
            elif c < have:
                v = x[c * xs + n]
            ring[row + w] = v
            ring[row + w + size] = v
            w = w + 1
            if w >= size:
                w = 0


@kernel
def convert(x: f32p, xs: i64, have: i64, y: f32p, ys: i64, want: i64, frames: i64) -> None:
    """y ← x converted to another number of channels, as in `push`."""
    for n in range(frames):
        total = f64(0.0)
        if want == 1:
            for h in range(have):
                total = total + f64(x[h * xs + n])
        for c in range(want):
            v = f32(0.0)
            if have == 1:
                v = x[n]
            elif want == 1:
                v = f32(total / f64(have))
            elif c < have:
                v = x[c * xs + n]
            y[c * ys + n] = v


@kernel
def resample(
    ring: f32p, size: i64, y: f32p, ys: i64, table: f32p, half: i64, up: i64, down: i64, shift: i64, first: i64,
    channels: i64, frames: i64,
) -> None:  # fmt: skip
    """y[m] ← ring signal interpolated at frame ((`first` + m) * `down` + `shift`) / `up`, with 2 * `half` taps.

    table: `[up, 2 * half]`, a row of taps for each fractional position. Each output is a function of its index: without
    state, so that the block size does not change a sample.
    """
    taps = 2 * half
    for m in range(frames):
        ticks = (first + m) * down + shift
        base = ticks // up
        row = ticks % up * taps
        start = (base - half + 1) % size
        for c in range(channels):
            at = c * 2 * size + start
            even = f64(0.0)
            odd = f64(0.0)
            for i in range(0, taps, 2):
                even = even + f64(ring[at + i]) * f64(table[row + i])
                odd = odd + f64(ring[at + i + 1]) * f64(table[row + i + 1])
            y[c * ys + m] = f32(even + odd)


@kernel
def hold(ring: f32p, size: i64, y: f32p, up: i64, down: i64, first: i64, frames: i64) -> None:
    """Sample and hold: y[m] ← ring value at or before frame (`first` + m) * `down` / `up`."""
    for m in range(frames):
        y[m] = ring[((first + m) * down // up) % size]
