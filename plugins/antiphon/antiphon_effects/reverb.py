"""Reverb: a feedback delay network of sixteen lines.

The network is Jot's ("Digital delay networks for designing artificial reverberators", AES 90th Convention, 1991): a
lossless feedback matrix, here Hadamard's, and in each line a low-pass filter whose gain matches the line's length, so
that every mode decays in the same time. Before the network, four allpass filters per channel increase the echo density
(Dattorro, "Effect Design, Part 1", JAES 45, 1997), and slow modulation of the lines' lengths avoids ringing modes.

Sound is computed in segments of at most `GRID` frames, line by line: no line is shorter than a segment.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel, offset
from antiphon.native.intrinsics import prefetch
from antiphon_effects.shared import (
    effects_exp,
    effects_finite,
    effects_flush_denormal,
    effects_sine,
    smooth_param,
    time_constant,
)

LINES = 16
GRID = 32
"""Interval in frames of parameter updates, counted from the reset."""
SHORTEST, LONGEST = 0.0213, 0.0829
"""Shortest and longest line in seconds at size 1; the others lie between them in a geometric series."""
SWING = 0.0004
"""Amplitude in seconds of a line's length modulation at full modulation."""
RATES = (0.31, 1.07)
"""Rates in Hz of the slowest and the fastest modulation."""
DIFFUSERS = (0.00471, 0.00359, 0.01269, 0.00926)
"""Lengths in seconds of the allpass filters."""
DIFFUSION = 0.65
SIZES = (0.3, 2.0)
PREDELAY = 0.25
GLIDE = 0.15
"""Time constant in seconds of lengths following `size` and `predelay`; the pitch bends meanwhile."""
RATIO = 1.06
"""Maximum ratio by which the decay changes in `GRID` frames."""
MAX_DAMPING = 0.9
"""Maximum damping: the highest frequencies then decay in 1 - MAX_DAMPING of the lowest frequencies' time."""
NEAR, FAR = 0.8, 0.6
"""Input gains of each line from its own and the other side; their squares add up to 1. With only its own side, the near
side would at first decay up to 8 % too fast, and the far side too slowly."""
FAINT = 1e-15
MIRROR = GRID + 4
"""Frames from a line's start repeated after its end, so that reads are contiguous."""
ROOM = 24
"""Spare frames of a line's memory, so that modulation seldom reallocates it."""
NEPERS = math.log(10.0)
# places in `k`, one for each line: the filter's state; length, gain and pole now, and the change a frame of each
_STATE, _LENGTH, _GAIN, _POLE, _STEP, _GAIN_STEP, _POLE_STEP, _PARTS = (LINES * part for part in range(8))
# places in `slow`: size, decay; predelay and output gain now, and the change a frame of each
_SIZE, _DECAY, _BEFORE, _LEVEL, _BEFORE_STEP, _LEVEL_STEP, _SLOW = 0, 1, 2, 3, 4, 5, 6
# places in `ages`: frames since the reset; of each line the place to write at, and the frames of its ring; the places
# in the allpass filters
_WRITE, _SPAN, _DIFFUSE, _AGES = 1, 1 + LINES, 1 + 2 * LINES, 9 + 2 * LINES


class ReverbState(NamedTuple):
    """Delay lines with their ring buffers and state.

    base: length of each line in frames at size 1.  into: `GRID` frames of each side.  shares: gain of each side in each
    line.  rings: `apart` frames per line.  v, poles: scratch, `GRID` frames per line.  ramp: 0, 1, 2 … 2 `GRID`.
    """

    base: f64p
    rates: f64p
    before: f32p
    before_mask: i64
    allpass: f32p
    diffusers: i64p
    span: i64
    into: f32p
    shares: f32p
    rings: f32p
    apart: i64
    v: f32p
    poles: f32p
    ramp: f32p
    k: f64p
    slow: f64p
    ages: i64p
    glide: f64
    sides: i64
    rate: f64


