"""Distortion with little aliasing: oversampled, with second-order antiderivative antialiasing.

The waveshaper is computed from its first and second antiderivative (Bilbao, Esqueda, Parker and Välimäki,
"Antiderivative Antialiasing for Memoryless Nonlinearities", IEEE Signal Processing Letters 24, 2017) at up to eight
times the rate, where `soft` uses only the first one over thirds of a sample, in a third of the time. A linear-phase
half-band filter for each doubling up- and downsamples. Without oversampling the curve is applied directly, because the
antialiasing would attenuate by 4 dB at 10 kHz. Instead of eight times, `fold` runs at sixteen times the rate, with a
fourth filter: at 36 dB a tone of 5 kHz is folded to over 300 kHz.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, kernel, offset
from antiphon_effects.shared import (
    effects_decay_factor,
    effects_finite,
    effects_flush_denormal,
    effects_gain,
    effects_is_changed,
    effects_log,
    effects_sine,
    effects_steady,
    hertz,
    smooth_param,
)

CURVES = ("soft", "hard", "fold")
HALVES = (20, 6, 3, 2)
"""Half-lengths h of the half-band filters, lowest rate first: each has 4 h + 3 taps."""
HALF_0, HALF_1, HALF_2, HALF_3 = HALVES
FOLD = 2
TAU = 2.0 * math.pi
SPREAD = 15.0 / 384.0
"""Distance of the zeros of `soft`'s weights from once and twice the rate, relative to the rate."""
WEIGHTS = np.polymul(*(np.array([1.0, -2.0 * math.cos(TAU / 3.0 * (1.0 + by)), 1.0]) for by in (-SPREAD, SPREAD)))
OUTER, MIDDLE, INNER = map(float, np.polymul(WEIGHTS, [1.0, 1.0])[:3] / (2.0 * WEIGHTS.sum()))
EDGE = 20.0 / 48.0
"""Passband edge of all filters, in cycles per frame."""
_NODES = 400
"""Number of frequencies at which a passband is fitted."""
LATENCY = {"1": 0, "2": 42, "4": 48, "8": 50}
"""Latency in frames of up- and downsampling, by oversampling: 41, 13 / 2 and 7 / 4 of a filter each, plus two samples
of the waveshaper (6 at eight times the rate, since `fold` takes 2 / 16 and its filter 10 / 16). At 1 it is 0."""
LATE = 4
"""Delay of the waveshaper's input, in frames of eight times the rate, except for `fold`."""
HISTORY_FRAMES = 16
"""History of the waveshaper's input, in frames of eight times the rate: more than 2 HALF_3 + 2 and LATE + 2."""
MIN_DIFFERENCE = 1e-3
"""Difference of two sample values below which the difference quotient is replaced by the value at the midpoint."""
RUN = 128
"""Number of frames the waveshaper processes at once."""
OPEN = 20000.0
"""Frequency of `tone` in Hz from which the filter is bypassed."""
# indices in `state`, for the waveshaper, and again for `fold`: the two last samples, the last quotient, the last second
# antiderivative, the pending sample, the curve (1 is the first); then the tone filter
_X1, _X2, _QUOTIENT, _SECOND, _WAIT, _CURVE, _SHAPER = 0, 1, 2, 3, 4, 5, 6
_TONE, _SIZE = 12, 13


@kernel
def effects_drive_curve(kind: i64, x: f64) -> f64:
    """The waveshaper."""
    if kind == 1:
        return max(-1.0, min(1.0, x))
    if kind == 2:
        return math.sin(x)
    return x / math.sqrt(1.0 + x * x)


@kernel
def effects_drive_first(kind: i64, x: f64) -> f64:
    """First antiderivative of the curve."""
    if kind == 1:
        return 0.5 * x * x if abs(x) < 1.0 else abs(x) - 0.5
    if kind == 2:
        return 1.0 - effects_sine(x * (1.0 / TAU) + 0.25)
    return math.sqrt(1.0 + x * x)


@kernel
def effects_drive_second(kind: i64, x: f64) -> f64:
    """Second antiderivative of the curve."""
    if kind == 1:
        if abs(x) < 1.0:
            return x * x * x / 6.0
        half = 0.5 * x * x + 1.0 / 6.0
        return (half if x > 0.0 else -half) - 0.5 * x
    if kind == 2:
        return x - math.sin(x)
    root = math.sqrt(1.0 + x * x)
    a = abs(x)
    arsinh = math.log(a + root)
    return 0.5 * (x * root + (arsinh if x > 0.0 else -arsinh))


