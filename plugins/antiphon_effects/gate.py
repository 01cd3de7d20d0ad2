"""A noise gate: silence between notes.

A level detector with two thresholds (hysteresis) and a hold time, then a gain with attack and release; Zölzer (ed.),
DAFX: Digital Audio Effects (2nd ed., 2011), section 4.2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from antiphon.api import AUDIO_IN, IO, Param, Port, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, i64, kernel
from antiphon_effects.shared import (
    effects_decibels,
    effects_detect,
    effects_fall,
    effects_finite,
    effects_gain,
    smooth_param,
    time_constant,
)

DETECTOR = 0.01
"""Decay time constant of the detected peak in seconds: above half a period of 50 Hz."""
CLOSED = -90.0
"""`range` at and below which a closed gate is silent, dB."""
CLOSE = 1e-5
"""Relative distance of a level from a threshold within which it is compared in dB."""
NEAR = 1e-4
"""Distance from the target below which the gain is set to it: 1e-4 is -80 dB."""
# places in `state`: the peak, the gain, 1 while open, frames left of the hold
_LEVEL, _GAIN, _OPEN, _HOLD, _SIZE = 0, 1, 2, 3, 4


@kernel
def effects_gate_above(level: f64, decibels: f64, factor: f64) -> i64:
    """1 if a level is at least `decibels`. factor: the threshold as a factor; the logarithm decides near it."""
    if level > factor * (1.0 + CLOSE):
        return 1
    if level < factor * (1.0 - CLOSE):
        return 0
    return 1 if effects_decibels(level) >= decibels else 0


class GateCurves(NamedTuple):
    """The parameters, a place a frame."""

    detector: f32p
    threshold: f32p
    hysteresis: f32p
    attack: f32p
    hold: f32p
    release: f32p
    range: f32p


@kernel
def effects_gate(
    x: Audio, side: Audio, y: Audio, p: GateCurves, state: f64p, gains: f64p, detector: f64, rate: f64
) -> None:
    """y ← x while the detector signal is above the threshold (dB), else x attenuated by `low` dB; gains: scratch."""
    effects_detect(x, side, p.detector, gains)
    attack_at = f64(0.0)
    release_at = f64(0.0)
    rise = f64(0.0)
    fall = f64(0.0)
    low_at = f64(1.0)
    floor = f64(0.0)
    opens_at = f64(1.0)
    closes_at = f64(1.0)
    opens = f64(0.0)
    closes = f64(0.0)
    level = state[_LEVEL]
    gain = state[_GAIN]
    open = state[_OPEN]
    left = state[_HOLD]
    for n in range(y.frames):
        level = max(level * detector, gains[n])
        level = 0.0 if level < 1e-9 else level
        upper = f64(p.threshold[n])
        lower = upper - f64(p.hysteresis[n])
        if upper != opens_at:
            opens_at = upper
            opens = effects_gain(upper)
        if lower != closes_at:
            closes_at = lower
            closes = effects_gain(lower)
        if effects_gate_above(level, upper, opens) == 1:
            open = 1.0
            left = f64(p.hold[n]) * rate
        elif effects_gate_above(level, lower, closes) == 0:
            if left > 0.0:
                left = left - 1.0
            else:
                open = 0.0
        elif open == 1.0:
            left = f64(p.hold[n]) * rate
        if f64(p.attack[n]) != attack_at:
            attack_at = f64(p.attack[n])
            rise = effects_fall(attack_at, rate)
        if f64(p.release[n]) != release_at:
            release_at = f64(p.release[n])
            fall = effects_fall(release_at, rate)
        if f64(p.range[n]) != low_at:
            low_at = f64(p.range[n])
            floor = effects_gain(low_at) if low_at > CLOSED else 0.0
        end = 1.0 if open == 1.0 else floor
        gain = end + (gain - end) * (rise if open == 1.0 else fall)
        gain = end if abs(gain - end) < NEAR else gain
        gains[n] = gain
    state[_LEVEL] = level
    state[_GAIN] = gain
    state[_OPEN] = open
    state[_HOLD] = left
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = effects_finite(x[c, n]) * gains[n]


class Gate(Processor):
    """Passes sound above `threshold` bit for bit, and closes below `threshold` less `hysteresis`."""

    inputs = (AUDIO_IN, Port("side"))
    params = (
        Param(
            "detector",
            "choice",
            "input",
            choices=("input", "side"),
            doc="Which signal opens it: the input or the side chain.",
        ),
        smooth_param("threshold", -45.0, -90.0, 0.0, "Peak level that opens it.", "dB"),
        smooth_param("hysteresis", 6.0, 0.0, 24.0, "It closes this far below the threshold.", "dB"),
        time_constant("attack", 0.001, 0.00005, 0.5, "Time constant of opening."),
        smooth_param("hold", 0.05, 0.0, 2.0, "Time for which it stays open.", "s"),
        time_constant("release", 0.05, 0.001, 5.0, "Time constant of closing."),
        smooth_param("range", CLOSED, CLOSED, 0.0, "Gain while closed; -90 is silence.", "dB"),
        Param("open", "switch", False, readonly=True, doc="Whether it is open now."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._detector = float(np.exp(-1.0 / (DETECTOR * spec.rate)))
        self._state = np.zeros(_SIZE, np.float64)
        self._gains = np.zeros(spec.block, np.float64)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, side = io.audio_in
        return effects_gate.step(
            x,
            side,
            io.audio_out[0],
            GateCurves._make(map(io.curve, GateCurves._fields)),
            self._state,
            self._gains,
            self._detector,
            self._rate,
        ).reporting(open=(self._state, _OPEN))
