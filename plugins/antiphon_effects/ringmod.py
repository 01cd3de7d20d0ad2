"""Ring modulation: the product of the sound and a carrier. Zölzer (ed.), DAFX (2nd ed., 2011), section 3.4."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import AUDIO_IN, IO, FileUse, Param, Port, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, kernel
from antiphon_effects.shared import effects_finite, hertz

TAU = 2.0 * math.pi
FADE = 0.01
"""Time constant in seconds of the crossfade between carriers."""


@kernel
def effects_ringmod(
    x: Audio, carrier: Audio, y: Audio, source: f32p, hertz: f32p, state: f64p, slide: f64, rate: f64
) -> None:
    """y ← x times the carrier. state: the sine's phase in turns, the input carrier's weight, 1 once started."""
    for n in range(y.frames):
        share = f64(source[n])
        if state[2] == 1.0:
            share = state[1] + (share - state[1]) * slide
            share = f64(source[n]) if abs(share - f64(source[n])) < 1e-6 else share
        state[1] = share
        state[2] = 1.0
        s = math.sin(TAU * state[0])
        turns = state[0] + f64(hertz[n]) / rate
        state[0] = turns - math.floor(turns)
        for c in range(y.channels):
            other = effects_finite(carrier[c, n])
            y[c, n] = effects_finite(x[c, n]) * (s + (other - s) * share)


class Ringmod(Processor):
    """Multiplies the sound by a carrier: sums and differences of their frequencies."""

    on_files = FileUse(changes=("pitch", "level"))
    inputs = (AUDIO_IN, Port("carrier"))
    params = (
        Param("source", "choice", "sine", choices=("sine", "carrier"), doc="A sine, or the input `carrier`."),
        hertz("frequency", 220.0, 0.5, 10000.0, "Frequency of the sine."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._slide = 1.0 - math.exp(-1.0 / (FADE * spec.rate))
        self._state = np.zeros(3, np.float64)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, carrier = io.audio_in
        return effects_ringmod.step(
            x, carrier, io.audio_out[0], io.curve("source"), io.curve("frequency"), self._state, self._slide, self._rate
        )