@kernel
def effects_drive_soft(u: f32p, out: f32p, frames: i64, roots: f32p, ends: f32p) -> None:
    """`effects_drive_run` of `soft`: the means of the curve over the thirds of each line between samples.

    The mean from a to b is (r(b) - r(a)) / (b - a) with r(x) = √(1 + x²), which is (a + b) / (r(a) + r(b)): no
    difference that would lose precision in 32-bit floats. A sample is the sum of six thirds by `WEIGHTS`. roots, ends:
    scratch, two more than `frames`, separate so that the loops vectorise.
    """
    one, third = f32(1.0), f32(1.0 / 3.0)
    begin = offset(u, -2)
    for n in range(frames + 2):
        roots[n] = math.sqrt(one + begin[n] * begin[n])
    for n in range(frames + 1):
        a, d = begin[n], begin[n + 1]
        step = (d - a) * third
        b, c = a + step, d - step
        r, s = math.sqrt(one + b * b), math.sqrt(one + c * c)
        low, middle, high = roots[n] + r, r + s, s + roots[n + 1]
        over = one / (low * middle * high)
        first, last = (a + b) * (middle * high) * over, (c + d) * (low * middle) * over
        second = f32(MIDDLE) * ((b + c) * (low * high) * over)
        ends[n] = f32(OUTER) * first + second + f32(INNER) * last
        roots[n] = f32(INNER) * first + second + f32(OUTER) * last
    for n in range(frames):
        out[n + 1] = ends[n] + roots[n + 1]


@kernel
def effects_drive_softs(u: f32p, seconds: f64p, frames: i64) -> None:
    """seconds ← second antiderivative of `soft` at u, call-free so that the loop vectorises."""
    for n in range(frames):
        x = f64(u[n])
        a = abs(x)
        root = math.sqrt(1.0 + x * x)
        arsinh = effects_log(a + root)
        seconds[n] = 0.5 * (x * root + (arsinh if x > 0.0 else -arsinh))


@kernel
def effects_drive_near(kind: i64, x: f64, x1: f64, x2: f64, second1: f64) -> f64:
    """The waveshaped sample if x is near the sample two before it."""
    middle = 0.5 * (x + x2)
    far = middle - x1
    if abs(far) < MIN_DIFFERENCE:
        return effects_drive_curve(kind, 0.5 * (middle + x1))
    return 2.0 / far * (effects_drive_first(kind, middle) + (second1 - effects_drive_second(kind, middle)) / far)


@kernel
def effects_drive_slopes(kind: i64, u: f32p, seconds: f64p, slopes: f64p, frames: i64) -> None:
    """slopes ← difference quotients of `seconds`; both have a place before the first."""
    late = offset(u, -1)
    near = 0
    for n in range(frames):
        by = f64(u[n]) - f64(late[n])
        near = near + (1 if abs(by) < MIN_DIFFERENCE else 0)
        slopes[n + 1] = (seconds[n + 1] - seconds[n]) / by
    if near > 0:
        for n in range(frames):
            a = f64(u[n])
            b = f64(late[n])
            if abs(a - b) < MIN_DIFFERENCE:
                slopes[n + 1] = effects_drive_first(kind, 0.5 * (a + b))


@kernel
def effects_drive_run(kind: i64, u: f32p, out: f32p, frames: i64, seconds: f64p, slopes: f64p) -> None:
    """Processes a run of `effects_drive_shape`; only runs with values of u close together are processed again."""
    late, later = offset(u, -1), offset(u, -2)
    # of each curve by itself, so that its loops run in vectors
    if kind == 0:
        effects_drive_softs(u, offset(seconds, 1), frames)
        effects_drive_slopes(0, u, seconds, slopes, frames)
    elif kind == FOLD:
        for n in range(frames):
            seconds[n + 1] = f64(u[n]) - effects_sine(f64(u[n]) * (1.0 / TAU))
        effects_drive_slopes(FOLD, u, seconds, slopes, frames)
    else:
        for n in range(frames):
            seconds[n + 1] = effects_drive_second(1, f64(u[n]))
        effects_drive_slopes(1, u, seconds, slopes, frames)
    near = 0
    for n in range(frames):
        by = f64(u[n]) - f64(later[n])
        near = near + (1 if abs(by) < MIN_DIFFERENCE else 0)
        out[n + 1] = 2.0 / by * (slopes[n + 1] - slopes[n])
    if near > 0:
        for n in range(frames):
            if abs(f64(u[n]) - f64(later[n])) < MIN_DIFFERENCE:
                out[n + 1] = effects_drive_near(kind, f64(u[n]), f64(late[n]), f64(later[n]), seconds[n])


