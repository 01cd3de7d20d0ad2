"""A parametric equaliser of eight bands.

Each band is the filter of Bristow-Johnson's "Cookbook formulae for audio equalizer biquad filter coefficients" in the
state-variable form of Simper ("Linear trapezoidal integrated SVF", 2011): the same transfer function, and stable and
free of noise while its frequency changes. Coefficients follow the parameters on every 16th frame and are interpolated
linearly in between.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, address, address_f32, f32, f32p, f64, f64p, i64, i64p, kernel, offset
from antiphon_effects.shared import GRID, REST, effects_finite, effects_flush_denormal, effects_tan

KINDS = ("off", "peak", "lowshelf", "highshelf", "lowcut", "highcut", "notch")
_OFF, _PEAK, _LOWSHELF, _HIGHSHELF, _LOWCUT, _HIGHCUT, _NOTCH = 0, 1, 2, 3, 4, 5, 6
FADE = 0.005
"""Fade time in seconds of a band whose kind changes."""
RATIO, DECIBELS = 1.07, 0.5
"""Maximum change per 16 frames of a frequency or Q (ratio), and of a gain in dB, because the host's linear ramp would
pass the low end of a logarithmic range in a millisecond."""
BANDS = (
    ("off", 30.0),
    ("lowshelf", 100.0),
    ("peak", 250.0),
    ("peak", 800.0),
    ("peak", 2500.0),
    ("peak", 6000.0),
    ("highshelf", 10000.0),
    ("off", 18000.0),
)
"""Initial kind and frequency in Hz of each band; with gains of 0 dB, the response is flat."""
BANDS_IN_ALL = len(BANDS)
# places in `k`: six coefficients, their steps a frame, their ends; the kind in use, its weight, what the ends are for
_STEP, _END, _KIND, _WEIGHT, _HERTZ, _GAIN, _Q, _SIZE = 6, 12, 18, 19, 20, 21, 22, 23
# places in the table of bands at rest, eight numbers each: input, output, two states, six coefficients
_IN, _OUT, _ONE, _TWO, _A1, _A2, _A3, _M0, _M1, _M2, _TABLE = 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80


@kernel
def effects_eq_ends(kind: i64, hertz: f64, gain: f64, q: f64, rate: f64, k: f64p) -> None:
    """Computes a band's coefficients into the six places from `_END` on: a1, a2, a3 and the mix of input, band, low."""
    a = math.exp(gain * math.log(10.0) / 40.0)
    g = effects_tan(hertz, rate)
    damp = 1.0 / q
    if kind == _PEAK:
        damp = damp / a
    elif kind == _LOWSHELF:
        g = g / math.sqrt(a)
    elif kind == _HIGHSHELF:
        g = g * math.sqrt(a)
    m0 = f64(1.0)
    m1 = f64(0.0)
    m2 = f64(0.0)
    if kind == _PEAK:
        m1 = damp * (a * a - 1.0)
    elif kind == _LOWSHELF:
        m1 = damp * (a - 1.0)
        m2 = a * a - 1.0
    elif kind == _HIGHSHELF:
        m0 = a * a
        m1 = damp * (1.0 - a) * a
        m2 = 1.0 - a * a
    elif kind == _LOWCUT:
        m1 = -damp
        m2 = -1.0
    elif kind == _HIGHCUT:
        m0 = 0.0
        m2 = 1.0
    elif kind == _NOTCH:
        m1 = -damp
    a1 = 1.0 / (1.0 + g * (g + damp))
    k[_END] = a1
    k[_END + 1] = g * a1
    k[_END + 2] = g * g * a1
    k[_END + 3] = m0
    k[_END + 4] = m1
    k[_END + 5] = m2


