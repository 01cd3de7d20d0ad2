"""Tempo-synced tape echo, alternating between the sides.

The delay line has a moving read position, like the head of a tape machine: changing the time bends the pitch. The loop
has a lowpass, a highpass and a tape saturation curve, so that full feedback stays bounded; Zölzer (ed.), DAFX (2nd ed.,
2011), sections 2.6 and 4.3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, i64, i64p, kernel, offset
from antiphon_effects.shared import (
    TurnsLog,
    effects_decay_factor,
    effects_finite,
    effects_flush_denormal,
    effects_is_changed,
    hertz,
    smooth_param,
)
from antiphon_effects.swept import FAINT, READ_BATCH, effects_add_read, effects_parabolic_lfo, effects_write_ring

MAX_SECONDS = 8.0
GLIDE = 0.12
"""Time constant in seconds of the read position's glide."""
FASTEST = 0.5
"""Maximum speed of the read position, frames per frame."""
FLUTTER = 0.0006
"""Modulation depth in seconds of the read position at full flutter."""
RATES = (0.7, 5.3)
"""Rates in Hz of the two flutter LFOs; the second has a quarter of the depth."""
RATE_0, RATE_1 = RATES
TAU = 2.0 * math.pi
# places in `state`: the head's distance, the turns of its two swings; then two filters a channel
_LAG, _SLOW, _FAST, _FILTERS = 0, 1, 2, 3


class PingpongCurves(NamedTuple):
    """The parameters, one value per frame."""

    time: f32p
    beats: f32p
    feedback: f32p
    cross: f32p
    lowcut: f32p
    highcut: f32p
    flutter: f32p


class PingpongState(NamedTuple):
    """The delay line with its state. scratch: four numbers a frame, and twice `READ_BATCH`."""

    ring: f32p
    mask: i64
    state: f64p
    scratch: f64p
    glide: f64
    ages: i64p
    rate: f64


@kernel
def effects_pingpong_delays(p: PingpongCurves, s: PingpongState, per_beat: f64, frames: i64) -> i64:
    """scratch ← the read delay at each frame, and both filters' poles; returns the shortest delay."""
    lows, highs = offset(s.scratch, frames), offset(s.scratch, 2 * frames)
    low_pole, high_pole, shortest = f64(0.0), f64(0.0), s.mask
    way, slow, fast = s.state[_LAG], s.state[_SLOW], s.state[_FAST]
    rests = 0
    for n in range(frames):
        wanted = f64(p.beats[n]) * per_beat if p.beats[n] > 0.0 else f64(p.time[n]) * s.rate
        wanted = min(max(wanted, 8.0), MAX_SECONDS * s.rate)
        rests = rests + (1 if wanted == way else 0)
        s.scratch[n] = wanted
    if rests < frames:
        for n in range(frames):
            wanted = s.scratch[n]
            way = wanted if way == 0.0 else way
            by = max(-FASTEST, min(FASTEST, (wanted - way) * s.glide))
            way = wanted if abs(wanted - way) < 1e-3 else way + by
            s.scratch[n] = way
    for n in range(frames):
        slow, fast = slow + RATE_0 / s.rate, fast + RATE_1 / s.rate
        slow, fast = slow - math.floor(slow), fast - math.floor(fast)
        swing = effects_parabolic_lfo(slow) + 0.25 * effects_parabolic_lfo(fast)
        lag = max(8.0, s.scratch[n] + f64(p.flutter[n]) * FLUTTER * s.rate * swing)
        if effects_is_changed(p.lowcut, n) == 1:
            low_pole = effects_decay_factor(1.0 / (TAU * f64(p.lowcut[n])), s.rate)
        if effects_is_changed(p.highcut, n) == 1:
            high_pole = effects_decay_factor(1.0 / (TAU * f64(p.highcut[n])), s.rate)
        s.scratch[n], lows[n], highs[n] = lag, low_pole, high_pole
        shortest = min(shortest, i64(lag))
    s.state[_LAG], s.state[_SLOW], s.state[_FAST] = way, slow, fast
    return shortest


@kernel
def effects_pingpong_feedback(
    y: Audio, c: i64, other: i64, first: i64, count: i64, p: PingpongCurves, s: PingpongState
) -> None:
    """scratch, last part ← the batch's filtered feedback to the lines of channels c and other.

    Both run in one loop, because each filter depends on its last frame. other: equal to c for a single channel.
    """
    lows, highs, backs = offset(s.scratch, y.frames), offset(s.scratch, 2 * y.frames), offset(s.scratch, 4 * y.frames)
    others, mine, theirs = (
        offset(backs, READ_BATCH),
        offset(s.state, _FILTERS + 2 * c),
        offset(s.state, _FILTERS + 2 * other),
    )
    one, two, three, four = mine[0], mine[1], theirs[0], theirs[1]
    for n in range(first, first + count):
        left, right, cross = f64(y[c, n]), f64(y[other, n]), f64(p.cross[n])
        back, forth = left + (right - left) * cross, right + (left - right) * cross
        at, to = back + (one - back) * highs[n], forth + (three - forth) * highs[n]
        low, deep = at + (two - at) * lows[n], to + (four - to) * lows[n]
        one, two, three, four = (
            effects_flush_denormal(at),
            effects_flush_denormal(low),
            effects_flush_denormal(to),
            effects_flush_denormal(deep),
        )
        backs[n - first], others[n - first] = at - low, to - deep
    mine[0], mine[1], theirs[0], theirs[1] = one, two, three, four


