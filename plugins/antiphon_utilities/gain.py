"""Gain."""

from __future__ import annotations

from antiphon.api import IO, Param, Processor, Step
from antiphon.api.kernels import Audio, f32p, kernel


@kernel
def utilities_gain(x: Audio, y: Audio, gain: f32p) -> None:
    """y ← x * gain."""
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = x[c, n] * gain[n]


class Gain(Processor):
    """Scales the sound by a gain."""

    params = (
        Param("gain", default=1.0, low=0.0, high=2.0, smooth=0.004, doc="Factor: 1 changes nothing, 0 is silence."),
    )

    def step(self, io: IO) -> Step:
        return utilities_gain.step(io.audio_in[0], io.audio_out[0], io.curve("gain"))
