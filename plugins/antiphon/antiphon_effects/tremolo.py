"""Tremolo, auto-pan with `spread`, ring modulation and width. Zölzer (ed.), DAFX (2nd ed., 2011), 3.3."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import AUDIO_IN, IO, FileUse, Param, Port, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, copy_sound, f32p, f64, f64p, kernel
from antiphon_effects.shared import (
    TurnsLog,
    effects_decay_factor,
    effects_finite,
    effects_flush_denormal,
    effects_is_changed,
    effects_lfo_phase,
    hertz,
    smooth_param,
)

FADE = 0.01
"""Time constant in seconds of the crossfade between carriers."""


@kernel
def effects_ringmod(
    x: Audio, carrier: Audio, y: Audio, source: f32p, hertz: f32p, state: f64p, slide: f64, rate: f64
) -> None:
    """y ← x times the carrier. `state`: the sine's phase in cycles, the weight of the input carrier, 1 once started."""
    for n in range(y.frames):
        share = f64(source[n])
        if state[2] == 1.0:
            share = state[1] + (share - state[1]) * slide
            share = f64(source[n]) if abs(share - f64(source[n])) < 1e-6 else share
        state[1] = share
        state[2] = 1.0
        s = math.sin(TAU * state[0])
        turns = state[0] + f64(hertz[n]) / rate
        state[0] = turns - math.floor(turns)
        for c in range(y.channels):
            other = effects_finite(carrier[c, n])
            y[c, n] = effects_finite(x[c, n]) * (s + (other - s) * share)


class Ringmod(Processor):
    """Multiplies the sound by a carrier: sums and differences of their frequencies."""

    on_files = FileUse(changes=("pitch", "level"))
    inputs = (AUDIO_IN, Port("carrier"))
    params = (
        Param("source", "choice", "sine", choices=("sine", "carrier"), doc="A sine, or the input `carrier`."),
        hertz("frequency", 220.0, 0.5, 10000.0, "Frequency of the sine."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._slide = 1.0 - math.exp(-1.0 / (FADE * spec.rate))
        self._state = np.zeros(3, np.float64)
        self.parts = (TurnsLog(self._state, 0),)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, carrier = io.audio_in
        return effects_ringmod.step(
            x, carrier, io.audio_out[0], io.curve("source"), io.curve("frequency"), self._state, self._slide, self._rate
        )


@kernel
def effects_width(x: Audio, y: Audio, width: f32p, bass: f32p, state: f64p, rate: f64) -> None:
    """First two channels of y ← x with the side signal scaled. `state`: two lowpasses of the side."""
    pole = f64(1.0)
    for n in range(y.frames):
        low = f64(bass[n])
        if effects_is_changed(bass, n) == 1:
            pole = effects_decay_factor(1.0 / (TAU * low), rate) if low >= 1.0 else 1.0
        left = effects_finite(x[0, n])
        right = effects_finite(x[1, n])
        side = 0.5 * (left - right)
        one = side + (state[0] - side) * pole
        two = one + (state[1] - one) * pole
        state[0] = effects_flush_denormal(one)
        state[1] = effects_flush_denormal(two)
        # two equal lowpasses, subtracted: a highpass of two poles
        high = side - 2.0 * one + two if low >= 1.0 else side
        more = f64(width[n]) * high - side
        y[0, n] = left + more
        y[1, n] = right - more


class Width(Processor):
    """Scales the side signal: 0 is mono, 1 unchanged, 2 doubled. Mono, and channels above two, pass unchanged."""

    params = (
        smooth_param("width", 1.0, 0.0, 2.0, "Stereo width: 0 mono, 1 unchanged, 2 twice as wide."),
        Param("bass", high=500.0, unit="Hz", smooth=0.05, doc="Crossover below which it is mono; 0 is off."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(2, np.float64)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, y = io.audio_in[0], io.audio_out[0]
        if x.shape[0] < 2:
            return copy_sound.step(x, y)
        widened = effects_width.step(x, y, io.curve("width"), io.curve("bass"), self._state, self._rate)
        return widened if x.shape[0] == 2 else copy_sound.step(x, y).then(widened)


SHAPES = ("sine", "triangle", "square")
TAU = 2.0 * math.pi
EDGE = 0.003
"""Minimum time in seconds in which the gain crosses its range, so that a square does not click."""


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
    """The parameters, one value per frame."""

    shape: f32p
    rate: f32p
    beats: f32p
    depth: f32p
    spread: f32p


@kernel
def effects_tremolo(
    x: Audio, y: Audio, p: TremoloCurves, state: f64p, beat: f64, step: f64, most: f64, rate: f64
) -> None:
    """y ← x times the wave. `state`: the phase in cycles, 1 once started, the wave of each side."""
    for n in range(y.frames):
        state[0] = effects_lfo_phase(state[0], f64(p.rate[n]), f64(p.beats[n]), beat + step * f64(n), rate)
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
        self.parts = (TurnsLog(self._state, 0),)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, y, curves = io.audio_in[0], io.audio_out[0], TremoloCurves._make(map(io.curve, TremoloCurves._fields))
        step, most = io.time.beats_per_frame(self._rate), 1.0 / (EDGE * self._rate)
        return effects_tremolo.step(x, y, curves, self._state, io.time.beat, step, most, self._rate)