@kernel
def effects_pingpong(x: Audio, y: Audio, p: PingpongCurves, s: PingpongState, per_beat: f64) -> None:
    """y ← the echoes of x. `per_beat`: frames of a beat. ring: `mask` + 1 frames a channel.

    Batches end before the frames they write are read, so that each step is a separate, vectorised loop.
    """
    age, frames, span = s.ages[0], y.frames, s.mask + 1
    most = max(1, min(READ_BATCH, effects_pingpong_delays(p, s, per_beat, frames) - 1))
    middles, backs = offset(s.scratch, 3 * frames), offset(s.scratch, 4 * frames)
    for n in range(frames):
        middles[n] = 0.0
    for c in range(y.channels):
        for n in range(frames):
            middles[n] = middles[n] + effects_finite(x[c, n])
    first = 0
    while first < frames:
        count = min(most, frames - first)
        for c in range(y.channels):
            for n in range(count):
                backs[n] = 0.0
            ring = offset(s.ring, c * span)
            effects_add_read(ring, s.mask, age + first, offset(s.scratch, first), count, backs)
            for n in range(count):
                y[c, first + n] = backs[n]
        for c in range(y.channels):
            other = c + 1 - 2 * (c % 2)
            other = c if other >= y.channels else other
            if c % 2 == 0:
                effects_pingpong_feedback(y, c, other, first, count, p, s)
            backs = offset(s.scratch, 4 * frames + (c % 2) * READ_BATCH)
            share = 1.0 / f64(y.channels) if c % 2 == 0 else 0.0
            for n in range(count):
                at = first + n
                v = effects_finite(x[c, at])
                v = v + (middles[at] * share - v) * (f64(p.cross[at]) if other != c else 0.0)
                v = v + f64(p.feedback[at]) * backs[n]
                # the tape: straight when soft, at most 2
                v = v / math.sqrt(1.0 + 0.25 * v * v)
                backs[n] = 0.0 if abs(v) < FAINT else v
            effects_write_ring(offset(s.ring, c * span), s.mask, (age + first) & s.mask, backs, count)
        first = first + count
    s.ages[0] = age + frames


class Pingpong(Processor):
    """Outputs the echoes alone, as `delay` does: the node's `wet` adds the dry sound."""

    on_files = FileUse(tail=True, changes=("time", "level", "channels"))
    params = (
        Param("beats", default=0.75, low=0.0, high=16.0, unit="beats", doc="Delay time in beats; 0 uses `time`."),
        Param("time", default=0.4, low=0.005, high=MAX_SECONDS, unit="s", warp="log", doc="Delay time, at `beats` 0."),
        smooth_param("feedback", 0.5, 0.0, 1.1, "Feedback; above 1 the echoes grow to the tape's saturation."),
        Param("cross", default=1.0, smooth=0.05, doc="Cross feedback: 1 is ping-pong, 0 keeps the sides apart."),
        hertz("lowcut", 120.0, 10.0, 2000.0, "High-pass of each echo."),
        hertz("highcut", 6000.0, 200.0, 2e4, "Low-pass of each echo."),
        Param("flutter", default=0.2, low=0.0, high=1.0, smooth=0.05, doc="Tape wow and flutter."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._mask = (1 << math.ceil(math.log2(MAX_SECONDS * spec.rate + FLUTTER * 2 * spec.rate + 8))) - 1
        self._ring = np.zeros((spec.channels, self._mask + 1), np.float32)
        self._state = np.zeros(_FILTERS + 2 * spec.channels, np.float64)
        self.parts = (TurnsLog(self._state, _SLOW, _FAST),)
        self._scratch = np.zeros(4 * spec.block + 2 * READ_BATCH, np.float64)
        self._glide = 1.0 - math.exp(-1.0 / (GLIDE * spec.rate))
        self._age = np.zeros(1, np.int64)

    def reset(self) -> None:
        for state in (self._ring, self._state, self._age):
            state.fill(0)

    def step(self, io: IO) -> Step:
        curves = PingpongCurves._make(map(io.curve, PingpongCurves._fields))
        kept = self._ring, self._mask, self._state, self._scratch, self._glide, self._age, self._rate
        frames = io.time.frames_per_beat(self._rate)
        return effects_pingpong.step(io.audio_in[0], io.audio_out[0], curves, PingpongState(*kept), frames)
