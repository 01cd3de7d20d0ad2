"""Metronome on the beats of the clock."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f64, f64p, i64, i64p, kernel
from antiphon_utilities.beats import EARLY, JUMP_BEATS, utilities_frame_of

LENGTH = 0.03
TAU = 2.0 * math.pi
_BEAT, _BETWEEN = 0.7, 0.4
_NEVER = 1e300
"""Expected beat while the metronome is silent."""
# places in `place`: frames since the click began, the next division's number, divisions of a beat
_AGE, _NEXT, _DIVISION = 0, 1, 2
# places in `state`: the click's level and radians a frame, the beat at which the next block should begin, the report
_LEVEL, _STEP, _EXPECTED, _REPORT = 0, 1, 2, 3


@kernel
def utilities_strike(
    place: i64p, state: f64p, division: i64, bar: i64, first: i64, level: f64, pitch: f64, accent: f64, rate: f64
) -> None:
    """Starts a click, accented by its position in the bar."""
    beat = place[_NEXT] // division - first
    between = place[_NEXT] % division > 0
    of_bar = beat % max(bar, 1) if bar > 0 else 0  # both are computed
    strong = not between and bar > 0 and of_bar == 0
    place[_AGE] = 0
    place[_NEXT] = place[_NEXT] + 1
    state[_LEVEL] = level * (_BETWEEN if between else (1.0 if strong else _BEAT))
    state[_STEP] = TAU * (accent if strong else pitch) / rate
    state[_REPORT] = f64(of_bar + 1)


class Clicks(NamedTuple):
    """Parameters of the metronome's click. `on`: 1 or 0."""

    on: i64
    bar: i64
    first: i64
    division: i64
    level: f64
    pitch: f64
    accent: f64


class MetronomeState(NamedTuple):
    """State of the sounding click, with its limits in frames."""

    rate: f64
    block: i64
    length: i64
    place: i64p
    state: f64p


@kernel
def utilities_metronome(
    x: Audio, y: Audio, frames: i64, beat: f64, tempo: f64, playing: i64, p: Clicks, s: MetronomeState
) -> None:
    """y ← x and, if on and the clock runs, a click on each division of a beat: a decaying cosine of `length` frames."""
    strike = frames
    per = tempo / (60.0 * s.rate)
    clicks = p.on * playing
    if clicks == 0:
        s.state[_EXPECTED] = _NEVER
        s.state[_REPORT] = 0.0
    else:
        jumped = abs(beat - s.state[_EXPECTED]) > JUMP_BEATS
        if jumped or p.division != s.place[_DIVISION]:
            # a jump within a block is reported with the next block, after the beat it led to
            since = -s.block if jumped and s.state[_EXPECTED] < _NEVER else 0
            here = beat + (f64(since) - EARLY) * per
            s.place[_NEXT] = i64(-math.floor(-here / (1.0 / f64(p.division))))
            s.place[_DIVISION] = p.division
        s.state[_EXPECTED] = beat + f64(frames) * per
        strike = utilities_frame_of(f64(s.place[_NEXT]) / f64(p.division), beat, per)
    for n in range(frames):
        while clicks == 1 and strike <= n:
            utilities_strike(s.place, s.state, p.division, p.bar, p.first, p.level, p.pitch, p.accent, s.rate)
            strike = utilities_frame_of(f64(s.place[_NEXT]) / f64(p.division), beat, per)
        v = f64(0.0)
        t = s.place[_AGE]
        if t < s.length:
            left = 1.0 - f64(t) / f64(s.length)
            v = s.state[_LEVEL] * math.cos(s.state[_STEP] * f64(t)) * math.exp(6.0 * left - 6.0) * left
            s.place[_AGE] = t + 1
        for c in range(y.channels):
            y[c, n] = f64(x[c, n]) + v


class Metronome(Processor):
    """Adds a click to the sound on each beat of the clock, while the clock runs.

    A click's first frame is the frame of its beat. After a jump of the transport it continues from the new beat; a beat
    moved slightly into the past by rounding or a tempo change is neither lost nor clicked twice.
    """

    split = True
    params = (
        Param("on", "switch", True, doc="Clicks, or passes the sound alone."),
        Param("bar", "int", 4, low=0, high=32, doc="Beats from one accent to the next; 0: no accents."),
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
        Param("first", "int", 0, low=0, high=1_000_000, doc="A beat of the clock on which a bar begins."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate, self._block = spec.rate, spec.block
        self._length = round(LENGTH * spec.rate)

        self._place = np.zeros(3, np.int64)
        self._state = np.zeros(4, np.float64)
        self.reset()

    def reset(self) -> None:
        self._place[:] = self._length, 0, 0
        self._state[:] = 0.0, 0.0, _NEVER, 0.0

    def step(self, io: IO) -> Step:
        return utilities_metronome.step(
            io.audio_in[0],
            io.audio_out[0],
            io.frames,
            io.time.beat,
            io.time.tempo,
            io.time.playing,
            Clicks(
                int(io.at("on", 0)),
                int(io.at("bar", 0)),
                int(io.at("first", 0)),
                int(io.at("division", 0)),
                float(io.at("level", 0)),
                float(io.at("pitch", 0)),
                float(io.at("accent", 0)),
            ),
            MetronomeState(float(self._rate), self._block, self._length, self._place, self._state),
        ).reporting(beat=(self._state, _REPORT))
