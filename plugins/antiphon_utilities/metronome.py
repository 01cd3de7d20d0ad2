"""A metronome on the clock's beats."""

from __future__ import annotations

import math

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, copy_sound, f64, i64, kernel
from antiphon_utilities.beats import JUMP, frame_of, next_multiple, per_frame

LENGTH = 0.03
_BEAT, _BETWEEN = 0.7, 0.4


@kernel
def utilities_tick(x: Audio, y: Audio, first: i64, last: i64, age: i64, length: i64, level: f64, step: f64) -> None:
    """y[first:last] ← x and a decaying cosine that is `age` frames old at `first` and `length` frames long."""
    for n in range(first, last):
        t = age + n - first
        v = f64(0.0)
        if t < length:
            left = 1.0 - f64(t) / f64(length)
            v = level * math.cos(step * f64(t)) * math.exp(6.0 * left - 6.0) * left
        for c in range(y.channels):
            y[c, n] = f64(x[c, n]) + v


class Metronome(Processor):
    """Adds a click to the sound on each beat of the clock, while the clock runs.

    The first frame of a click is the one its beat falls on. After a jump of the transport it clicks from
    where the clock is then; a beat that rounding or a changing tempo puts a little into the past is
    neither lost nor clicked twice.
    """

    split = True
    params = (
        Param("on", "switch", True, doc="Clicks, or passes the sound alone."),
        Param("bar", "int", 4, low=0, high=32, doc="An accent on every so many beats, from beat 0 on; 0 is none."),
        Param("division", "int", 1, low=1, high=4, doc="Clicks a beat: 1, 2, 3 or 4."),
        Param(
            "level",
            default=0.5,
            low=0.0,
            high=1.0,
            doc="The accent's first and largest sample; a beat has 0.7 of it, a division between beats 0.4.",
        ),
        Param("pitch", default=1000.0, low=100.0, high=8000.0, unit="Hz", warp="log", doc="Of beats and divisions."),
        Param("accent", default=1500.0, low=100.0, high=8000.0, unit="Hz", warp="log", doc="The accent's pitch."),
        Param("beat", "int", 0, low=0, high=32, readonly=True, doc="Of the bar, from 1; 0 while it is silent."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate, self._block = spec.rate, spec.block
        self._length = round(LENGTH * spec.rate)
        self.reset()

    def reset(self) -> None:
        self._age = self._length
        self._level = self._step = 0.0
        self._division = self._next = 0
        self._expected = math.inf

    def step(self, io: IO) -> Step | None:
        """While it is off, once the last click is over."""
        over = not io.at("on", 0) and self._age >= self._length
        return copy_sound.step(io.audio_in[0], io.audio_out[0]) if over else None

    def process(self, io: IO) -> None:
        time, at, division = io.time, 0, int(io.value("division"))
        if not time.playing or not io.value("on"):
            self._expected = math.inf
            self._play(io, 0, io.frames)
            io.report("beat", 0.0)
            return
        jumped = abs(time.beat - self._expected) > JUMP
        if jumped or division != self._division:
            # a jump within a block is reported with the next block, after the beat it led to
            since = -self._block if jumped and math.isfinite(self._expected) else 0
            self._next, self._division = next_multiple(1.0 / division, time, self._rate, since), division
        while (frame := frame_of(self._next / division, time, self._rate)) < io.frames:
            self._play(io, at, frame)
            self._strike(io)
            at = frame
            self._next += 1
        self._play(io, at, io.frames)
        self._expected = time.beat + io.frames * per_frame(time, self._rate)

    def _strike(self, io: IO) -> None:
        """A click begins: what it is depends on where in the bar it falls."""
        beat, between = divmod(self._next, self._division)
        bar = int(io.value("bar"))
        accent = not between and bar > 0 and beat % bar == 0
        self._age = 0
        self._level = float(io.value("level")) * (_BETWEEN if between else 1.0 if accent else _BEAT)
        self._step = 2.0 * math.pi * float(io.value("accent" if accent else "pitch")) / self._rate
        io.report("beat", float(beat % bar + 1 if bar else 1))

    def _play(self, io: IO, first: int, last: int) -> None:
        x, y = io.audio_in[0], io.audio_out[0]
        if self._age >= self._length:
            y[:, first:last] = x[:, first:last]
            return
        utilities_tick(x, y, first, last, self._age, self._length, self._level, self._step)
        self._age += last - first
