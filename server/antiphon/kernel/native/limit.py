"""The host's output limiter: no latency, output within full scale, samples below -1 dBFS unchanged."""

from __future__ import annotations

import math

from antiphon.kernel.native.compiling import kernel
from antiphon.kernel.native.kernel import f32, f32p, f64, f64p, i64

KNEE = 10.0 ** (-1.0 / 20.0)
"""Magnitude below which samples are unchanged, -1 dBFS."""

RELEASE = 0.05
"""Time constant in seconds of the gain reduction's decay (to a third)."""


@kernel
def limit(x: f32p, stride: i64, state: f64p, fall: f64, channels: i64, frames: i64) -> i64:
    """Limits x to full scale, in place; returns the number of frames with gain reduction.

    All channels have the same gain. Above -1 dBFS the level approaches full scale asymptotically; the gain falls at
    once at a peak and recovers by the factor `fall` per frame (`release_fall`). state[0]: present gain reduction, 0 at
    first; the result does not depend on the block size. NaN and infinity become silence.
    """
    turned = 0
    room = 1.0 - KNEE
    for n in range(frames):
        top = f64(0.0)
        for c in range(channels):
            v = x[c * stride + n]
            v = f32(0.0) if v - v != 0.0 else v
            x[c * stride + n] = v
            a = abs(f64(v))
            top = a if a > top else top
        cut = state[0] * fall
        cut = 0.0 if cut < 1e-6 else cut
        if top > KNEE:
            over = (top - KNEE) / room
            bent = KNEE + room * (over / (1.0 + over))
            wanted = 1.0 - bent / top
            cut = wanted if wanted > cut else cut
        state[0] = cut
        if cut > 0.0:
            turned = turned + 1
            for c in range(channels):
                v = f32(f64(x[c * stride + n]) * (1.0 - cut))
                v = f32(1.0) if v > f32(1.0) else v
                v = f32(-1.0) if v < f32(-1.0) else v
                x[c * stride + n] = v
    return turned


def release_fall(rate: int) -> float:
    """Decay factor of the gain reduction per frame."""
    return math.exp(-1.0 / (RELEASE * rate))