@kernel
def effects_filter_half_band(src: f32p, frames: i64, half: f32p, h: i64, gain: f32, out: f32p) -> None:
    """out ← src through the 2 h + 2 outer taps of a symmetric half-band filter. `src`: history before it."""
    g = gain * half[0]
    for n in range(frames):
        out[n] = g * (src[n] + src[n - 2 * h - 1])
    # of the other pairs four or two at once, so that `out` is read and written less often; the last may have no other
    j = i64(1)
    while j <= h:
        near, far = offset(src, -j), offset(src, j - 2 * h - 1)
        a, b = gain * half[j], gain * half[j + 1] if j < h else f32(0.0)
        if j + 1 < h:
            c, d = gain * half[j + 2], gain * half[j + 3] if j + 2 < h else f32(0.0)
            for n in range(frames):
                s = a * (near[n] + far[n]) + b * (near[n - 1] + far[n + 1])
                out[n] = out[n] + (s + (c * (near[n - 2] + far[n + 2]) + d * (near[n - 3] + far[n + 3])))
            j = j + 4
        else:
            for n in range(frames):
                out[n] = out[n] + (a * (near[n] + far[n]) + b * (near[n - 1] + far[n + 1]))
            j = j + 2


@kernel
def effects_upsample(src: f32p, past: i64, frames: i64, half: f32p, h: i64, even: f32p, dst: f32p) -> None:
    """dst ← src at twice the rate. src: `past` frames of history, then `frames`; the newest history is moved there."""
    effects_filter_half_band(offset(src, past), frames, half, h, 2.0, even)
    for n in range(frames):
        dst[2 * n] = even[n]
        dst[2 * n + 1] = src[past + n - h]
    for n in range(past):
        src[n] = src[frames + n]


@kernel
def effects_downsample(
    src: f32p, past: i64, frames: i64, half: f32p, h: i64, even: f32p, odd: f32p, sum: f32p, dst: f32p
) -> None:
    """dst ← src at half the rate; frames: of dst. even, odd: `past` frames of history, then `frames`; sum: scratch."""
    for n in range(frames):
        even[past + n] = src[2 * n]
        odd[past + n] = src[2 * n + 1]
    effects_filter_half_band(offset(even, past), frames, half, h, 1.0, sum)
    for n in range(frames):
        dst[n] = sum[n] + f32(0.5) * odd[past + n - h - 1]
    for n in range(past):
        even[n] = even[frames + n]
        odd[n] = odd[frames + n]


class DriveCurves(NamedTuple):
    """The parameters, one value per frame."""

    drive: f32p
    curve: f32p
    tone: f32p
    level: f32p


class DriveState(NamedTuple):
    """Buffers of the up- and downsampling stages."""

    half: f32p
    up: f32p
    down: f32p
    wide: f32p
    even: f32p
    deep: f32p
    fold: f32p
    fine: f32p
    seconds: f64p
    slopes: f64p
    roots: f32p
    ends: f32p
    block: i64
    past: i64
    doublings: i64
    rate: f64


@kernel
def effects_drive_shape(u: f32p, out: f32p, frames: i64, kind: i64, thirds: i64, s: DriveState, state: f64p) -> None:
    """out ← waveshaped u, with a latency of two samples, and one extra sample. u: preceded by two samples of history.

    thirds: 1 for `soft` by `effects_drive_soft`. Scratch of `s`: seconds and slopes, second antiderivatives and their
    difference quotients, roots and ends.
    """
    x1, x2 = state[_X1], state[_X2]
    if state[_CURVE] != f64(kind + 1):
        # quotients of one curve's values and another's would have no bound
        state[_CURVE] = f64(kind + 1)
        state[_SECOND] = effects_drive_second(kind, x1)
        state[_QUOTIENT] = effects_drive_first(kind, 0.5 * (x1 + x2))
        if abs(x1 - x2) >= MIN_DIFFERENCE:
            state[_QUOTIENT] = (state[_SECOND] - effects_drive_second(kind, x2)) / (x1 - x2)
    late, later = offset(u, -1), offset(u, -2)
    late[0], later[0] = x1, x2
    s.seconds[0], s.slopes[0] = state[_SECOND], state[_QUOTIENT]
    after = out[frames]  # the next curve's input may stand there
    out[0] = state[_WAIT]
    for first in range(0, frames, RUN):
        held, kept, count = offset(s.seconds, first), offset(s.slopes, first), min(RUN, frames - first)
        if kind == 0 and thirds == 1:
            effects_drive_soft(offset(u, first), offset(out, first), count, s.roots, s.ends)
        else:
            effects_drive_run(kind, offset(u, first), offset(out, first), count, held, kept)
    state[_X1], state[_X2] = u[frames - 1], late[frames - 1]
    state[_QUOTIENT], state[_SECOND], state[_WAIT] = s.slopes[frames], s.seconds[frames], out[frames]
    out[frames] = after


