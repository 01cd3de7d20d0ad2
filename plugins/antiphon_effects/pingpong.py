"""Tempo-synced tape echo, alternating between the sides.

The delay is a line with a moving read position, like the head of a tape machine: a new time bends the pitch. The loop
has a lowpass, a highpass and a tape saturation curve, so that full feedback stays bounded; Zölzer (ed.), DAFX (2nd ed.,
2011), sections 2.6 and 4.3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel, offset
from antiphon_effects.shared import effects_fall, effects_finite, effects_moved, effects_rest, hertz, smooth_param
from antiphon_effects.swept import FAINT, effects_read, effects_swing

MAX_SECONDS = 8.0
GLIDE = 0.12
"""Time constant in seconds of the read position's glide."""
FASTEST = 0.5
"""Maximum speed of the read position, frames per frame."""
FLUTTER = 0.0006
"""Amplitude in seconds of the read position's modulation at full flutter."""
RATES = (0.7, 5.3)
"""Rates in Hz of the two flutter LFOs, the second a quarter as wide."""
RATE_0, RATE_1 = RATES
TAU = 2.0 * math.pi
# places in `state`: the head's distance, the turns of its two swings; then two filters a channel
_LAG, _SLOW, _FAST, _FILTERS = 0, 1, 2, 3


class PingpongCurves(NamedTuple):
    """The parameters, a place a frame."""

    time: f32p
    beats: f32p
    feedback: f32p
    cross: f32p
    lowcut: f32p
    highcut: f32p
    flutter: f32p


class PingpongState(NamedTuple):
    """The delay line with its state."""

    ring: f32p
    mask: i64
    state: f64p
    glide: f64
    ages: i64p
    rate: f64


@kernel
def effects_pingpong(x: Audio, y: Audio, p: PingpongCurves, line: PingpongState, per_beat: f64) -> None:
    """y ← the echoes of x. `per_beat`: frames of a beat. ring: `mask` + 1 frames a channel."""
    age = line.ages[0]
    span = line.mask + 1
    low_pole = f64(0.0)
    high_pole = f64(0.0)
    for n in range(y.frames):
        wanted = f64(p.beats[n]) * per_beat if p.beats[n] > 0.0 else f64(p.time[n]) * line.rate
        wanted = min(max(wanted, 8.0), MAX_SECONDS * line.rate)
        lag = line.state[_LAG]
        if lag == 0.0:
            lag = wanted
        by = (wanted - lag) * line.glide
        by = max(-FASTEST, min(FASTEST, by))
        lag = wanted if abs(wanted - lag) < 1e-3 else lag + by
        line.state[_LAG] = lag
        slow = line.state[_SLOW] + RATE_0 / line.rate
        fast = line.state[_FAST] + RATE_1 / line.rate
        line.state[_SLOW] = slow - math.floor(slow)
        line.state[_FAST] = fast - math.floor(fast)
        if p.flutter[n] > 0.0:
            swing = effects_swing(line.state[_SLOW]) + 0.25 * effects_swing(line.state[_FAST])
            lag = max(8.0, lag + f64(p.flutter[n]) * FLUTTER * line.rate * swing)
        if effects_moved(p.lowcut, n) == 1:
            low_pole = effects_fall(1.0 / (TAU * f64(p.lowcut[n])), line.rate)
        if effects_moved(p.highcut, n) == 1:
            high_pole = effects_fall(1.0 / (TAU * f64(p.highcut[n])), line.rate)
        s = f64(p.cross[n])
        middle = f64(0.0)
        for c in range(y.channels):
            out = effects_read(offset(line.ring, c * span), line.mask, age + n, lag)
            y[c, n] = out
            middle = middle + effects_finite(x[c, n])
        middle = middle / f64(y.channels)
        for c in range(y.channels):
            other = c + 1 - 2 * (c % 2)
            other = c if other >= y.channels else other
            v = effects_finite(x[c, n])
            if other != c:
                v = v + ((middle if c % 2 == 0 else 0.0) - v) * s
            back = f64(y[c, n]) + (f64(y[other, n]) - f64(y[c, n])) * s
            place = _FILTERS + 2 * c
            one = back + (line.state[place] - back) * high_pole
            two = one + (line.state[place + 1] - one) * low_pole
            line.state[place] = effects_rest(one)
            line.state[place + 1] = effects_rest(two)
            v = v + f64(p.feedback[n]) * (one - two)
            # the tape: straight when soft, at most 2
            v = v / math.sqrt(1.0 + 0.25 * v * v)
            line.ring[c * span + ((age + n) & line.mask)] = f32(0.0) if abs(v) < FAINT else f32(v)
    line.ages[0] = age + y.frames


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
        self._glide = 1.0 - math.exp(-1.0 / (GLIDE * spec.rate))
        self._age = np.zeros(1, np.int64)

    def reset(self) -> None:
        self._ring.fill(0.0)
        self._state.fill(0.0)
        self._age.fill(0)

    def step(self, io: IO) -> Step:
        return effects_pingpong.step(
            io.audio_in[0],
            io.audio_out[0],
            PingpongCurves._make(map(io.curve, PingpongCurves._fields)),
            PingpongState(self._ring, self._mask, self._state, self._glide, self._age, self._rate),
            io.time.frames_per_beat(self._rate),
        )
