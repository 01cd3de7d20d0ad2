"""Shared kernels of the effects: finite samples, decibels, and denormal-free states."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Param, ProcessorPart
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, kernel
from antiphon.native.intrinsics import bits_f64, f64_bits

GRID = 16
"""Interval in frames of filter coefficient updates, counted from the reset."""
LOUDEST = 1e6
"""Magnitude to which samples are clipped, 120 dB above full scale, so that their squares fit a 32-bit float."""
REST = 1e-15
"""Magnitude below which a state is 0: 300 dB below full scale, and far above the slow denormal numbers."""
_BITS = 1 << 53
"""Scale of the two integers by which a phase is stored exactly."""
_BELOW_1 = 1.0 - 2.0**-53
SHORTEST_BEATS = 0.001
"""Minimum beats of an LFO cycle."""
PI = math.pi
NEPER = math.log(10.0) / 20.0
"""Nepers per decibel."""
_LN2, _ROOT2 = math.log(2.0), math.sqrt(2.0)
_MANTISSA, _ONE, _BIAS = (1 << 52) - 1, 1023 << 52, 1023
_WHOLE = 1.5 * 2.0**52
"""Rounding constant: adding it to a number below 2 ** 51 leaves the nearest integer in the low bits."""


@kernel
def effects_finite(v: f32) -> f64:
    """Sample, or 0 for NaN and infinity, which would stay in a recursive state for ever."""
    v = f32(0.0) if v - v != 0.0 else v
    v = f32(LOUDEST) if v > f32(LOUDEST) else v
    v = f32(-LOUDEST) if v < f32(-LOUDEST) else v
    return f64(v)


@kernel
def effects_peak(x: Audio, n: i64) -> f64:
    """Magnitude of the loudest channel at frame n."""
    top = f64(0.0)
    for c in range(x.channels):
        a = abs(effects_finite(x[c, n]))
        top = a if a > top else top
    return top


@kernel
def effects_flush_denormal(v: f64) -> f64:
    """State, or 0 once it has decayed."""
    return 0.0 if abs(v) < REST else v


@kernel
def effects_peak_frames(x: Audio, side: Audio, source: f32p, tops: f64p) -> None:
    """tops ← magnitude of the loudest channel at each frame; of `side` if `source` is not 0."""
    for n in range(x.frames):
        tops[n] = 0.0
    for c in range(x.channels):
        for n in range(x.frames):
            tops[n] = max(tops[n], abs(effects_finite(x[c, n] if source[n] == 0.0 else side[c, n])))


@kernel
def effects_exp(x: f64) -> f64:
    """exp(x), within 1e-15, for x of -700 to 700; arithmetic only, so that the loop vectorises."""
    whole = x * (1.0 / _LN2) + _WHOLE
    r = x - (whole - _WHOLE) * _LN2
    p = 1.0 / 6227020800.0 * r + 1.0 / 479001600.0
    p = (p * r + 1.0 / 39916800.0) * r + 1.0 / 3628800.0
    p = (p * r + 1.0 / 362880.0) * r + 1.0 / 40320.0
    p = (p * r + 1.0 / 5040.0) * r + 1.0 / 720.0
    p = (p * r + 1.0 / 120.0) * r + 1.0 / 24.0
    p = (p * r + 1.0 / 6.0) * r + 0.5
    return ((p * r + 1.0) * r + 1.0) * f64_bits((bits_f64(whole) + _BIAS) << 52)


@kernel
def effects_sine(turns: f64) -> f64:
    """Sine of a phase in turns, within 1e-15; arithmetic only."""
    t = turns - math.floor(turns + 0.5)
    t = 0.5 - t if t > 0.25 else t
    t = -0.5 - t if t < -0.25 else t
    x = 2.0 * PI * t
    z = x * x
    p = 1.0 / 51090942171709440000.0 * z - 1.0 / 121645100408832000.0
    p = (p * z + 1.0 / 355687428096000.0) * z - 1.0 / 1307674368000.0
    p = (p * z + 1.0 / 6227020800.0) * z - 1.0 / 39916800.0
    p = (p * z + 1.0 / 362880.0) * z - 1.0 / 5040.0
    return x + (((p * z + 1.0 / 120.0) * z - 1.0 / 6.0) * z) * x


@kernel
def effects_log(x: f64) -> f64:
    """Natural logarithm of a positive normal x, within 1e-13; arithmetic only."""
    bits = bits_f64(x)
    m = f64_bits((bits & _MANTISSA) | _ONE)
    e = f64((bits >> 52) - _BIAS)
    e = e + 1.0 if m > _ROOT2 else e
    m = 0.5 * m if m > _ROOT2 else m
    # twice the area tangent of s, which is 0.172 at most: interpolated at the Chebyshev nodes of its square
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = (0.1936265330155 * z + 0.2219140085408) * z + 0.2857175453548
    p = (p * z + 0.3999999879734) * z + 0.6666666666738
    return e * _LN2 + (2.0 * s + p * z * s)


@kernel
def effects_steady(curve: f32p, frames: i64) -> i64:
    """1 if a parameter is constant over the frames."""
    others = 0
    for n in range(frames):
        others = others + (1 if curve[n] != curve[0] else 0)
    return 1 if others == 0 else 0


@kernel
def effects_gain(decibels: f64) -> f64:
    """Gain factor of a level in dB."""
    return f64(math.exp(f32(decibels * NEPER)))


@kernel
def effects_decibels(magnitude: f64) -> f64:
    """Level in dB of a magnitude, at least -120."""
    return f64(math.log(f32(max(magnitude, 1e-6)))) * (1.0 / NEPER)


@kernel
def effects_tan(hertz: f64, rate: f64) -> f64:
    """The warped frequency of a bilinear filter: tan(π f / rate), with f at most 0.49 of the rate."""
    top = 0.49 * rate
    w = PI * (top if hertz > top else hertz) / rate
    return math.sin(w) / math.cos(w)


@kernel
def effects_decay_factor(seconds: f64, rate: f64) -> f64:
    """Decay factor per frame of a time constant (to 1/e)."""
    return math.exp(-1.0 / (seconds * rate))


@kernel
def effects_is_changed(curve: f32p, n: i64) -> i64:
    """1 if a parameter differs from the previous frame, or the block begins: dependent values must be recomputed."""
    if n == 0:
        return 1
    return 1 if curve[n] != curve[n - 1] else 0


@kernel
def effects_random(state: i64) -> i64:
    """The next state of a linear congruential generator (Knuth, The Art of Computer Programming, vol. 2, 3.3.4)."""
    return state * 6364136223846793005 + 1442695040888963407


@kernel
def effects_lfo_phase(turns: f64, hertz: f64, beats: f64, beat: f64, rate: f64) -> f64:
    """Oscillator phase, 0 to 1: from the clock if `beats` per cycle are given, else advanced by a frame."""
    if beats > 0.0:
        at = beat / max(beats, SHORTEST_BEATS)
        return at - math.floor(at)
    at = turns + hertz / rate
    return at - math.floor(at)


class TurnsLog(ProcessorPart):
    """Log of oscillators' phases, for a recorded set that begins while they run.

    `state`: float64; `places`: indices of the phases in it, each from 0 to below 1.
    """

    def __init__(self, state: NDArray[np.float64], *places: int) -> None:
        self._state, self._places = state, places

    def recall(self, kind: str, number: int) -> None:
        """Sets the upper bits of a phase, then adds the lower bits."""
        name, _, place = kind.partition(".")
        if name not in ("turns", "rest") or not place.isdecimal() or int(place) not in self._places:
            return
        part = min(max(0, number), _BITS - 1) / _BITS
        self._state[int(place)] = part if name == "turns" else min(self._state[int(place)] + part / _BITS, _BELOW_1)

    def standing(self) -> list[tuple[str, int]]:
        """Both parts of each phase, as integers."""
        found = []
        for place in self._places:
            turns = float(self._state[place]) * _BITS
            found += [(f"turns.{place}", int(turns)), (f"rest.{place}", int((turns - int(turns)) * _BITS))]
        return found


def time_constant(name: str, default: float, low: float, high: float, doc: str) -> Param:
    """A smoothed parameter that is a time constant, from `low` to `high` seconds."""
    return Param(name, default=default, low=low, high=high, unit="s", warp="log", smooth=0.02, doc=doc)


def smooth_param(name: str, default: float, low: float, high: float, doc: str, unit: str = "") -> Param:
    """A smoothed parameter, which reaches a new value within 20 ms."""
    return Param(name, default=default, low=low, high=high, unit=unit, smooth=0.02, doc=doc)


def hertz(name: str, default: float, low: float, high: float, doc: str) -> Param:
    """A smoothed parameter that is a frequency, from `low` to `high` Hz."""
    return Param(name, default=default, low=low, high=high, unit="Hz", warp="log", smooth=0.02, doc=doc)
