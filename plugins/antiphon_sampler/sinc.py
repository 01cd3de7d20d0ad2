"""Sample interpolation: windowed sincs, one for each half octave of faster playback."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f32, f32p, f64, i64, kernel

NEAR, FAR = 8, 16
"""Half-widths of the interpolation in frames: at the sample's speed or slower, and faster."""
PHASES = 512
"""Stored fractional positions of the coefficients, linearly interpolated in between."""
STEPS = 8
"""Low-pass filters for faster playback, half an octave apart: up to 16 times the speed."""
BETA = 8.0
"""Kaiser window parameter: side lobes at -80 dB."""


@kernel
def sampler_value(x: f32p, position: f64, table: f32p, row: i64, half: i64) -> f64:
    """One channel at a fractional position: a windowed sinc with interpolated coefficients.

    `x`: the channel's first frame. `position`: place in frames; `half` frames around it can be read.
    """
    base = i64(math.floor(position))
    part = (position - f64(base)) * f64(PHASES)
    phase = i64(part)
    mix = f32(part - f64(phase))
    at = row + phase * 2 * half
    further = at + 2 * half
    first = base - half + 1
    # four sums, so that one addition does not wait for the one before
    a = f32(0.0)
    b = f32(0.0)
    c = f32(0.0)
    d = f32(0.0)
    for n in range(0, 2 * half, 4):
        a = a + x[first + n] * (table[at + n] + mix * (table[further + n] - table[at + n]))
        b = b + x[first + n + 1] * (table[at + n + 1] + mix * (table[further + n + 1] - table[at + n + 1]))
        c = c + x[first + n + 2] * (table[at + n + 2] + mix * (table[further + n + 2] - table[at + n + 2]))
        d = d + x[first + n + 3] * (table[at + n + 3] + mix * (table[further + n + 3] - table[at + n + 3]))
    return f64(a + b + c + d)


@kernel
def sampler_table(step: f64) -> i64:
    """Table index for a playback speed: 0 up to 1, then one for each half octave."""
    speed = abs(step)
    if speed <= 1.0:
        return 0
    return min(STEPS, i64(math.floor(2.0 * math.log2(speed) - 0.02)) + 1)


@cache
def sinc_tables() -> NDArray[np.float32]:
    """Kaiser-windowed sincs: one to 20 kHz at 44.1, then `STEPS` low-passes, half an octave apart.

    Each is `[PHASES + 1, 2 * half]`, one row a fractional position, with sum 1; all are concatenated.
    """
    tables = [_sinc(NEAR, 1.0)] + [_sinc(FAR, 2.0 ** (-n / 2.0)) for n in range(1, STEPS + 1)]
    return np.ascontiguousarray(np.concatenate([table.ravel() for table in tables]), np.float32)


def _sinc(half: int, cutoff: float) -> NDArray[np.float64]:
    part = np.arange(PHASES + 1)[:, None] / PHASES
    at = np.arange(-half + 1, half + 1)[None, :] - part
    window = np.i0(BETA * np.sqrt(np.maximum(0.0, 1.0 - (at / half) ** 2))) / np.i0(BETA)
    table = np.sinc(cutoff * at) * window
    return np.asarray(table / table.sum(axis=1, keepdims=True), np.float64)