@kernel
def effects_drive_tone(channel: i64, y: Audio, p: DriveCurves, wide: f32p, state: f64p, rate: f64) -> None:
    """The channel's frames of y ← wide through the tone filter, times `level`."""
    pole, out, last = f64(0.0), effects_gain(f64(p.level[0])), state[_TONE]
    shut = 0
    for n in range(y.frames):
        shut = shut + (1 if p.tone[n] < OPEN else 0)
    if shut > 0:
        for n in range(y.frames):
            if effects_is_changed(p.tone, n) == 1:
                pole = effects_decay_factor(1.0 / (TAU * f64(p.tone[n])), rate) if f64(p.tone[n]) < OPEN else 0.0
            last = effects_flush_denormal(f64(wide[n]) + (last - f64(wide[n])) * pole)
            wide[n] = last
    if effects_steady(p.level, y.frames) == 1:
        for n in range(y.frames):
            y[channel, n] = f64(wide[n]) * out
    else:
        for n in range(y.frames):
            if effects_is_changed(p.level, n) == 1:
                out = effects_gain(f64(p.level[n]))
            y[channel, n] = f64(wide[n]) * out
    state[_TONE] = last if shut > 0 else f64(wide[y.frames - 1])


@kernel
def effects_drive(x: Audio, y: Audio, channel: i64, p: DriveCurves, s: DriveState, state: f64p) -> None:
    """One channel of y ← x distorted.

    doublings: of the rate, at most 3.  up, down: history and buffers of three filters.  deep: that of the waveshaper's
    input, fold: of the fourth filter's downsampling.  Scratch: wide of 8 blocks, even, fine, seconds and slopes of 16.
    """
    frames = y.frames
    g, steady = effects_gain(f64(p.drive[0])), effects_steady(p.curve, frames)
    if effects_steady(p.drive, frames) == 1:
        for n in range(frames):
            s.up[s.past + n] = effects_finite(x[channel, n]) * g
    else:
        for n in range(frames):
            if effects_is_changed(p.drive, n) == 1:
                g = effects_gain(f64(p.drive[n]))
            s.up[s.past + n] = effects_finite(x[channel, n]) * g
    two = offset(s.up, s.past + s.block)
    four = offset(two, s.past + 2 * s.block)
    h0, h1 = s.half, offset(s.half, 2 * HALF_0 + 2)
    h2 = offset(h1, 2 * HALF_1 + 2)
    h3 = offset(h2, 2 * HALF_2 + 2)
    if s.doublings == 0:
        for n in range(frames):
            s.wide[n] = s.up[s.past + n]
    elif s.doublings == 1:
        effects_upsample(s.up, s.past, frames, h0, HALF_0, s.even, s.wide)
    else:
        effects_upsample(s.up, s.past, frames, h0, HALF_0, s.even, offset(two, s.past))
        if s.doublings == 2:
            effects_upsample(two, s.past, 2 * frames, h1, HALF_1, s.even, s.wide)
        else:
            effects_upsample(two, s.past, 2 * frames, h1, HALF_1, s.even, offset(four, s.past))
            effects_upsample(four, s.past, 4 * frames, h2, HALF_2, s.even, s.wide)
    times, first = 1 << s.doublings, 0
    # the curve may change within the block
    while first < frames:
        end = frames if steady == 1 else first + 1
        while end < frames and p.curve[end] == p.curve[first]:
            end = end + 1
        count = times * (end - first)
        part = offset(s.wide, times * first)
        kind = i64(p.curve[first])
        for n in range(count):
            s.deep[HISTORY_FRAMES + n] = part[n]
        if s.doublings == 0:
            for n in range(count):
                part[n] = effects_drive_curve(kind, f64(part[n]))
        elif s.doublings < 3:
            effects_drive_shape(offset(s.deep, HISTORY_FRAMES), part, count, kind, 0, s, state)
        elif kind == FOLD:
            fine = offset(s.fine, 2)
            effects_upsample(s.deep, HISTORY_FRAMES, count, h3, HALF_3, s.even, fine)
            effects_drive_shape(fine, s.even, 2 * count, kind, 0, s, offset(state, _SHAPER))
            effects_downsample(
                s.even, s.past, count, h3, HALF_3, s.fold, offset(s.fold, s.past + 8 * s.block), fine, part
            )
        else:
            # the two samples before, which it overwrites, are of no use any more
            u = offset(s.deep, HISTORY_FRAMES - LATE)
            effects_drive_shape(u, part, count, kind, 1, s, state)
            for n in range(HISTORY_FRAMES):
                s.deep[n] = s.deep[count + n]
        first = end
    size = s.past + 4 * s.block
    down, deep = offset(s.down, 2 * size), offset(s.down, 4 * size)
    if s.doublings == 3:
        effects_downsample(s.wide, s.past, 4 * frames, h2, HALF_2, s.down, offset(s.down, size), s.even, s.wide)
    if s.doublings >= 2:
        effects_downsample(s.wide, s.past, 2 * frames, h1, HALF_1, down, offset(down, size), s.even, s.wide)
    if s.doublings >= 1:
        effects_downsample(s.wide, s.past, frames, h0, HALF_0, deep, offset(deep, size), s.even, s.wide)
    effects_drive_tone(channel, y, p, s.wide, state, s.rate)


