"""The host's output limiter: no latency, nothing above full scale, nothing done to what is below -1 dBFS."""

from __future__ import annotations

import math

from antiphon.native.kernel import f32, f32p, f64, f64p, i64, kernel

KNEE = 10.0 ** (-1.0 / 20.0)
"""Magnitude below which the limiter is not there, -1 dBFS."""

RELEASE = 0.05
"""Seconds in which the reduction falls to a third."""


@kernel
def limit(x: f32p, stride: i64, state: f64p, fall: f64, channels: i64, frames: i64) -> i64:
    """x ← x held within full scale, in place; returns how many frames it turned down.

    All channels get one gain. Above -1 dBFS loudness bends towards full scale without reaching it; the
    gain follows a peak at once and comes back by `fall` a frame (`release_fall`). state[0]: the
    reduction now, 0 at first; no block's end changes a sample. NaN and infinity become silence.
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
    """The factor by which the reduction shrinks each frame."""
    return math.exp(-1.0 / (RELEASE * rate))
