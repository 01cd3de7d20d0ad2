"""Test tone: sine or noise."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, i64p, kernel

KINDS = ("sine", "noise")
PI = math.pi


@kernel
def utilities_sine(y: Audio, hertz: f32p, level: f32p, phase: f64p, rate: f64) -> None:
    """y ← sine; phase[0] in turns."""
    for n in range(y.frames):
        v = math.sin(2.0 * PI * phase[0]) * f64(level[n])
        turn = phase[0] + f64(hertz[n]) / rate
        phase[0] = turn - math.floor(turn)
        for c in range(y.channels):
            y[c, n] = v


@kernel
def utilities_noise(y: Audio, level: f32p, seeds: i64p) -> None:
    """y ← white noise, uniform over -1..1, independent in each channel."""
    for c in range(y.channels):
        s = seeds[c]
        for n in range(y.frames):
            s = s * 6364136223846793005 + 1442695040888963407
            y[c, n] = f64(s >> 32) / 2147483648.0 * f64(level[n])
        seeds[c] = s


class Tone(Processor):
    """A sine or white noise; the same seed gives the same noise."""

    inputs = ()
    split = True
    params = (
        Param("kind", "choice", "sine", choices=KINDS, doc="Sine or noise."),
        Param("frequency", "float", 440.0, 20.0, 20000.0, "Hz", warp="log", smooth=0.01, doc="Frequency of the sine."),
        Param("level", default=0.1, low=0.0, high=1.0, smooth=0.01, doc="Peak level."),
        Param("seed", "int", 1, low=0, high=9999, restart=True, doc="Random seed of the noise."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._phase = np.zeros(1, np.float64)
        self._seeds = np.zeros(spec.channels, np.int64)
        self.reset()

    def reset(self) -> None:
        self._phase[0] = 0.0
        for channel in range(self._seeds.shape[0]):
            self._seeds[channel] = (int(self.settings["seed"]) * 64 + channel + 1) * 0x9E3779B97F4A7C1 & (1 << 62) - 1

    def step(self, io: IO) -> Step:
        y = io.audio_out[0]
        if io.value("kind") == "noise":
            return utilities_noise.step(y, io.curve("level"), self._seeds)
        return utilities_sine.step(y, io.curve("frequency"), io.curve("level"), self._phase, self._rate)
