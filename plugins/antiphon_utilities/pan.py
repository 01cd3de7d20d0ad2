"""Stereo panner."""

from __future__ import annotations

import math

from antiphon.api import IO, Param, Processor, Step
from antiphon.api.kernels import Audio, copy_sound, f32p, f64, kernel

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
