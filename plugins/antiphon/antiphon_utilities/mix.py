"""Mixer, gain and stereo panner."""

from __future__ import annotations

import math
from typing import NamedTuple

from antiphon.api import IO, Param, Port, Processor, Step
from antiphon.api.kernels import Audio, copy_sound, f32p, f64, kernel


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


PI = math.pi


@kernel
def utilities_pan(x: Audio, y: Audio, place: f32p) -> None:
    """y ← x with even channels weighted as left and odd ones as right."""
    last = f64(2.0)
    left = f64(1.0)
    right = f64(1.0)
    for n in range(y.frames):
        p = f64(place[n])
        if p != last:
            last = p
            angle = (p + 1.0) * 0.25 * PI
            left = math.sqrt(2.0) * math.cos(angle) if p != 0.0 else 1.0
            right = math.sqrt(2.0) * math.sin(angle) if p != 0.0 else 1.0
            if p >= 1.0:
                left = 0.0
            if p <= -1.0:
                right = 0.0
        for c in range(y.channels):
            g = left if c % 2 == 0 else right
            y[c, n] = f64(x[c, n]) * g


class Pan(Processor):
    """Pans the sound at constant power; the middle is unity gain.

    A fully panned side is 3 dB louder. A mono stream passes unchanged.
    """

    params = (Param("place", default=0.0, low=-1.0, high=1.0, smooth=0.01, doc="Pan position: -1 left, 1 right."),)

    def step(self, io: IO) -> Step:
        x, y = io.audio_in[0], io.audio_out[0]
        return copy_sound.step(x, y) if x.shape[0] == 1 else utilities_pan.step(x, y, io.curve("place"))


NAMES = ("a", "b", "c", "d")


class MixGains(NamedTuple):
    """Input gains, one per frame."""

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
