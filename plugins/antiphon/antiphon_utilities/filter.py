"""Two-pole state-variable filter, stable under modulation.

Trapezoidal state-variable filter: it stays stable under any modulation of the cutoff. Its coefficients follow the
parameters on every 16th frame since the reset, independent of block boundaries.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, i64, i64p, kernel, offset

MODES = ("lowpass", "highpass", "bandpass", "notch")
GRID = 16
PI = math.pi
FAINT = 1e-25
"""Magnitude below which a state is set to 0, since denormal numbers are slow."""
# places in `k`: coefficients, the parts of input, band and low in the output, where these are going and how fast, and
# what the coefficients were computed for; then what input and states add to the output and to the next states
_A1, _A2, _A3, _M0, _M1, _M2, _T0, _T1, _T2, _SLIDE, _HERTZ, _Q, _MATRIX, _SIZE = *range(13), 21


@kernel
def utilities_coefficients(hertz: f64, q: f64, k: f64p, rate: f64) -> None:
    """Updates the coefficients if the parameters have changed."""
    if hertz != k[_HERTZ] or q != k[_Q]:
        k[_HERTZ] = hertz
        k[_Q] = q
        w = PI * min(hertz, 0.49 * rate) / rate
        g = math.sin(w) / math.cos(w)
        k[_A1] = 1.0 / (1.0 + g * (g + 1.0 / q))
        k[_A2] = g * k[_A1]
        k[_A3] = g * k[_A2]


@kernel
def utilities_mix(kind: f64, q: f64, k: f64p, at_once: i64) -> None:
    """Computes a mode's mix of input, band and low output."""
    damp = 1.0 / q
    k[_T0] = 0.0 if kind == 0.0 or kind == 2.0 else 1.0
    band = 0.0
    band = damp if kind == 2.0 else band
    k[_T1] = -damp if kind == 1.0 or kind == 3.0 else band
    low = 0.0
    low = 1.0 if kind == 0.0 else low
    k[_T2] = -1.0 if kind == 1.0 else low
    if at_once > 0:
        k[_M0] = k[_T0]
        k[_M1] = k[_T1]
        k[_M2] = k[_T2]


@kernel
def utilities_matrix(k: f64p, m: f64p) -> None:
    """m ← weights of input, band state and low state in the output, the next band state and the next low state."""
    m[0] = k[_M0] + k[_M1] * k[_A2] + k[_M2] * k[_A3]
    m[1] = k[_M1] * k[_A1] + k[_M2] * k[_A2]
    m[2] = k[_M2] - k[_M2] * k[_A3] - k[_M1] * k[_A2]
    m[3], m[4], m[5] = 2.0 * k[_A2], 2.0 * k[_A1] - 1.0, -2.0 * k[_A2]
    m[6], m[7], m[8] = 2.0 * k[_A3], 2.0 * k[_A2], 1.0 - 2.0 * k[_A3]


@kernel
def utilities_filter_pair(x: Audio, y: Audio, first: i64, last: i64, state: f64p, m: f64p) -> None:
    """y[:, first:last] ← x filtered, two channels, constant parameters: all state is in registers."""
    one0, two0, one1, two1 = state[0], state[1], state[2], state[3]
    m0, m1, m2, m3, m4, m5, m6, m7, m8 = m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8]
    for n in range(first, last):
        v, w = f64(x[0, n]), f64(x[1, n])
        y[0, n] = m0 * v + (m1 * one0 + m2 * two0)
        y[1, n] = m0 * w + (m1 * one1 + m2 * two1)
        one0, two0 = m3 * v + (m4 * one0 + m5 * two0), m6 * v + (m7 * one0 + m8 * two0)
        one1, two1 = m3 * w + (m4 * one1 + m5 * two1), m6 * w + (m7 * one1 + m8 * two1)
    state[0], state[1], state[2], state[3] = one0, two0, one1, two1


class FilterCurves(NamedTuple):
    """The parameters, one value per frame."""

    cutoff: f32p
    q: f32p
    mode: f32p


@kernel
def utilities_filter(x: Audio, y: Audio, p: FilterCurves, state: f64p, k: f64p, ages: i64p, rate: f64) -> None:
    """y ← x filtered; `ages[0]` frames have passed since the reset. `state`: two numbers per channel."""
    age = ages[0]
    lead = age % GRID
    m = offset(k, _MATRIX)
    moved = 0 if y.channels == 2 and age > 0 else 1
    for n in range(y.frames):
        moved = moved + (1 if p.mode[n] != p.mode[0] or p.q[n] != p.q[0] else 0)
    if moved == 0:
        utilities_mix(p.mode[0], f64(p.q[0]), k, 0)
    still = moved == 0 and k[_M0] == k[_T0] and k[_M1] == k[_T1] and k[_M2] == k[_T2]
    for piece in range((lead + y.frames + GRID - 1) // GRID):
        first = max(0, piece * GRID - lead)
        last = min(y.frames, (piece + 1) * GRID - lead)
        if (age + first) % GRID == 0:
            utilities_coefficients(f64(p.cutoff[first]), f64(p.q[first]), k, rate)
            for c in range(2 * y.channels):
                v = state[c]
                state[c] = 0.0 if abs(v) < FAINT else v
        if still:
            utilities_matrix(k, m)
            utilities_filter_pair(x, y, first, last, state, m)
        else:
            for n in range(first, last):
                utilities_mix(p.mode[n], f64(p.q[n]), k, 1 if age + n == 0 else 0)
                # a change of mode slides over, as a step would click
                k[_M0] = k[_M0] + (k[_T0] - k[_M0]) * k[_SLIDE]
                k[_M1] = k[_M1] + (k[_T1] - k[_M1]) * k[_SLIDE]
                k[_M2] = k[_M2] + (k[_T2] - k[_M2]) * k[_SLIDE]
                utilities_matrix(k, m)
                for c in range(y.channels):
                    v0 = f64(x[c, n])
                    one = state[2 * c]
                    two = state[2 * c + 1]
                    y[c, n] = m[0] * v0 + (m[1] * one + m[2] * two)
                    state[2 * c] = m[3] * v0 + (m[4] * one + m[5] * two)
                    state[2 * c + 1] = m[6] * v0 + (m[7] * one + m[8] * two)
    ages[0] = age + y.frames


class Filter(Processor):
    """Lowpass, highpass, bandpass (0 dB at its peak) or notch, 12 dB an octave."""

    params = (
        Param("mode", "choice", "lowpass", choices=MODES, doc="Type of the filter."),
        Param(
            "cutoff",
            default=1000.0,
            low=20.0,
            high=20000.0,
            unit="Hz",
            warp="log",
            smooth=0.02,
            doc="Cutoff (corner or centre) frequency.",
        ),
        Param("q", "float", 0.7071, 0.3, 20.0, warp="log", smooth=0.02, doc="Resonance: 0.707 is flat, 20 rings."),
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
            x, y, FilterCurves._make(map(io.curve, FilterCurves._fields)), self._state, self._k, self._age, self._rate
        )
