"""Mixer."""

from __future__ import annotations

from antiphon.api import IO, Param, Port, Processor, Step
from antiphon.api.kernels import Audio, f32p, kernel

NAMES = ("a", "b", "c", "d")


@kernel
def utilities_mix(
    a: Audio, b: Audio, c: Audio, d: Audio, y: Audio, gain_a: f32p, gain_b: f32p, gain_c: f32p, gain_d: f32p
) -> None:
    """y ← sum of the inputs, each times its gain."""
    for channel in range(y.channels):
        for n in range(y.frames):
            v = a[channel, n] * gain_a[n]
            v = v + b[channel, n] * gain_b[n]
            v = v + c[channel, n] * gain_c[n]
            y[channel, n] = v + d[channel, n] * gain_d[n]


class Mix(Processor):
    """Adds its inputs, each at its own level."""

    inputs = tuple(Port(name) for name in NAMES)
    params = tuple(
        Param(name, default=1.0, low=0.0, high=2.0, smooth=0.004, doc=f"Factor of input {name}.") for name in NAMES
    )

    def step(self, io: IO) -> Step:
        a, b, c, d = io.audio_in
        curves = [io.curve(name) for name in NAMES]
        return utilities_mix.step(a, b, c, d, io.audio_out[0], *curves)
