"""Tremolo, or auto-pan with `spread`. Zölzer (ed.), DAFX (2nd ed., 2011), 3.3."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, kernel
from antiphon_effects.shared import effects_finite, effects_turns, hertz, smooth_param

SHAPES = ("sine", "triangle", "square")
TAU = 2.0 * math.pi
EDGE = 0.003
"""Minimum transition time of the gain from end to end, seconds, so that a square does not click."""


@kernel
def effects_tremolo_wave(shape: f64, turns: f64) -> f64:
    """LFO waveform, 1 at its beginning and 0 in its middle."""
    t = turns - math.floor(turns)
    if shape == 1.0:
        return abs(1.0 - 2.0 * t)
    if shape == 2.0:
        return 1.0 if t < 0.5 else 0.0
    return 0.5 + 0.5 * math.cos(TAU * t)


class TremoloCurves(NamedTuple):
    """The parameters, a place a frame."""

    shape: f32p
    rate: f32p
    beats: f32p
    depth: f32p
    spread: f32p


@kernel
def effects_tremolo(
    x: Audio, y: Audio, p: TremoloCurves, state: f64p, beat: f64, step: f64, most: f64, rate: f64
) -> None:
    """y ← x times the wave. state: the turns, 1 once it has begun, the wave of each side."""
    for n in range(y.frames):
        state[0] = effects_turns(state[0], f64(p.rate[n]), f64(p.beats[n]), beat + step * f64(n), rate)
        for side in range(2):
            w = effects_tremolo_wave(f64(p.shape[n]), state[0] + 0.5 * f64(p.spread[n]) * f64(side))
            if state[1] == 1.0:
                old = state[2 + side]
                w = max(old - most, min(old + most, w))
            state[2 + side] = w
        state[1] = 1.0
        for c in range(y.channels):
            g = 1.0 - f64(p.depth[n]) * (1.0 - state[2 + c % 2])
            y[c, n] = effects_finite(x[c, n]) * g


class Tremolo(Processor):
    """Modulates the level by an LFO, at its own rate or in beats of the clock."""

    on_files = FileUse(changes=("level",))
    params = (
        Param("shape", "choice", "sine", choices=SHAPES, doc="LFO waveform."),
        hertz("rate", 5.0, 0.05, 40.0, "LFO rate."),
        Param("beats", high=64.0, unit="beats", doc="LFO period, in time with the beat; 0 uses `rate`."),
        smooth_param("depth", 0.6, 0.0, 1.0, "LFO depth: 0 changes nothing, 1 goes to silence."),
        smooth_param("spread", 0.0, 0.0, 1.0, "LFO phase between left and right; 1 is auto-pan."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(4, np.float64)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        step = io.time.beats_per_frame(self._rate)
        return effects_tremolo.step(
            io.audio_in[0],
            io.audio_out[0],
            TremoloCurves._make(map(io.curve, TremoloCurves._fields)),
            self._state,
            io.time.beat,
            step,
            1.0 / (EDGE * self._rate),
            self._rate,
        )
