"""Bit-depth and sample-rate reduction without filters: quantisation error and aliasing are the effect.

A quantiser with a step at zero level and a sample-and-hold; Zölzer (ed.), DAFX (2nd ed., 2011), section 4.3.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, kernel
from antiphon_effects.shared import effects_finite, hertz, smooth_param


@kernel
def effects_bitcrush_step(v: f32, step: f64) -> f32:
    """Value rounded to the nearest step."""
    return f32(math.floor(effects_finite(v) / step + 0.5) * step)


@kernel
def effects_bitcrush(x: Audio, y: Audio, bits: f32p, rate: f32p, state: f64p, own: f64) -> None:
    """y ← x quantised and held.

    `state`: phase to the next held sample, 1 at it and -1 at the start; then the held sample of each channel.
    """
    way = state[0]
    # the outer channels are held in registers: a stored value would be read back in each frame
    last = y.channels - 1
    left = f32(state[1])
    right = f32(state[1 + last])
    bits_at = f64(0.0)
    step = f64(1.0)
    same = 0
    for n in range(y.frames):
        same = same + (1 if bits[n] == bits[0] and rate[n] == rate[0] else 0)
    first = 0
    while first < y.frames:
        # with constant parameters only the phase is carried from frame to frame
        end = y.frames if same == y.frames else first + 1
        by = f64(rate[first]) / own
        if way < 0.0:
            # the first frame is held, at any rate
            way = 1.0
            by = 0.0
            end = first + 1
        if f64(bits[first]) != bits_at:
            bits_at = f64(bits[first])
            step = math.exp2(1.0 - bits_at)
        for n in range(first, end):
            way = way + by
            if way >= 1.0:
                way = way - math.floor(way)
                left = effects_bitcrush_step(x[0, n], step)
                right = effects_bitcrush_step(x[last, n], step)
                for c in range(1, last):
                    state[1 + c] = effects_bitcrush_step(x[c, n], step)
            y[0, n] = left
            y[last, n] = right
            for c in range(1, last):
                y[c, n] = state[1 + c]
        first = end
    state[0] = way
    state[1] = left
    state[1 + last] = right


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
