"""Per-sample kernels of the host. They process the first `frames` of arrays that may be longer."""

from __future__ import annotations

import math
from typing import NamedTuple

from antiphon.native.compiling import kernel
from antiphon.native.kernel import Audio, f32, f32p, f64, f64p, i64, i64p

LARGEST = 3.4028234663852886e38
"""Largest finite 32-bit float."""


@kernel
def peak(x: f32p, stride: i64, channels: i64, frames: i64) -> f32:
    """Largest magnitude; -1 if any sample is NaN or infinite. `stride`: frames from channel to channel."""
    top = f32(0.0)
    bad = f32(0.0)
    for c in range(channels):
        for n in range(frames):
            v = x[c * stride + n]
            bad = bad + (v - v)
            a = abs(v)
            top = a if a > top else top
    if bad != bad:
        return -1.0
    return top


@kernel
def silence_nan(x: f32p, stride: i64, channels: i64, frames: i64, counts: i64p) -> f32:
    """Returns what `peak` returns; a sound that is not finite becomes silence, and is counted in counts[0]."""
    top = peak(x, stride, channels, frames)
    if top < f32(0.0):
        counts[0] = counts[0] + 1
        for c in range(channels):
            for n in range(frames):
                x[c * stride + n] = f32(0.0)
    return top


@kernel
def check_input(x: f32p, stride: i64, channels: i64, frames: i64, full: f64, counts: i64p) -> None:
    """Counts an input that reaches `full` in counts[2]; one that is not finite is treated as by `silence_nan`."""
    if f64(silence_nan(x, stride, channels, frames, counts)) >= full:
        counts[2] = counts[2] + 1


@kernel
def finite(x: f32p, stride: i64, channels: i64, frames: i64) -> i64:
    """1 if every sample is finite, else 0. An integer sum vectorises, a float sum does not."""
    count = 0
    for c in range(channels):
        for n in range(frames):
            count = count + (1 if abs(x[c * stride + n]) <= f32(LARGEST) else 0)
    return 1 if count == channels * frames else 0


@kernel
def mix_wet(wet: Audio, dry: Audio, curve: f32p, frames: i64) -> None:
    """wet ← dry + (wet - dry) * curve, exact at both ends."""
    for c in range(wet.channels):
        for n in range(frames):
            g = curve[n]
            w = wet[c, n] * g
            d = dry[c, n] * (f32(1.0) - g)
            wet[c, n] = w + d


@kernel
def cross(old: Audio, new: Audio, out: Audio, done: i64, wait: i64, fade: i64, frames: i64) -> None:
    """out ← linear crossfade from old to new in `fade` frames, after `wait` frames. done: frames of earlier blocks."""
    for n in range(frames):
        elapsed = done + n + 1 - wait
        g = f64(elapsed) / f64(fade)
        g = 0.0 if g < 0.0 else g
        g = 1.0 if g > 1.0 else g
        for c in range(out.channels):
            a = f64(old[c, n]) * (1.0 - g)
            out[c, n] = f32(a + f64(new[c, n]) * g)


@kernel
def ring_out(x: Audio, out: Audio, done: i64, tail: i64, cut: i64, short: i64, frames: i64) -> None:
    """out ← out + x, with a cubic decay over `tail` frames, 0: none, and from frame `cut` on a linear one of `short`.

    done: frames of earlier blocks, negative before the decay.
    """
    for n in range(frames):
        at = f64(done + n + 1)
        left = 1.0 if tail == 0 or at < 0.0 else 1.0 - at / f64(tail)
        left = 0.0 if left < 0.0 else left
        line = 1.0 - (at - f64(cut)) / f64(short)
        line = 0.0 if line < 0.0 else line
        line = 1.0 if line > 1.0 else line
        gain = left * left * left * line
        for c in range(out.channels):
            out[c, n] = f32(f64(out[c, n]) + f64(x[c, n]) * gain)


@kernel
def scale(x: Audio, curve: f32p, frames: i64) -> None:
    """x ← x * curve."""
    for c in range(x.channels):
        for n in range(frames):
            x[c, n] = x[c, n] * curve[n]


@kernel
def ramp(out: f32p, first: i64, last: i64, time: i64, start: i64, length: i64, low: f64, high: f64) -> None:
    """out[first:last] ← line from `low` to `high` that begins at sample `start` and is `length` frames long.

    Closed form in the sample number, so that any split of the block gives the same samples.
    `time` is the sample number of out[0]. The first sample of the ramp already differs from `low`.
    """
    for n in range(first, last):
        at = time + n - start + 1
        if at >= length:
            out[n] = f32(high)
        else:
            out[n] = f32(low + (high - low) * (f64(at) / f64(length)))


class ParamRange(NamedTuple):
    """Bounds of a parameter; `span`: the range, or for a log parameter the logarithm of high / low."""

    low: f64
    high: f64
    span: f64
    log: i64


@kernel
def modulate(value: f32p, by: f32p, stride: i64, s: ParamRange, weight: f64, step: f64, frames: i64) -> None:
    """value ← value plus `by` times its range, clipped to the range.

    weight: factor of `by` before the first frame; `step` is added to it at each frame, within 0 to 1.  stride: 0 reads
    by[0] for all frames.
    """
    for n in range(frames):
        w = weight + step * f64(n + 1)
        w = 1.0 if w > 1.0 else w
        w = 0.0 if w < 0.0 else w
        way = w * f64(by[n * stride]) * s.span
        v = f64(value[n])
        v = v * math.exp(way) if s.log == 1 else v + way
        v = s.high if v > s.high else v
        v = s.low if v < s.low else v
        value[n] = f32(v)


