"""A transient shaper: more or less attack, more or less sustain, at any level.

Differential envelopes, as in SPL's Transient Designer (1998): one envelope that rises at once less one that rises
slowly is above 0 in an attack; one that falls slowly less one that falls fast is above 0 after it. Both differences are
in dB, so that a soft note is shaped as a loud one is, and a steady sound passes nearly unchanged.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import IO, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, kernel
from antiphon_effects.shared import effects_decibels, effects_finite, effects_gain, effects_peak, smooth_param

TIMES = (0.05, 0.03, 0.06, 0.3)
"""Time constants, s: fall of attack's fast envelope, rise of its slow one, falls of sustain's fast and slow ones."""
DEAD = 1.0
"""Dead zone of the envelope difference in dB: an envelope follows the waves of a low tone."""
FULL = 9.0
"""Envelope difference in dB at which the full gain is applied."""
FLOOR = 1e-4
"""Magnitude floor of the envelopes: noise between notes has no attack."""
SETTLE = 0.002
"""Time constant of the gain in seconds."""


@kernel
def effects_transient(x: Audio, y: Audio, attack: f32p, sustain: f32p, poles: f64p, state: f64p) -> None:
    """y ← x with shaped attacks. poles: of `TIMES` and the gain. state: envelopes, gain in dB."""
    for n in range(y.frames):
        top = max(FLOOR, effects_peak(x, n))
        fast = max(top, state[0] * poles[0])
        slow = fast + (max(state[1], FLOOR) - fast) * poles[1]
        slow = fast if fast < slow else slow
        short = max(top, state[2] * poles[2])
        long = max(top, state[3] * poles[3])
        state[0] = fast
        state[1] = slow
        state[2] = short
        state[3] = long
        rising = (effects_decibels(fast) - effects_decibels(slow) - DEAD) / FULL
        falling = (effects_decibels(long) - effects_decibels(short) - DEAD) / FULL
        wanted = f64(attack[n]) * max(0.0, min(1.0, rising)) + f64(sustain[n]) * max(0.0, min(1.0, falling))
        now = wanted + (state[4] - wanted) * poles[4]
        now = 0.0 if abs(now) < 1e-6 else now
        state[4] = now
        g = effects_gain(now) if now != 0.0 else 1.0
        for c in range(y.channels):
            y[c, n] = effects_finite(x[c, n]) * g


class Transient(Processor):
    """Raises or lowers attacks and sustains; at 0 dB both pass the sound bit for bit."""

    params = (
        smooth_param("attack", 6.0, -24.0, 24.0, "Gain of the attack.", "dB"),
        smooth_param("sustain", 0.0, -24.0, 24.0, "Gain of the sustain.", "dB"),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._poles = np.exp(-1.0 / (np.array([*TIMES, SETTLE]) * spec.rate))
        self._state = np.zeros(5, np.float64)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        return effects_transient.step(
            io.audio_in[0], io.audio_out[0], io.curve("attack"), io.curve("sustain"), self._poles, self._state
        )
