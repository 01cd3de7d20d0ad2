"""Modulated delay line: the kernel of chorus and flanger, with interpolated reads.

Dattorro, "Effect Design, Part 2: Delay-Line Modulation and Chorus" (JAES 45, 1997). The line is interpolated by a
third-order Lagrange polynomial, which loses less than 1.5 dB at 10 kHz and has no state that a moving read position
could disturb.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel, offset
from antiphon_effects.shared import (
    GRID,
    TurnsLog,
    effects_finite,
    effects_flush_denormal,
    effects_lfo_phase,
    effects_tan,
    hertz,
    smooth_param,
)

FASTEST = 0.5
"""Maximum change of a line's length in frames per frame: bends by up to half an octave, and prevents clicks."""
MIN_FRAMES = 2.0
"""Minimum length of a line in frames."""
FAINT = 1e-15
READ_BATCH = 32
"""Frames read per batch: within these a line's length seldom passes a whole frame."""


@kernel
def effects_interpolate(a: f32, b: f32, c: f32, d: f32, f: f64) -> f64:
    """Interpolated sample f frames before b, towards c."""
    s = 0.5 * (f + 1.0) * (f - 2.0) * (f64(b) * (f - 1.0) - f64(c) * f)
    return s + f * (f - 1.0) * (f64(d) * (f + 1.0) - f64(a) * (f - 2.0)) * (1.0 / 6.0)


@kernel
def effects_read(ring: f32p, mask: i64, at: i64, lag: f64) -> f64:
    """Ring sample at a delay of `lag` frames, at least 1, before index `at`."""
    whole = i64(lag)
    p = at - whole
    return effects_interpolate(
        ring[(p + 1) & mask], ring[p & mask], ring[(p - 1) & mask], ring[(p - 2) & mask], lag - f64(whole)
    )


@kernel
def effects_add_read(ring: f32p, mask: i64, at: i64, lags: f64p, count: i64, sums: f64p) -> None:
    """sums `[count]` += the ring's samples at delays `lags` before index `at` and the following ones."""
    whole = i64(lags[0])
    alike = 0
    for n in range(count):
        alike = alike + (1 if i64(lags[n]) == whole else 0)
    begin = (at - whole - 2) & mask
    if alike == count and begin + count + 2 <= mask:
        # the frames read lie side by side, and the loop runs in vectors
        past = offset(ring, begin)
        for n in range(count):
            sums[n] = sums[n] + effects_interpolate(
                past[n + 3], past[n + 2], past[n + 1], past[n], lags[n] - f64(whole)
            )
    else:
        for n in range(count):
            sums[n] = sums[n] + effects_read(ring, mask, at + n, lags[n])


@kernel
def effects_parabolic_lfo(turns: f64) -> f64:
    """Sine-like LFO waveform of parabolas, -1 to 1: its largest overtone is at -29 dB."""
    u = 2.0 * (turns - math.floor(turns)) - 1.0
    return 4.0 * u * (abs(u) - 1.0)


class SweptCurves(NamedTuple):
    """The parameters, one value per frame."""

    rate: f32p
    beats: f32p
    delay: f32p
    depth: f32p
    feedback: f32p
    mix: f32p
    spread: f32p


class SweptState(NamedTuple):
    """The delay line and the state kept from frame to frame."""

    voices: i64
    ring: f32p
    mask: i64
    state: f64p
    scratch: f64p
    ages: i64p
    rate: f64


@kernel
def effects_write_ring(line: f32p, mask: i64, place: i64, sums: f64p, count: i64) -> None:
    """Writes `count` sums into a ring of `mask` + 1 frames, starting at an index."""
    if place + count <= mask + 1:
        for n in range(count):
            line[place + n] = f32(sums[n])
    else:
        for n in range(count):
            line[(place + n) & mask] = f32(sums[n])