@kernel
def delay_line(x: Audio, y: Audio, ring: Audio, at: i64p, lag: i64, frames: i64) -> None:
    """y ← x delayed by `lag` frames through a ring of more than `lag` frames; at[0] is its write position."""
    size = ring.frames
    begin = at[0]
    for c in range(y.channels):
        w = begin
        for n in range(frames):
            ring[c, w] = x[c, n]
            r = w - lag
            if r < 0:
                r = r + size
            y[c, n] = ring[c, r]
            w = w + 1
            if w >= size:
                w = 0
    at[0] = (begin + frames) % size


@kernel
def ring_read(ring: Audio, y: Audio, at: i64p, lag: i64, frames: i64) -> None:
    """Delay-line read: y[n] = ring[at[0] + n - lag], for a ring of at least `lag` frames."""
    size = ring.frames
    begin = at[0] - lag
    if begin < 0:
        begin = begin + size
    for c in range(y.channels):
        r = begin
        for n in range(frames):
            y[c, n] = ring[c, r]
            r = r + 1
            if r >= size:
                r = 0


@kernel
def ring_write(x: Audio, ring: Audio, at: i64p, frames: i64) -> None:
    """Delay-line write: stores the first `frames` of x in a ring at at[0], and advances at[0]."""
    size = ring.frames
    for c in range(x.channels):
        w = at[0]
        for n in range(frames):
            ring[c, w] = x[c, n]
            w = w + 1
            if w >= size:
                w = 0
    at[0] = (at[0] + frames) % size


@kernel
def copy_sound(x: Audio, y: Audio) -> None:
    """y ← x, which has at least the channels and frames of y."""
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = x[c, n]


@kernel
def fill_sound(y: Audio, value: f64) -> None:
    """y ← value, in all channels."""
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = f32(value)


@kernel
def adapt(x: Audio, y: Audio, add: i64, frames: i64) -> None:
    """y ← x, or y + x (add: 1), with y's channels: mono to all, all averaged to mono, else surplus ones dropped."""
    for c in range(y.channels):
        if y.channels == 1 and x.channels > 1:
            for n in range(frames):
                total = x[0, n]
                for other in range(1, x.channels):
                    total = total + x[other, n]
                mean = total / f32(x.channels)
                y[0, n] = y[0, n] + mean if add == 1 else mean
        elif x.channels == 1 or c < x.channels:
            source = 0 if x.channels == 1 else c
            for n in range(frames):
                y[c, n] = y[c, n] + x[source, n] if add == 1 else x[source, n]
        elif add == 0:
            for n in range(frames):
                y[c, n] = f32(0.0)


@kernel
def node_gain(curve: f32p, bypass: f32p, wet: f32p, health: f32p, frames: i64) -> None:
    """curve ← wet gain of a node at each frame."""
    for n in range(frames):
        curve[n] = (f32(1.0) - bypass[n]) * wet[n] * health[n]


@kernel
def complement(curve: f32p, x: f32p, frames: i64) -> None:
    """curve ← 1 - x."""
    for n in range(frames):
        curve[n] = f32(1.0) - x[n]


@kernel
def sample_at(x: f32p, at: i64, into: f32p) -> None:
    """into[0] ← x[at]."""
    into[0] = x[at]


@kernel
def last_frame(x: Audio, last: f32p, frames: i64) -> None:
    """last[channel] ← the last frame."""
    for c in range(x.channels):
        last[c] = x[c, frames - 1]


KNEE = 10.0 ** (-1.0 / 20.0)
"""Magnitude below which samples are unchanged, -1 dBFS."""

RELEASE = 0.05
"""Time constant in seconds of the gain reduction's decay (to a third)."""


@kernel
def limit(x: f32p, stride: i64, state: f64p, fall: f64, channels: i64, frames: i64) -> i64:
    """Limits x to full scale, in place; returns the number of frames with gain reduction.

    All channels have the same gain. Above -1 dBFS the level approaches full scale asymptotically; the gain falls at
    once at a peak and recovers by the factor `fall` per frame (`release_decay_factor`). state[0]: present gain
    reduction, first 0; the result does not depend on the block size. NaN and infinity become silence.
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


def release_decay_factor(rate: int) -> float:
    """Decay factor of the gain reduction per frame."""
    return math.exp(-1.0 / (RELEASE * rate))


@kernel
def guard(x: f32p, stride: i64, state: f64p, fall: f64, channels: i64, frames: i64, counts: i64p) -> None:
    """Limits an output like `limit`, counted in counts[1]; one that is not finite is treated as by `silence_nan`."""
    if silence_nan(x, stride, channels, frames, counts) < f32(0.0):
        state[0] = 0.0
    elif limit(x, stride, state, fall, channels, frames) != 0:
        counts[1] = counts[1] + 1


@kernel
def pass_part(filled: i64p, x: Audio, into: Audio, out: Audio, y: Audio, done: i64) -> i64:
    """Passes frames of a block from `done` on, up to the end of the block or the hop: x → into, out → y.

    `filled`: the frames of the hop so far. Returns the frames of the block that are done.
    """
    at = filled[0]
    part = min(y.frames - done, out.frames - at)
    for c in range(x.channels):
        for n in range(part):
            into[c, at + n] = x[c, done + n]
    for c in range(y.channels):
        for n in range(part):
            y[c, done + n] = out[c, at + n]
    filled[0] = at + part
    return i64(done + part)