@kernel
def effects_eq_band(y: Audio, curves: i64p, state: f64p, k: f64p, age: i64, fade: f64, rate: f64) -> None:
    """Filters y through one band; `age` frames have passed since the reset. `state`: two numbers a channel."""
    kind = address_f32(curves[0])
    hertz = address_f32(curves[1])
    gain = address_f32(curves[2])
    q = address_f32(curves[3])
    for n in range(y.frames):
        asked = i64(kind[n])
        jump = age + n == 0
        if jump:
            k[_KIND] = f64(asked)
            k[_WEIGHT] = 0.0 if asked == _OFF else 1.0
        if k[_KIND] != f64(asked) and k[_WEIGHT] <= 0.0:
            k[_KIND] = f64(asked)
            jump = True
            for c in range(2 * y.channels):
                state[c] = 0.0
        now = i64(k[_KIND])
        if now == asked and now != _OFF:
            k[_WEIGHT] = min(1.0, k[_WEIGHT] + fade)
        else:
            k[_WEIGHT] = max(0.0, k[_WEIGHT] - fade)
        if (age + n) % GRID == 0 or jump:
            for c in range(2 * y.channels):
                state[c] = effects_flush_denormal(state[c])
            moved = f64(hertz[n]) != k[_HERTZ] or f64(gain[n]) != k[_GAIN] or f64(q[n]) != k[_Q]
            if jump:
                k[_HERTZ] = f64(hertz[n])
                k[_GAIN] = f64(gain[n])
                k[_Q] = f64(q[n])
            for i in range(6):
                k[i] = k[_END + i]
                k[_STEP + i] = 0.0
            if moved or jump:
                k[_HERTZ] = min(max(f64(hertz[n]), k[_HERTZ] / RATIO), k[_HERTZ] * RATIO)
                k[_GAIN] = min(max(f64(gain[n]), k[_GAIN] - DECIBELS), k[_GAIN] + DECIBELS)
                k[_Q] = min(max(f64(q[n]), k[_Q] / RATIO), k[_Q] * RATIO)
                effects_eq_ends(now, k[_HERTZ], k[_GAIN], k[_Q], rate, k)
                for i in range(6):
                    if jump:
                        k[i] = k[_END + i]
                    k[_STEP + i] = (k[_END + i] - k[i]) / f64(GRID)
        w = k[_WEIGHT]
        if w == 0.0:
            for c in range(y.channels):
                y[c, n] = effects_finite(y[c, n])
        else:
            for i in range(6):
                k[i] = k[i] + k[_STEP + i]
            for c in range(y.channels):
                v0 = effects_finite(y[c, n])
                one = state[2 * c]
                two = state[2 * c + 1]
                v3 = v0 - two
                v1 = k[0] * one + k[1] * v3
                v2 = two + k[1] * one + k[2] * v3
                state[2 * c] = 2.0 * v1 - one
                state[2 * c + 1] = 2.0 * v2 - two
                v = k[3] * v0 + k[4] * v1 + k[5] * v2
                y[c, n] = v0 + (v - v0) * w if w < 1.0 else v


@kernel
def effects_eq_steady(kind: f32p, hertz: f32p, gain: f32p, q: f32p, k: f64p, age: i64, frames: i64) -> i64:
    """1 if the band is steady for all these frames: off, or faded in with its target coefficients."""
    if age == 0 or k[_KIND] != f64(kind[0]):
        return 0
    if k[_WEIGHT] != (0.0 if i64(kind[0]) == _OFF else 1.0):
        return 0
    for i in range(6):
        if k[i] != k[_END + i] or k[_STEP + i] != 0.0:
            return 0
    other = 0
    for n in range(frames):
        if kind[n] != kind[0] or f64(hertz[n]) != k[_HERTZ] or f64(gain[n]) != k[_GAIN] or f64(q[n]) != k[_Q]:
            other = other + 1
    return 1 if other == 0 else 0


@kernel
def effects_eq_step(t: f64p, frame: i64, first: i64, last: i64) -> None:
    """Runs one step of bands `first` to `last`; band b is at frame `frame` - b. `t`: a channel's `_TABLE` numbers."""
    for b in range(first, last):
        v0 = t[_IN + b]
        one = t[_ONE + b]
        two = t[_TWO + b]
        rests = (frame - b) & (GRID - 1) == 0
        one = 0.0 if rests and abs(one) < REST else one
        two = 0.0 if rests and abs(two) < REST else two
        v3 = v0 - two
        v1 = t[_A1 + b] * one + t[_A2 + b] * v3
        v2 = two + t[_A2 + b] * one + t[_A3 + b] * v3
        t[_ONE + b] = 2.0 * v1 - one
        t[_TWO + b] = 2.0 * v2 - two
        # rounded as the sample passed from band to band
        t[_OUT + b] = f64(f32(t[_M0 + b] * v0 + t[_M1 + b] * v1 + t[_M2 + b] * v2))


