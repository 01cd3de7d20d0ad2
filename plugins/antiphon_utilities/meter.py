"""A level meter."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Param, Processor, StreamSpec
from antiphon.api.kernels import Audio, f64, f64p, i64, kernel

WINDOW = 0.05
FLOOR = -120.0
# places in `state`: frames, peak and sum of squares of the window that fills; peak and mean square of the last
_COUNT, _PEAK, _SUM, _LAST_PEAK, _LAST_MEAN, _SIZE = 0, 1, 2, 3, 4, 5


@kernel
def utilities_meter(x: Audio, state: f64p, window: i64) -> None:
    """Gathers windows of `window` frames, wherever blocks end."""
    for n in range(x.frames):
        for c in range(x.channels):
            v = f64(x[c, n])
            a = abs(v)
            state[_PEAK] = a if a > state[_PEAK] else state[_PEAK]
            state[_SUM] = state[_SUM] + v * v
        state[_COUNT] = state[_COUNT] + 1.0
        if state[_COUNT] >= f64(window):
            state[_LAST_PEAK] = state[_PEAK]
            state[_LAST_MEAN] = state[_SUM] / (f64(window) * f64(x.channels))
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

    def reset(self) -> None:
        self._state.fill(0.0)

    def process(self, io: IO) -> None:
        x = io.audio_in[0]
        io.audio_out[0][:] = x
        utilities_meter(x, self._state, self._window)
        io.report("peak", _db(20.0, float(self._state[_LAST_PEAK])))
        io.report("rms", _db(10.0, float(self._state[_LAST_MEAN])))


def _db(factor: float, number: float) -> float:
    return min(24.0, max(FLOOR, factor * math.log10(number))) if number > 1e-12 else FLOOR
