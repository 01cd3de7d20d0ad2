"""Click generator, exact to the frame."""

from __future__ import annotations

import math

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f64, fill_sound, i64, kernel


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
    """A click: one frame long, or a short tick. A new one cuts the old one off."""

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