@kernel
def effects_eq_all(x: Audio, y: Audio, states: f64p, width: i64, ks: f64p, table: f64p, age: i64) -> None:
    """y ← x through all bands, all steady; `states`: `width` numbers a band, two a channel; `table`: scratch.

    Each band runs one frame behind the previous one, so that bands are independent, and all step at once.
    """
    frames = y.frames
    for c in range(y.channels):
        t = table
        for b in range(BANDS_IN_ALL):
            on = ks[b * _SIZE + _WEIGHT] != 0.0
            for i in range(6):
                t[_A1 + i * BANDS_IN_ALL + b] = ks[b * _SIZE + i] if on else (1.0 if i == 3 else 0.0)
            t[_ONE + b] = states[b * width + 2 * c]
            t[_TWO + b] = states[b * width + 2 * c + 1]
        for n in range(frames + BANDS_IN_ALL - 1):
            if n < frames:
                t[_IN] = effects_finite(x[c, n])
            if n >= BANDS_IN_ALL - 1 and n < frames:
                effects_eq_step(t, age + n, 0, BANDS_IN_ALL)
            else:
                effects_eq_step(t, age + n, max(0, n - frames + 1), min(BANDS_IN_ALL, n + 1))
            for b in range(BANDS_IN_ALL - 1):
                t[_IN + b + 1] = t[_OUT + b]
            if n >= BANDS_IN_ALL - 1:
                y[c, n - BANDS_IN_ALL + 1] = t[_OUT + BANDS_IN_ALL - 1]
        for b in range(BANDS_IN_ALL):
            states[b * width + 2 * c] = t[_ONE + b]
            states[b * width + 2 * c + 1] = t[_TWO + b]


class EqState(NamedTuple):
    """Band states kept between blocks."""

    states: f64p
    width: i64
    ks: f64p
    table: f64p
    ages: i64p
    fade: f64
    rate: f64


@kernel
def effects_eq(x: Audio, y: Audio, curves: i64p, s: EqState) -> None:
    """y ← x through all bands. `curves`: addresses of kind, frequency, gain and q of each; states, ks: a row a band."""
    age = s.ages[0]
    steady = 1
    for b in range(BANDS_IN_ALL):
        at = 4 * b
        rest = effects_eq_steady(
            address_f32(curves[at]),
            address_f32(curves[at + 1]),
            address_f32(curves[at + 2]),
            address_f32(curves[at + 3]),
            offset(s.ks, b * _SIZE),
            age,
            y.frames,
        )
        steady = steady * rest
    if steady == 1:
        effects_eq_all(x, y, s.states, s.width, s.ks, s.table, age)
    else:
        for c in range(y.channels):
            for n in range(y.frames):
                y[c, n] = x[c, n]
        for b in range(BANDS_IN_ALL):
            state = offset(s.states, b * s.width)
            effects_eq_band(y, offset(curves, 4 * b), state, offset(s.ks, b * _SIZE), age, s.fade, s.rate)
    s.ages[0] = age + y.frames


def _params() -> tuple[Param, ...]:
    made: list[Param] = []
    for n, (kind, hertz) in enumerate(BANDS, 1):
        made += [
            Param(f"kind{n}", "choice", kind, choices=KINDS, doc=f"What band {n} does; cuts have 12 dB an octave."),
            Param(
                f"freq{n}", default=hertz, low=20.0, high=20000.0, unit="Hz", warp="log", smooth=0.03,
                doc=f"Centre or corner of band {n}.",
            ),
            Param(f"gain{n}", low=-24.0, high=24.0, unit="dB", smooth=0.03, doc=f"Of band {n}, a peak or a shelf."),
            Param(
                f"q{n}", default=0.7071, low=0.1, high=20.0, warp="log", smooth=0.03,
                doc=f"Sharpness of band {n}; 0.707 is flat, 20 rings.",
            ),
        ]  # fmt: skip
    return tuple(made)


class Eq(Processor):
    """Eight bands in series: peaks, shelves, cuts or notches. A peak or shelf of 0 dB changes nothing."""

    params = _params()

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._fade = 1.0 / (FADE * spec.rate)
        self._width = 2 * max(1, spec.channels)
        self._states = np.zeros((len(BANDS), self._width), np.float64)
        self._ks = np.zeros((len(BANDS), _SIZE), np.float64)
        self._table = np.zeros(_TABLE, np.float64)
        self._curves = np.zeros(4 * len(BANDS), np.int64)
        self._age = np.zeros(1, np.int64)

    def reset(self) -> None:
        self._states.fill(0.0)
        self._ks.fill(0.0)
        self._age.fill(0)

    def step(self, io: IO) -> Step:
        for place, param in enumerate(self.params):
            self._curves[place] = address(io.curve(param.name))
        state = EqState(self._states, self._width, self._ks, self._table, self._age, self._fade, self._rate)
        return effects_eq.step(io.audio_in[0], io.audio_out[0], self._curves, state)