class Drive(Processor):
    """Distorts: `soft` and `hard` clipping at full scale, or a wave folder (`fold`)."""

    on_files = FileUse(changes=("level",))
    params = (
        Param("curve", "choice", "soft", choices=CURVES, doc="soft or hard clipping, or fold: a wave folder."),
        smooth_param("drive", 12.0, 0.0, 36.0, "Gain before the curve.", "dB"),
        hertz("tone", OPEN, 200.0, OPEN, "Low-pass after it, 6 dB an octave; 20000 is off."),
        smooth_param("level", -3.0, -48.0, 12.0, "Gain after it.", "dB"),
        Param(
            "oversampling",
            "choice",
            "8",
            choices=tuple(LATENCY),
            restart=True,
            doc="Times the rate. 1 is the bare curve: no latency, a fifth of the time, audible aliases.",
        ),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate, self._block = float(spec.rate), spec.block
        times = str(self.settings["oversampling"])
        self.latency, self._doublings = LATENCY[times], tuple(LATENCY).index(times)
        self._past = 2 * HALVES[0] + 4
        self._half = np.concatenate([half_band(h, EDGE / (2 << n)) for n, h in enumerate(HALVES)])
        size, count = self._past + 4 * spec.block, spec.channels
        self._up = [np.zeros(3 * self._past + 7 * spec.block, np.float32) for _ in range(count)]
        self._down = [np.zeros(6 * size, np.float32) for _ in range(count)]
        self._state = [np.zeros(_SIZE, np.float64) for _ in range(count)]
        self._wide = np.zeros(8 * spec.block + 1, np.float32)
        self._even, self._fine = np.zeros((2, 16 * spec.block + 2), np.float32)
        self._seconds, self._slopes = np.zeros((2, 16 * spec.block + 1))
        self._roots, self._ends = np.zeros((2, RUN + 2), np.float32)
        self._deep = [np.zeros(HISTORY_FRAMES + 8 * spec.block, np.float32) for _ in range(count)]
        self._fold = [np.zeros(2 * (self._past + 8 * spec.block), np.float32) for _ in range(count)]
        self.reset()

    def reset(self) -> None:
        for states in (self._up, self._down, self._deep, self._fold, self._state):
            for state in states:
                state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, y = io.audio_in[0], io.audio_out[0]
        curves = DriveCurves._make(map(io.curve, DriveCurves._fields))
        step = Step(())
        for c in range(x.shape[0]):
            buffers = DriveState(
                self._half, self._up[c], self._down[c], self._wide, self._even, self._deep[c], self._fold[c],
                self._fine, self._seconds, self._slopes, self._roots, self._ends,
                self._block, self._past, self._doublings, self._rate,
            )  # fmt: skip
            step = step.then(effects_drive.step(x, y, c, curves, buffers, self._state[c]))
        return step


def half_band(h: int, edge: float) -> NDArray[np.float32]:
    """Odd-indexed taps of a half-band lowpass of 4 h + 3 taps; the others are 0, except the middle one, 1/2.

    Its pass band, which ends at `edge` cycles a sample, is the flattest by least squares, and flatter towards 0.
    """
    odd = 2 * np.arange(h + 1) + 1
    turns = edge * np.linspace(0.0, 1.0, _NODES) ** 2
    taps = np.linalg.lstsq(2.0 * np.cos(TAU * np.outer(turns, odd)), np.full(_NODES, 0.5), rcond=None)[0]
    made: NDArray[np.float64] = np.concatenate([taps[::-1], taps]) * (0.25 / taps.sum())
    return made.astype(np.float32)
