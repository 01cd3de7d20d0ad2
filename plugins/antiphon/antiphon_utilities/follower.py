"""Envelope follower as a control signal, and a level meter."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import CONTROL_OUT, IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, copy_sound, f32p, f64, f64p, i64, kernel

WINDOW = 0.05
FLOOR = -120.0
MIN_POWER = 1e-12
"""Peak and mean square below which the level is silence."""
# places in `state`: frames, peak and sum of squares of the window that fills; levels of the last
_COUNT, _PEAK, _SUM, _PEAK_DB, _RMS_DB, _SIZE = 0, 1, 2, 3, 4, 5
_DECIBELS = 10.0 / math.log(10.0)


@kernel
def utilities_level(power: f64, factor: f64) -> f64:
    """Level in decibels; FLOOR for silence."""
    return factor * _DECIBELS * math.log(power) if power > MIN_POWER else FLOOR


@kernel
def utilities_meter(x: Audio, state: f64p, window: i64) -> None:
    """Accumulates windows of `window` frames, independent of block boundaries."""
    for n in range(x.frames):
        for c in range(x.channels):
            v = f64(x[c, n])
            a = abs(v)
            state[_PEAK] = a if a > state[_PEAK] else state[_PEAK]
            state[_SUM] = state[_SUM] + v * v
        state[_COUNT] = state[_COUNT] + 1.0
        if state[_COUNT] >= f64(window):
            state[_PEAK_DB] = utilities_level(state[_PEAK], 2.0)
            state[_RMS_DB] = utilities_level(state[_SUM] / (f64(window) * f64(x.channels)), 1.0)
            state[_COUNT] = 0.0
            state[_PEAK] = 0.0
            state[_SUM] = 0.0


class Meter(Processor):
    """Passes the sound and reports its level over each 50 ms."""

    params = (
        Param("peak", default=FLOOR, low=FLOOR, high=24.0, unit="dB", readonly=True, doc="Peak level."),
        Param("rms", default=FLOOR, low=FLOOR, high=24.0, unit="dB", readonly=True, doc="RMS level over all channels."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._window = round(WINDOW * spec.rate)
        self._state = np.zeros(_SIZE, np.float64)
        self.reset()

    def reset(self) -> None:
        self._state.fill(0.0)
        self._state[_PEAK_DB] = self._state[_RMS_DB] = FLOOR

    def step(self, io: IO) -> Step:
        x = io.audio_in[0]
        measure = utilities_meter.step(x, self._state, self._window)
        levels = {"peak": (self._state, _PEAK_DB), "rms": (self._state, _RMS_DB)}
        return copy_sound.step(x, io.audio_out[0]).then(measure).reporting(**levels)


_FAINT = 1e-10


class FollowerCurves(NamedTuple):
    """The parameters, a place a frame."""

    attack: f32p
    release: f32p
    floor: f32p
    ceiling: f32p
    depth: f32p


@kernel
def utilities_follower(x: Audio, y: f32p, p: FollowerCurves, state: f64p, rate: f64) -> None:
    """y ← depth times x's level normalised from floor to ceiling. `state`: the decaying peak, the smoothed level."""
    for n in range(x.frames):
        top = f64(0.0)
        for c in range(x.channels):
            a = abs(f64(x[c, n]))
            top = a if a > top else top
        fall = math.exp(-1.0 / (f64(p.release[n]) * rate))
        held = top + (state[0] - top) * fall
        held = top if top > held else held
        held = 0.0 if held < _FAINT else held
        state[0] = held
        decibels = 20.0 * math.log(max(held, _FAINT)) / math.log(10.0)
        low = f64(p.floor[n])
        span = f64(p.ceiling[n]) - low
        span = 1.0 if span < 1.0 else span
        place = (decibels - low) / span
        place = 0.0 if place < 0.0 else place
        place = 1.0 if place > 1.0 else place
        rise = math.exp(-1.0 / (f64(p.attack[n]) * rate))
        place = place + (state[1] - place) * rise
        place = 0.0 if place < _FAINT else place
        state[1] = place
        y[n] = f64(p.depth[n]) * place


class EnvelopeFollower(Processor):
    """The peak of the loudest channel with a slow release, in dB from `floor` to `ceiling`, then smoothed.

    The decoupled detector in the log domain of Giannoulis, Massberg and Reiss, "Digital Dynamic Range Compressor
    Design" (JAES 60, 2012): a steady tone's level is its peak, with no bias from either time, and a sound out of
    silence changes the output no faster than `attack`.
    """

    outputs = (CONTROL_OUT,)
    params = (
        Param(
            "attack", default=0.01, low=0.001, high=1.0, unit="s", warp="log", smooth=0.02,
            doc="Attack time: 63 % of the way to a sudden level.",
        ),
        Param(
            "release", default=0.2, low=0.005, high=5.0, unit="s", warp="log", smooth=0.02,
            doc="Release time: the level falls by 8.7 dB.",
        ),
        Param("floor", default=-50.0, low=-90.0, high=-1.0, unit="dB", smooth=0.02, doc="At or below this it is 0."),
        Param(
            "ceiling", default=-6.0, low=-80.0, high=0.0, unit="dB", smooth=0.02,
            doc="At or above this it is `depth`; taken as at least 1 dB above the floor.",
        ),
        Param(
            "depth", default=0.5, low=-1.0, high=1.0, smooth=0.02,
            doc="Modulation depth, 1 the parameter's whole range; below 0 louder turns it down.",
        ),
    )  # fmt: skip

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(2, np.float64)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, y = io.audio_in[0], io.audio_out[0]
        return utilities_follower.step(
            x, y, FollowerCurves._make(map(io.curve, FollowerCurves._fields)), self._state, self._rate
        )