@kernel
def effects_swept(x: Audio, y: Audio, p: SweptCurves, s: SweptState, beat: f64, step: f64) -> None:
    """Chorus and flanger: writes `x` mixed with `voices` modulated delays of it into `y`.

    `state` holds the LFO phases, then the delay of each voice and channel; `scratch` those of a block, and its sums.
    """
    frames = y.frames
    age = s.ages[0]
    span = s.mask + 1
    share_of = 1.0 / math.sqrt(f64(s.voices))
    apart = 1.0 / f64(s.voices)
    for n in range(frames):
        s.state[0] = effects_lfo_phase(s.state[0], f64(p.rate[n]), f64(p.beats[n]), beat + step * f64(n), s.rate)
        s.scratch[n] = s.state[0]
    sums = offset(s.scratch, frames)
    shortest = span
    for row in range(y.channels * s.voices):
        lags = offset(s.scratch, (2 + row) * frames)
        side = f64(row // s.voices % 2)
        shift = f64(row % s.voices) * apart
        old = s.state[1 + row]
        for n in range(frames):
            turns = s.scratch[n] + 0.5 * f64(p.spread[n]) * side
            half = 0.5 * f64(p.depth[n]) * s.rate
            lags[n] = max(f64(p.delay[n]) * s.rate + half * (1.0 + effects_parabolic_lfo(turns + shift)), MIN_FRAMES)
        slow = 1 if old <= 0.0 or abs(lags[0] - old) <= FASTEST else 0
        for n in range(1, frames):
            slow = slow + (1 if abs(lags[n] - lags[n - 1]) <= FASTEST else 0)
        if slow < frames:
            old = lags[0] if old <= 0.0 else old
            for n in range(frames):
                old = max(old - FASTEST, min(old + FASTEST, lags[n]))
                lags[n] = old
        s.state[1 + row] = lags[frames - 1]
        for n in range(frames):
            shortest = min(shortest, i64(lags[n]))
    # the batch size keeps reads clear of writes within the batch; a single frame always is
    most = max(1, min(READ_BATCH, shortest - 1))
    for c in range(y.channels):
        line = offset(s.ring, c * span)
        first = 0
        while first < frames:
            count = min(most, frames - first)
            for n in range(first, first + count):
                sums[n] = 0.0
            for i in range(s.voices):
                lags = offset(s.scratch, (2 + c * s.voices + i) * frames + first)
                effects_add_read(line, s.mask, age + first, lags, count, offset(sums, first))
            for n in range(first, first + count):
                v = effects_finite(x[c, n])
                w = sums[n] * share_of
                into = v + f64(p.feedback[n]) * w
                y[c, n] = v + (w - v) * f64(p.mix[n])
                sums[n] = 0.0 if abs(into) < FAINT else into
            effects_write_ring(line, s.mask, (age + first) & s.mask, offset(sums, first), count)
            first = first + count
    s.ages[0] = age + frames


class Swept(Processor):
    """Base of the processors with a modulated delay line: buffers, and the kernel call."""

    voices = 1
    longest = 0.1
    """Maximum of `delay` plus `depth` in seconds."""

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._mask = (1 << math.ceil(math.log2(self.longest * spec.rate + 8))) - 1
        self._ring = np.zeros((spec.channels, self._mask + 1), np.float32)
        self._state = np.zeros(1 + spec.channels * self.voices, np.float64)
        self.parts = (TurnsLog(self._state, 0),)
        self._scratch = np.zeros((2 + spec.channels * self.voices) * spec.block, np.float64)
        self._none = np.zeros(spec.block, np.float32)
        self._age = np.zeros(1, np.int64)

    def reset(self) -> None:
        for state in (self._ring, self._state, self._age):
            state.fill(0)

    def step(self, io: IO) -> Step:
        step = io.time.beats_per_frame(self._rate)
        curves = SweptCurves._make(io.curve(f) if f in io.cells else self._none for f in SweptCurves._fields)
        kept = self.voices, self._ring, self._mask, self._state, self._scratch, self._age, self._rate
        return effects_swept.step(io.audio_in[0], io.audio_out[0], curves, SweptState(*kept), io.time.beat, step)


def swing(rate: float) -> tuple[Param, ...]:
    """LFO parameters, with the initial rate in Hz."""
    return (
        hertz("rate", rate, 0.02, 12.0, "LFO rate."),
        Param("beats", high=64.0, unit="beats", doc="LFO period, in time with the beat; 0 uses `rate`."),
    )


class Chorus(Swept):
    """Three voices with LFO phases a third of a turn apart, mixed with the sound."""

    on_files = FileUse(changes=("level",))
    voices = 3
    longest = 0.07
    params = (
        *swing(0.6),
        Param("delay", default=0.012, low=0.005, high=0.05, unit="s", warp="log", smooth=0.1, doc="Shortest delay."),
        Param("depth", default=0.005, high=0.02, unit="s", smooth=0.1, doc="LFO depth: how far the delays vary."),
        smooth_param("mix", 0.5, 0.0, 1.0, "Dry/wet mix; 1 is vibrato."),
        Param("spread", default=0.5, smooth=0.1, doc="LFO phase of right behind left; 1 is a whole period."),
    )


class Flanger(Swept):
    """One voice with feedback, mixed with the sound. At `depth` 0 it is a comb filter."""

    voices = 1
    longest = 0.03
    on_files = FileUse(tail=True, changes=("time", "level"))
    params = (
        *swing(0.2),
        Param("delay", default=0.0008, low=0.0001, high=0.01, unit="s", warp="log", smooth=0.1, doc="Shortest delay."),
        Param("depth", default=0.004, high=0.015, unit="s", smooth=0.1, doc="LFO depth: how far the delay varies."),
        smooth_param("feedback", 0.5, -0.95, 0.95, "Feedback (resonance); below 0 inverted, for the odd peaks."),
        smooth_param("mix", 0.5, 0.0, 1.0, "Dry/wet mix; at 0.5 the notches are deepest."),
        Param("spread", default=0.25, smooth=0.1, doc="LFO phase of right behind left; 1 is a whole period."),
    )


RATIO = 1.012
"""Maximum ratio by which the centre frequency changes in 16 frames."""
MAX_SECTIONS = 12
"""Maximum number of sections: two a notch."""
# places in `state`: the turns, for each side the coefficient, then its change a frame; the sections, the centre
_COEFFICIENT, _STEP = 1, 3


class PhaserCurves(NamedTuple):
    """The parameters, one value per frame."""

    rate: f32p
    beats: f32p
    centre: f32p
    depth: f32p
    feedback: f32p
    mix: f32p
    spread: f32p
    stages: f32p


class PhaserState(NamedTuple):
    """LFO phase, sections of all channels, and the age of the coefficients."""

    state: f64p
    sections: f64p
    ages: i64p


@kernel
def effects_phaser(x: Audio, y: Audio, p: PhaserCurves, s: PhaserState, beat: f64, step: f64, rate: f64) -> None:
    """y ← x mixed with its allpass chain. sections: per channel the last output and `MAX_SECTIONS` states."""
    age = s.ages[0]
    for n in range(y.frames):
        s.state[0] = effects_lfo_phase(s.state[0], f64(p.rate[n]), f64(p.beats[n]), beat + step * f64(n), rate)
        if (age + n) % GRID == 0:
            now = f64(p.centre[n])
            if age + n > 0:
                now = max(s.state[6] / RATIO, min(s.state[6] * RATIO, now))
            s.state[6] = now
            for side in range(2):
                turns = s.state[0] + 0.5 * f64(p.spread[n]) * f64(side)
                t = effects_tan(now * math.exp2(f64(p.depth[n]) * effects_parabolic_lfo(turns)), rate)
                to = (t - 1.0) / (t + 1.0)
                s.state[_COEFFICIENT + side] = s.state[_COEFFICIENT + side] + s.state[_STEP + side] * f64(GRID)
                if age + n == 0:
                    s.state[_COEFFICIENT + side] = to
                s.state[_STEP + side] = (to - s.state[_COEFFICIENT + side]) / f64(GRID)
            for i in range(y.channels * (MAX_SECTIONS + 1)):
                s.sections[i] = effects_flush_denormal(s.sections[i])
        within = f64((age + n) % GRID)
        # a change of the number glides, as a share of the sections above it
        wanted = f64(p.stages[n])
        if age + n == 0:
            s.state[5] = wanted
        s.state[5] = s.state[5] + max(-0.001, min(0.001, wanted - s.state[5]))
        count = s.state[5]
        for c in range(y.channels):
            side = c % 2
            a = s.state[_COEFFICIENT + side] + s.state[_STEP + side] * within
            at = c * (MAX_SECTIONS + 1)
            v = effects_finite(x[c, n])
            u = v + f64(p.feedback[n]) * s.sections[at]
            for i in range(MAX_SECTIONS):
                out = a * u + s.sections[at + 1 + i]
                s.sections[at + 1 + i] = u - a * out
                share = max(0.0, min(1.0, count - f64(i)))
                u = u + (out - u) * share
            s.sections[at] = u
            y[c, n] = v + (u - v) * f64(p.mix[n])
    s.ages[0] = age + y.frames


class Phaser(Processor):
    """`stages` / 2 notches, swept by an LFO around `centre`."""

    on_files = FileUse(tail=True, changes=("level", "channels"))
    params = (
        *swing(0.4),
        hertz("centre", 800.0, 50.0, 8000.0, "Centre frequency of the sweep."),
        Param("depth", "float", 1.5, 0.0, 4.0, "octaves", smooth=0.05, doc="LFO depth: how far it sweeps up and down."),
        Param("stages", "int", 6, low=2, high=MAX_SECTIONS, doc="Number of allpass stages."),
        smooth_param("feedback", 0.3, -0.95, 0.95, "Feedback (resonance)."),
        smooth_param("mix", 0.5, 0.0, 1.0, "Dry/wet mix; at 0.5 the notches are deepest."),
        Param("spread", default=0.25, smooth=0.1, doc="LFO phase of right behind left; 1 is a whole period."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(7, np.float64)
        self.parts = (TurnsLog(self._state, 0),)
        self._sections = np.zeros(spec.channels * (MAX_SECTIONS + 1), np.float64)
        self._age = np.zeros(1, np.int64)

    def reset(self) -> None:
        for state in (self._state, self._sections, self._age):
            state.fill(0)

    def step(self, io: IO) -> Step:
        x, y, step = io.audio_in[0], io.audio_out[0], io.time.beats_per_frame(self._rate)
        curves = PhaserCurves._make(map(io.curve, PhaserCurves._fields))
        state = PhaserState(self._state, self._sections, self._age)
        return effects_phaser.step(x, y, curves, state, io.time.beat, step, self._rate)
