"""Mixer."""

from __future__ import annotations

from typing import NamedTuple

from antiphon.api import IO, Param, Port, Processor, Step
from antiphon.api.kernels import Audio, f32p, kernel

NAMES = ("a", "b", "c", "d")


class MixGains(NamedTuple):
    """The gains of the inputs, a place a frame."""

    a: f32p
    b: f32p
    c: f32p
    d: f32p


@kernel
def utilities_mix(a: Audio, b: Audio, c: Audio, d: Audio, y: Audio, p: MixGains) -> None:
    """y ← the sum of the inputs, each times its gain."""
    for channel in range(y.channels):
        for n in range(y.frames):
            v = a[channel, n] * p.a[n]
            v = v + b[channel, n] * p.b[n]
            v = v + c[channel, n] * p.c[n]
            y[channel, n] = v + d[channel, n] * p.d[n]


class Mix(Processor):
    """Adds its inputs, each at its own level."""

    inputs = tuple(Port(name) for name in NAMES)
    params = tuple(
        Param(name, default=1.0, low=0.0, high=2.0, smooth=0.004, doc=f"Factor of input {name}.") for name in NAMES
    )

    def step(self, io: IO) -> Step:
        a, b, c, d = io.audio_in
        return utilities_mix.step(a, b, c, d, io.audio_out[0], MixGains._make(map(io.curve, NAMES)))
