"""A level meter."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, copy_sound, f64, f64p, i64, kernel

WINDOW = 0.05
FLOOR = -120.0
LEAST = 1e-12
"""Peak and mean square below which the level is silence."""
# places in `state`: frames, peak and sum of squares of the window that fills; levels of the last
_COUNT, _PEAK, _SUM, _PEAK_DB, _RMS_DB, _SIZE = 0, 1, 2, 3, 4, 5
_DECIBELS = 10.0 / math.log(10.0)


@kernel
def utilities_level(power: f64, factor: f64) -> f64:
    """Level in decibels; FLOOR for silence."""
    return factor * _DECIBELS * math.log(power) if power > LEAST else FLOOR


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
