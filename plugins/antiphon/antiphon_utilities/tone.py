"""Test tone, sine or noise, and a click generator exact to the frame."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, fill_sound, i64, i64p, kernel


@kernel
def utilities_click(y: Audio, first: i64, last: i64, age: i64, length: i64, level: f64, step: f64) -> None:
    """y[first:last] ← a decaying cosine that is `age` frames old at `first` and `length` frames long."""
    for n in range(first, last):
        t = age + n - first
        v = f64(0.0)
        if t < length:
            v = level * math.cos(step * f64(t)) * math.exp(-6.0 * f64(t) / f64(length))
        for c in range(y.channels):
            y[c, n] = v


class Click(Processor):
    """A click: one frame, or a short tick. A new click cuts off the previous one."""

    inputs = ()
    params = (
        Param("fire", "trigger", False, doc="Makes a click, its first frame the one asked for."),
        Param("level", default=0.8, low=0.0, high=1.0, doc="The click's first and largest sample."),
        Param("length", default=0.0, low=0.0, high=0.1, unit="s", doc="0 is a single sample, more is a tick."),
        Param("pitch", default=1500.0, low=100.0, high=8000.0, unit="Hz", warp="log", doc="The tick's pitch."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = spec.rate
        self.reset()

    def reset(self) -> None:
        self._age = self._length = 0
        self._level = self._step = 0.0

    def step(self, io: IO) -> Step | None:
        return None if io.fired("fire") or self._age < self._length else fill_sound.step(io.audio_out[0], 0.0)

    def process(self, io: IO) -> None:
        at = 0
        for offset in io.fired("fire"):
            self._play(io, at, offset)
            self._age = 0
            self._length = max(1, round(float(io.at("length", offset)) * self._rate))
            self._level = float(io.at("level", offset))
            self._step = 2.0 * math.pi * float(io.at("pitch", offset)) / self._rate
            at = offset
        self._play(io, at, io.frames)

    def _play(self, io: IO, first: int, last: int) -> None:
        y = io.audio_out[0]
        if self._age >= self._length:
            y[:, first:last] = 0.0
            return
        utilities_click(y, first, last, self._age, self._length, self._level, self._step)
        self._age += last - first


KINDS = ("sine", "noise")
PI = math.pi


@kernel
def utilities_sine(y: Audio, hertz: f32p, level: f32p, phase: f64p, rate: f64) -> None:
    """y ← sine; phase[0] in cycles."""
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
