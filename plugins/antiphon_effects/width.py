"""Stereo width, as the level of the side signal (Blumlein's middle and side)."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, copy_sound, f32p, f64, f64p, kernel
from antiphon_effects.shared import effects_fall, effects_finite, effects_rest, smooth_param

TAU = 2.0 * math.pi


@kernel
def effects_width(x: Audio, y: Audio, width: f32p, bass: f32p, state: f64p, rate: f64) -> None:
    """First two channels of y ← x with the side signal scaled. state: two lowpasses of the side."""
    last = f64(0.0)
    pole = f64(1.0)
    for n in range(y.frames):
        if f64(bass[n]) != last:
            last = f64(bass[n])
            pole = effects_fall(1.0 / (TAU * last), rate) if last >= 1.0 else 1.0
        left = effects_finite(x[0, n])
        right = effects_finite(x[1, n])
        side = 0.5 * (left - right)
        one = side + (state[0] - side) * pole
        two = one + (state[1] - one) * pole
        state[0] = effects_rest(one)
        state[1] = effects_rest(two)
        # two equal lowpasses, subtracted: a highpass of two poles
        high = side - 2.0 * one + two if last >= 1.0 else side
        more = f64(width[n]) * high - side
        y[0, n] = left + more
        y[1, n] = right - more


class Width(Processor):
    """Scales the side signal: 0 is mono, 1 unchanged, 2 doubled. Mono, and channels above two, pass unchanged."""

    params = (
        smooth_param("width", 1.0, 0.0, 2.0, "Stereo width: 0 mono, 1 unchanged, 2 twice as wide."),
        Param("bass", high=500.0, unit="Hz", smooth=0.05, doc="Crossover below which it is mono; 0 is off."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(2, np.float64)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, y = io.audio_in[0], io.audio_out[0]
        if x.shape[0] < 2:
            return copy_sound.step(x, y)
        widened = effects_width.step(x, y, io.curve("width"), io.curve("bass"), self._state, self._rate)
        return widened if x.shape[0] == 2 else copy_sound.step(x, y).then(widened)
