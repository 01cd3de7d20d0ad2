"""Fewer bits and a lower rate, without any filter: the errors are the effect.

A quantiser with a step at zero level and a sample-and-hold; Zölzer (ed.), DAFX (2nd ed., 2011), section 4.3.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, kernel
from antiphon_effects.shared import effects_finite, hertz, smooth_param


@kernel
def effects_bitcrush(x: Audio, y: Audio, bits: f32p, rate: f32p, state: f64p, own: f64) -> None:
    """y ← x in steps.

    state: the way to the next sample that is held, 1 at it and -1 at the start; then that sample of each channel.
    """
    last = f64(0.0)
    step = f64(1.0)
    way = state[0]
    left = state[1]
    right = state[y.channels]
    for n in range(y.frames):
        if f64(bits[n]) != last:
            last = f64(bits[n])
            step = math.exp2(1.0 - last)
        # the first frame is held, at any rate
        way = 1.0 if way < 0.0 else way + f64(rate[n]) / own
        if way >= 1.0:
            way = way - math.floor(way)
            for c in range(y.channels):
                state[1 + c] = math.floor(effects_finite(x[c, n]) / step + 0.5) * step
            left = state[1]
            right = state[y.channels]
        if y.channels <= 2:
            # from registers: what is stored here would be read back each frame
            y[0, n] = left
            y[y.channels - 1, n] = right
        else:
            for c in range(y.channels):
                y[c, n] = state[1 + c]
    state[0] = way


class Bitcrush(Processor):
    """Holds samples `rate` times a second, each rounded to `bits`."""

    params = (
        smooth_param("bits", 8.0, 1.0, 24.0, "Bit depth: steps of 2 to the power of 1 - bits."),
        hertz("rate", 12000.0, 100.0, 192000.0, "Reduced sample rate."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(1 + spec.channels, np.float64)
        self.reset()

    def reset(self) -> None:
        self._state.fill(0.0)
        self._state[0] = -1.0

    def step(self, io: IO) -> Step:
        return effects_bitcrush.step(
            io.audio_in[0], io.audio_out[0], io.curve("bits"), io.curve("rate"), self._state, self._rate
        )
