"""A two-pole filter that may be swept while it sounds.

A state-variable filter in its trapezoidal form: it stays stable however its cutoff moves. Its
coefficients follow the parameters on every 16th frame since it was reset, wherever blocks end.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, i64p, kernel

MODES = ("lowpass", "highpass", "bandpass", "notch")
GRID = 16
PI = math.pi
# places in `coefficients`: what the loop needs, then the mix of low, band and high and where it is going
_G, _A1, _A2, _A3, _M0, _M1, _M2, _SLIDE, _SIZE = 0, 1, 2, 3, 4, 5, 6, 7, 8


@kernel
def utilities_filter(
    x: Audio, y: Audio, cutoff: f32p, q: f32p, mode: f32p,
    state: f64p, k: f64p, ages: i64p, rate: f64,
) -> None:  # fmt: skip
    """y ← x filtered; `age` frames have gone since the reset. state: two numbers a channel."""
    age = ages[0]
    for n in range(y.frames):
        damp = 1.0 / f64(q[n])
        # what the chosen mode is of input, band and low
        kind = mode[n]
        m0 = 0.0 if kind == 0.0 or kind == 2.0 else 1.0
        m1 = 0.0
        m1 = damp if kind == 2.0 else m1
        m1 = -damp if kind == 1.0 or kind == 3.0 else m1
        m2 = 0.0
        m2 = 1.0 if kind == 0.0 else m2
        m2 = -1.0 if kind == 1.0 else m2
        if (age + n) % GRID == 0:
            top = 0.49 * rate
            hertz = f64(cutoff[n])
            hertz = top if hertz > top else hertz
            w = PI * hertz / rate
            g = math.sin(w) / math.cos(w)
            k[_G] = g
            k[_A1] = 1.0 / (1.0 + g * (g + damp))
            k[_A2] = g * k[_A1]
            k[_A3] = g * k[_A2]
            for c in range(2 * y.channels):
                v = state[c]
                state[c] = 0.0 if abs(v) < 1e-25 else v
        if age + n == 0:
            k[_M0] = m0
            k[_M1] = m1
            k[_M2] = m2
        # a change of mode slides over, as a step would click
        k[_M0] = k[_M0] + (m0 - k[_M0]) * k[_SLIDE]
        k[_M1] = k[_M1] + (m1 - k[_M1]) * k[_SLIDE]
        k[_M2] = k[_M2] + (m2 - k[_M2]) * k[_SLIDE]
        for c in range(y.channels):
            v0 = f64(x[c, n])
            one = state[2 * c]
            two = state[2 * c + 1]
            v3 = v0 - two
            v1 = k[_A1] * one + k[_A2] * v3
            v2 = two + k[_A2] * one + k[_A3] * v3
            state[2 * c] = 2.0 * v1 - one
            state[2 * c + 1] = 2.0 * v2 - two
            y[c, n] = k[_M0] * v0 + k[_M1] * v1 + k[_M2] * v2
    ages[0] = age + y.frames


class Filter(Processor):
    """Lowpass, highpass, bandpass (0 dB at its peak) or notch, 12 dB an octave."""

    params = (
        Param("mode", "choice", "lowpass", choices=MODES, doc="What is kept."),
        Param(
            "cutoff", default=1000.0, low=20.0, high=20000.0, unit="Hz", warp="log", smooth=0.02, doc="Where it turns."
        ),
        Param(
            "q", default=0.7071, low=0.3, high=20.0, warp="log", smooth=0.02, doc="How sharp: 0.707 is flat, 20 rings."
        ),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(2 * max(spec.channels, 1), np.float64)
        self._k = np.zeros(_SIZE, np.float64)
        self._k[_SLIDE] = 1.0 - math.exp(-1.0 / (0.005 * spec.rate))
        self._age = np.zeros(1, np.int64)

    def reset(self) -> None:
        self._state.fill(0.0)
        self._age.fill(0)

    def step(self, io: IO) -> Step:
        x, y = io.audio_in[0], io.audio_out[0]
        return utilities_filter.step(
            x, y, io.curve("cutoff"), io.curve("q"), io.curve("mode"),
            self._state, self._k, self._age, self._rate,
        )  # fmt: skip
