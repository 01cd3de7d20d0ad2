"""Bit-depth and sample-rate reduction without filters: quantisation error and aliasing are the effect.

A quantiser with a step at zero level and a sample-and-hold; Zölzer (ed.), DAFX (2nd ed., 2011), section 4.3.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, channel, f32, f32p, f64, f64p, kernel
from antiphon_effects.shared import effects_finite, hertz, smooth_param


@kernel
def effects_bitcrush_step(v: f32, step: f64, steps: f64) -> f32:
    """Rounds a value to the nearest step. steps: number of steps in 1, as a division takes three times as long."""
    return f32(math.floor(effects_finite(v) * steps + 0.5) * step)


@kernel
def effects_bitcrush(x: Audio, y: Audio, bits: f32p, rate: f32p, state: f64p, own: f64) -> None:
    """y ← x quantised and held.

    `state`: phase of the next held sample, which is taken at 1, and -1 at the start; then each channel's held sample.
    """
    same = 0
    for n in range(y.frames):
        same = same + (1 if bits[n] == bits[0] and rate[n] == rate[0] else 0)
    way = state[0]
    # two channels at once, held in registers: a stored value would be read back in each frame
    for c in range(0, y.channels, 2):
        d = min(c + 1, y.channels - 1)
        x0, x1, y0, y1 = channel(x, c), channel(x, d), channel(y, c), channel(y, d)
        left, right = f32(state[1 + c]), f32(state[1 + d])
        way = state[0]
        step, steps, bits_at = f64(0.0), f64(0.0), f64(0.0)
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
                steps = math.exp2(bits_at - 1.0)
            for n in range(first, end):
                way = way + by
                if way >= 1.0:
                    while way >= 1.0:  # quicker than its floor, and exact
                        way = way - 1.0
                    left = effects_bitcrush_step(x0[n], step, steps)
                    right = effects_bitcrush_step(x1[n], step, steps)
                y0[n] = left
                y1[n] = right
            first = end
        state[1 + c], state[1 + d] = left, right
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