@kernel
def effects_reverb_span(line: f32p, ages: i64p, i: i64, need: i64) -> None:
    """Lengthens a line's ring to at least `need` frames by moving its oldest frames up."""
    span = ages[_SPAN + i]
    if need > span:
        more = need + ROOM - span
        for n in range(span - ages[_WRITE + i]):
            line[span + more - 1 - n] = line[span - 1 - n]
        for n in range(MIRROR):
            line[span + more + n] = line[n]
        ages[_SPAN + i] = span + more


@kernel
def effects_reverb_grid(
    r: ReverbState, size: f64, decay: f64, damping: f64, swing: f64, predelay: f64, age: i64
) -> None:
    """Computes the lines' parameters of the next `GRID` frames."""
    if age == 0:
        r.slow[_SIZE], r.slow[_BEFORE], r.slow[_DECAY] = size, predelay, decay
    for j in range(_LENGTH, _STEP):
        r.k[j] = r.k[j] + r.k[j + 3 * LINES] * f64(GRID)
    for j in range(_BEFORE, _BEFORE_STEP):
        r.slow[j] = r.slow[j] + r.slow[j + 2] * f64(GRID)
    r.slow[_SIZE] = r.slow[_SIZE] + (size - r.slow[_SIZE]) * r.glide
    r.slow[_DECAY] = min(max(decay, r.slow[_DECAY] / RATIO), r.slow[_DECAY] * RATIO)
    r.slow[_BEFORE_STEP] = (predelay - r.slow[_BEFORE]) * r.glide / f64(GRID)
    bright = 1.0 - MAX_DAMPING * damping
    bend = (1.0 - 1.0 / (bright * bright)) * 0.25
    scale = r.slow[_SIZE]
    frames = r.slow[_DECAY] * r.rate
    gain = offset(r.k, _GAIN_STEP)
    for i in range(LINES):
        length = r.base[i] * scale
        loss = -3.0 * NEPERS * length / frames
        gain[i] = effects_exp(loss)
        r.k[_STEP + i] = length + swing * effects_sine(r.rates[i] * f64(age + GRID // 2) / r.rate + f64(i) * 0.381966)
        r.k[_POLE_STEP + i] = min(loss * bend, 0.97)
    power = f64(0.0)
    for i in range(LINES):
        power = power + gain[i] * gain[i]
    for i in range(LINES):
        gain[i] = gain[i] * (1.0 - r.k[_POLE_STEP + i])
    for j in range(_LENGTH, _STEP):
        r.k[j] = r.k[j + 3 * LINES] if age == 0 else r.k[j]
        r.k[j + 3 * LINES] = (r.k[j + 3 * LINES] - r.k[j]) / f64(GRID)
    for i in range(LINES):
        r.k[_STATE + i] = effects_flush_denormal(r.k[_STATE + i])
        length = r.k[_LENGTH + i]
        longest = i64(max(length, length + r.k[_STEP + i] * f64(GRID)))
        effects_reverb_span(offset(r.rings, i * r.apart), r.ages, i, longest + 4 + GRID)
    # a steady noise comes out as loud as it went in, whatever the decay
    level = math.sqrt(1.0 - power / f64(LINES)) * 0.5
    r.slow[_LEVEL] = level if age == 0 else r.slow[_LEVEL]
    r.slow[_LEVEL_STEP] = (level - r.slow[_LEVEL]) / f64(GRID)


@kernel
def effects_reverb_allpass(line: f32p, into: f32p, count: i64) -> None:
    """into `[count]` ← into, filtered by an allpass whose delay line has at least `count` frames."""
    for n in range(count):
        old = line[n]
        v = into[n] - f32(DIFFUSION) * old
        v = f32(0.0) if abs(v) < f32(FAINT) else v
        line[n] = v
        into[n] = old + f32(DIFFUSION) * v


@kernel
def effects_reverb_in(x: Audio, channel: i64, first: i64, count: i64, r: ReverbState, age: i64) -> None:
    """The channel's frames of `into` ← that channel of x, delayed and diffused."""
    before = offset(r.before, channel * (r.before_mask + 1))
    into = offset(r.into, channel * GRID)
    place = age & r.before_mask  # the frames end with the ring at the latest: both are of whole grids
    for n in range(count):
        before[place + n] = effects_finite(x[channel, first + n])
    begin, step = r.slow[_BEFORE], r.slow[_BEFORE_STEP]
    ramp = offset(r.ramp, age % GRID)
    whole = i64(begin + step * f64(ramp[0]))
    place = (age - whole - 1) & r.before_mask
    if whole == i64(begin + step * f64(ramp[count - 1])) and place + count <= r.before_mask:
        past = offset(before, place)
        part = f32(begin - f64(whole))
        for n in range(count):
            into[n] = past[n + 1] + (past[n] - past[n + 1]) * (part + f32(step) * ramp[n])
    else:
        for n in range(count):
            whole = i64(begin + step * f64(ramp[n]))
            near = before[(age + n - whole) & r.before_mask]
            far = before[(age + n - whole - 1) & r.before_mask]
            into[n] = near + (far - near) * (f32(begin - f64(whole)) + f32(step) * ramp[n])
    for j in range(4 * channel, 4 * channel + 4):
        line = offset(r.allpass, j * (r.span + 1))
        place = r.ages[_DIFFUSE + j]
        # up to the line's end, then from its begin: a line is longer than a stretch
        done = 0
        while done < count:
            some = min(count - done, r.diffusers[j] - place)
            effects_reverb_allpass(offset(line, place), offset(into, done), some)
            done = done + some
            place = place + some if place + some < r.diffusers[j] else 0
        r.ages[_DIFFUSE + j] = place


@kernel
def effects_reverb_point(a: f32, b: f32, c: f32, d: f32, f: f32) -> f32:
    """Third-order Lagrange interpolation of four frames, at f frames from b towards c."""
    f1, f2, f3 = f + f32(1.0), f - f32(1.0), f - f32(2.0)
    s = b * (f1 * f2 * f3 * f32(0.5)) - a * (f * f2 * f3) * f32(1.0 / 6.0)
    return s - c * (f1 * f * f3) * f32(0.5) + d * (f1 * f * f2) * f32(1.0 / 6.0)


@kernel
def effects_reverb_read(r: ReverbState, i: i64, count: i64, ramp: f32p, out: f32p) -> None:
    """out ← `count` frames of a line, times its gain, and useless ones up to `GRID`. ramp: frames since the grid."""
    ring = offset(r.rings, i * r.apart)
    lag, step = r.k[_LENGTH + i], r.k[_STEP + i]
    bend, gain, gain_step = f32(step), f32(r.k[_GAIN + i]), f32(r.k[_GAIN_STEP + i])
    whole = i64(lag + step * f64(ramp[0]))
    place = r.ages[_WRITE + i] - 2
    if whole == i64(lag + step * f64(ramp[count - 1])):
        # a loop of constant length takes no more time for `GRID` frames than for a few
        past = offset(ring, place - whole if place >= whole else place - whole + r.ages[_SPAN + i])
        part = f32(lag - f64(whole))
        for n in range(GRID):
            s = effects_reverb_point(past[n + 3], past[n + 2], past[n + 1], past[n], part + bend * ramp[n])
            out[n] = s * (gain + gain_step * ramp[n])
    else:
        for n in range(count):
            whole = i64(lag + step * f64(ramp[n]))
            q = place + n - whole
            past = offset(ring, q if q >= 0 else q + r.ages[_SPAN + i])
            s = effects_reverb_point(past[3], past[2], past[1], past[0], f32(lag - f64(whole)) + bend * ramp[n])
            out[n] = s * (gain + gain_step * ramp[n])


@kernel
def effects_reverb_lines(r: ReverbState, count: i64, ramp: f32p) -> None:
    """v ← the output of the lines and their filters."""
    for i in range(LINES):
        row = i * GRID
        effects_reverb_read(r, i, count, ramp, offset(r.v, row))
        pole, by = f32(r.k[_POLE + i]), f32(r.k[_POLE_STEP + i])
        poles = offset(r.poles, row)
        for n in range(GRID):
            poles[n] = pole + by * ramp[n]
        r.v[row] = r.v[row] + f32(r.k[_STATE + i]) * poles[0]
    # frame by frame over all lines: their filters do not depend on each other, so that the processor overlaps them
    for n in range(1, GRID):
        for i in range(LINES):
            place = i * GRID + n
            r.v[place] = r.v[place] + r.v[place - 1] * r.poles[place]
    for i in range(LINES):
        r.k[_STATE + i] = r.v[i * GRID + count - 1]


@kernel
def effects_reverb_mix(v: f32p, apart: i64) -> None:
    """Multiplies four lines, `apart` elements from one to the next, by Hadamard's matrix."""
    for n in range(GRID):
        a, b, c, d = v[n], v[n + apart], v[n + 2 * apart], v[n + 3 * apart]
        v[n] = (a + b) + (c + d)
        v[n + apart] = (a - b) + (c - d)
        v[n + 2 * apart] = (a + b) - (c + d)
        v[n + 3 * apart] = (a - b) - (c - d)


@kernel
def effects_reverb_write(r: ReverbState, i: i64, count: i64) -> None:
    """Writes the next frames of a line: the mixed output of all lines, and `into`."""
    line = offset(r.rings, i * r.apart)
    write, span = r.ages[_WRITE + i], r.ages[_SPAN + i]
    ring, v, left, right = offset(line, write), offset(r.v, i * GRID), r.shares[i], r.shares[LINES + i]
    for n in range(GRID):
        s = v[n] * f32(0.25) + r.into[n] * left + r.into[GRID + n] * right
        ring[n] = f32(0.0) if abs(s) < f32(FAINT) else s
    for n in range(write, MIRROR):
        line[span + n] = line[n]
    for n in range(span, write + GRID):
        line[n - span] = line[n]
    r.ages[_WRITE + i] = write + count if write + count < span else write + count - span


@kernel
def effects_reverb(y: Audio, first: i64, count: i64, r: ReverbState, age: i64) -> None:
    """Frames `first` to `first` + `count` of y ← the network's sound."""
    ramp = offset(r.ramp, age % GRID)
    effects_reverb_lines(r, count, ramp)
    for i in range(0, LINES, 4):
        effects_reverb_mix(offset(r.v, i * GRID), GRID)
    for i in range(4):
        effects_reverb_mix(offset(r.v, i * GRID), 4 * GRID)
    # even lines sound left and odd ones right, half of them with the other sign: two rows' sum and difference
    level, by = f32(0.5 * r.slow[_LEVEL]), f32(0.5 * r.slow[_LEVEL_STEP])
    both, apart = offset(r.v, 2 * GRID), offset(r.v, 3 * GRID)
    for c in range(y.channels):
        sign = f32(1.0) if c & 1 == 0 else f32(-1.0)
        for n in range(count):
            s = both[n] + both[n] if y.channels == 1 else both[n] + sign * apart[n]
            y[c, first + n] = s * (level + by * ramp[n])
    for i in range(LINES):
        effects_reverb_write(r, i, count)


class ReverbCurves(NamedTuple):
    """The parameters, one value per frame."""

    size: f32p
    decay: f32p
    damping: f32p
    modulation: f32p
    predelay: f32p


@kernel
def effects_reverb_block(x: Audio, y: Audio, p: ReverbCurves, r: ReverbState) -> None:
    """y ← the reverberation of x; `age` frames have passed since the reset."""
    age = r.ages[0]
    # what the lines will read and write lies far apart: fetched one by one, it would take longer than all else
    for i in range(LINES):
        ring = offset(r.rings, i * r.apart)
        write, span = r.ages[_WRITE + i], r.ages[_SPAN + i]
        for m in range(write, write + span - i64(r.k[_LENGTH + i]) + y.frames, 16):
            prefetch(ring, m if m < span else m - span)
    n = 0
    while n < y.frames:
        now = age + n
        if now % GRID == 0:
            swing = f64(p.modulation[n]) * SWING * r.rate
            before = f64(p.predelay[n]) * r.rate
            effects_reverb_grid(r, f64(p.size[n]), f64(p.decay[n]), f64(p.damping[n]), swing, before, now)
        # at a few kHz the shortest line may be shorter than a segment
        most = max(i64(r.k[_LENGTH]) - 4, 1)
        count = min(min(GRID - now % GRID, y.frames - n), most)
        for c in range(r.sides):
            effects_reverb_in(x, c, n, count, r, now)
        effects_reverb(y, n, count, r, now)
        n = n + count
    r.ages[0] = age + y.frames


class Reverb(Processor):
    """Outputs the reverberation only: the node's `wet` adds the dry sound.

    The first two channels feed the network's two sides, a single one both; further channels only get output.
    """

    on_files = FileUse(tail=True, changes=("time", "level", "channels"))
    params = (
        smooth_param("size", 1.0, SIZES[0], SIZES[1], "Room size: 1 is a hall."),
        time_constant("decay", 2.0, 0.1, 60.0, "Reverb time (RT60): time in which it decays by 60 dB."),
        smooth_param("damping", 0.4, 0.0, 1.0, "Damping of high frequencies."),
        Param("modulation", default=0.5, low=0.0, high=1.0, smooth=0.05, doc="Modulation depth of the delay lines."),
        smooth_param("predelay", 0.01, 0.0, PREDELAY, "Delay before the reverb.", "s"),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate, self._sides = float(spec.rate), min(2, spec.channels)
        self._base = lengths(spec.rate)
        self._rates = np.geomspace(*RATES, LINES)
        self._apart = math.ceil(self._base[-1] * SIZES[1] + SWING * spec.rate) + 4 + GRID + ROOM + MIRROR
        self._rings = np.zeros(LINES * self._apart, np.float32)
        self._before_mask = (1 << math.ceil(math.log2(PREDELAY * spec.rate + 4 + GRID))) - 1
        self._before = np.zeros((self._sides, self._before_mask + 1), np.float32)
        self._span = round(max(DIFFUSERS) * spec.rate) + 1
        self._allpass = np.zeros((self._sides, 4 * (self._span + 1)), np.float32)
        # the sides differ a little, so that a sound in the middle is not the same on both
        self._diffusers = np.array(
            [round(t * spec.rate * (1.0 - 0.07 * side)) for side in range(self._sides) for t in DIFFUSERS], np.int64
        )
        self._into, self._shares = np.zeros(2 * GRID, np.float32), shares(self._sides)
        self._v, self._poles = np.zeros((2, LINES * GRID), np.float32)
        self._ramp = np.arange(2 * GRID, dtype=np.float32)
        self._k, self._slow = np.zeros(_PARTS), np.zeros(_SLOW)
        self._glide = 1.0 - math.exp(-GRID / (GLIDE * spec.rate))
        self._ages = np.zeros(_AGES, np.int64)

    def reset(self) -> None:
        for state in (self._rings, self._before, self._allpass, self._k, self._slow, self._ages):
            state.fill(0)

    def step(self, io: IO) -> Step:
        curves = ReverbCurves._make(map(io.curve, ReverbCurves._fields))
        state = ReverbState(
            self._base, self._rates, self._before, self._before_mask, self._allpass, self._diffusers, self._span,
            self._into, self._shares, self._rings, self._apart, self._v, self._poles, self._ramp, self._k, self._slow,
            self._ages, self._glide, self._sides, self._rate,
        )  # fmt: skip
        return effects_reverb_block.step(io.audio_in[0], io.audio_out[0], curves, state)


def lengths(rate: int) -> np.ndarray:
    """The lines' lengths in frames at size 1: primes near a geometric series, so that few echoes coincide."""
    made = np.geomspace(SHORTEST * rate, LONGEST * rate, LINES)
    return np.array([_prime(round(length)) for length in made], np.float64)


def shares(sides: int) -> np.ndarray:
    """Gain of each side in each line."""
    line = np.arange(LINES)
    sign = np.where(line & 4, -1.0, 1.0)
    if sides == 1:
        return np.array([sign, 0.0 * sign], np.float32)
    far = np.where(line & 8, -FAR, FAR)
    return (sign * np.where(line % 2 == np.array([[0], [1]]), NEAR, far)).astype(np.float32)


def _prime(number: int) -> int:
    while any(number % k == 0 for k in range(2, math.isqrt(number) + 1)):
        number += 1
    return number
