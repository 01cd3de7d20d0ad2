"""A noise gate: silence between notes.

A level detector with two thresholds (hysteresis) and a hold time, then a gain with attack and release; Zölzer (ed.),
DAFX: Digital Audio Effects (2nd ed., 2011), section 4.2.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import AUDIO_IN, IO, Param, Port, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, kernel
from antiphon_effects.shared import (
    effects_decibels,
    effects_fall,
    effects_finite,
    effects_gain,
    effects_peak,
    smooth_param,
    time_constant,
)

DETECTOR = 0.01
"""Time constant in seconds with which the detected peak decays: above half a period of 50 Hz."""
CLOSED = -90.0
"""`range` at and below which a closed gate is silence, dB."""
NEAR = 1e-4
"""Difference from its end below which the gain is there: 1e-4 is -80 dB."""
# places in `state`: the peak, the gain, 1 while open, frames left of the hold
_LEVEL, _GAIN, _OPEN, _HOLD, _SIZE = 0, 1, 2, 3, 4


@kernel
def effects_gate(
    x: Audio,
    side: Audio,
    y: Audio,
    source: f32p,
    threshold: f32p,
    hysteresis: f32p,
    attack: f32p,
    hold: f32p,
    release: f32p,
    low: f32p,
    state: f64p,
    detector: f64,
    rate: f64,
) -> None:
    """y ← x while the detector's sound is above the threshold (dB), else x lowered by `low` dB."""
    attack_at = f64(0.0)
    release_at = f64(0.0)
    rise = f64(0.0)
    fall = f64(0.0)
    low_at = f64(1.0)
    floor = f64(0.0)
    for n in range(y.frames):
        top = effects_peak(x, n) if source[n] == 0.0 else effects_peak(side, n)
        held = state[_LEVEL] * detector
        held = top if top > held else held
        state[_LEVEL] = 0.0 if held < 1e-9 else held
        decibels = effects_decibels(state[_LEVEL])
        if decibels >= f64(threshold[n]):
            state[_OPEN] = 1.0
            state[_HOLD] = f64(hold[n]) * rate
        elif decibels < f64(threshold[n]) - f64(hysteresis[n]):
            if state[_HOLD] > 0.0:
                state[_HOLD] = state[_HOLD] - 1.0
            else:
                state[_OPEN] = 0.0
        elif state[_OPEN] == 1.0:
            state[_HOLD] = f64(hold[n]) * rate
        if f64(attack[n]) != attack_at:
            attack_at = f64(attack[n])
            rise = effects_fall(attack_at, rate)
        if f64(release[n]) != release_at:
            release_at = f64(release[n])
            fall = effects_fall(release_at, rate)
        if f64(low[n]) != low_at:
            low_at = f64(low[n])
            floor = effects_gain(low_at) if low_at > CLOSED else 0.0
        end = 1.0 if state[_OPEN] == 1.0 else floor
        gone = rise if state[_OPEN] == 1.0 else fall
        g = end + (state[_GAIN] - end) * gone
        g = end if abs(g - end) < NEAR else g
        state[_GAIN] = g
        for c in range(y.channels):
            y[c, n] = effects_finite(x[c, n]) * g


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

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, side = io.audio_in
        return effects_gate.step(
            x,
            side,
            io.audio_out[0],
            io.curve("detector"),
            io.curve("threshold"),
            io.curve("hysteresis"),
            io.curve("attack"),
            io.curve("hold"),
            io.curve("release"),
            io.curve("range"),
            self._state,
            self._detector,
            self._rate,
        ).reporting(open=(self._state, _OPEN))
