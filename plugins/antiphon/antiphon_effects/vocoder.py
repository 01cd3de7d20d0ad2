"""Channel vocoder: the spectral envelope of one sound applied to another, band by band.

Dudley, "Remaking speech" (JASA 11, 1939). Twenty bands, each two state-variable bandpasses in series (Simper, "Linear
trapezoidal integrated SVF", 2011), spaced evenly in the logarithm of frequency. The level of each band of the sound is
the gain of that band of the carrier: the second input, or an antialiased saw (Välimäki and Huovilainen, "Antialiasing
oscillators in subtractive synthesis", IEEE Signal Processing Magazine 24, 2007).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import AUDIO_IN, IO, FileUse, Param, Port, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel
from antiphon_effects.shared import (
    effects_decay_factor,
    effects_finite,
    effects_flush_denormal,
    effects_is_changed,
    effects_random,
    hertz,
    smooth_param,
    time_constant,
)

BANDS = 20
LOWEST, HIGHEST = 90.0, 9000.0
"""Centre frequencies in Hz of the lowest and the highest band."""
Q = 4.6
"""Q of each of the two filters of a band: their -3 dB edges meet those of the next band."""
LEVEL = 25.0
"""Make-up gain: speech on a saw is about as loud as the speech."""
FADE = 0.02
"""Time constant in seconds of the crossfade between carriers."""
# places in `state` for each band: two filters of the sound, its envelope; two filters of each channel of the carrier
_ENVELOPE, _CARRIER = 4, 5


@kernel
def effects_bandpass(v: f64, a1: f64, a2: f64, a3: f64, damp: f64, state: f64p, at: i64) -> f64:
    """Computes one step of a state-variable bandpass of 0 dB at its peak. `state`: two numbers from `at` on."""
    one = state[at]
    two = state[at + 1]
    v3 = v - two
    v1 = a1 * one + a2 * v3
    v2 = two + a2 * one + a3 * v3
    state[at] = 2.0 * v1 - one
    state[at + 1] = 2.0 * v2 - two
    return f64(damp * v1)


class CarrierCurves(NamedTuple):
    """Carrier parameters, one value per frame."""

    source: f32p
    frequency: f32p
    breath: f32p


@kernel
def effects_carrier(carrier: Audio, y: Audio, p: CarrierCurves, own: f64p, dice: i64p, slide: f64, rate: f64) -> None:
    """y ← the carrier. `own`: phase of the saw, share of the saw, 1 once started. `dice`: state of the noise."""
    for n in range(y.frames):
        share = f64(p.source[n])
        if own[2] == 1.0:
            share = own[1] + (share - own[1]) * slide
        own[1] = share
        own[2] = 1.0
        step = f64(p.frequency[n]) / rate
        t = own[0] + step
        t = t - math.floor(t)
        own[0] = t
        saw = 2.0 * t - 1.0
        if t < step:
            u = t / step - 1.0
            saw = saw + u * u
        elif t > 1.0 - step:
            u = (t - 1.0) / step + 1.0
            saw = saw - u * u
        for c in range(y.channels):
            dice[c] = effects_random(dice[c])
            noise = f64(dice[c] >> 11) / 4503599627370496.0
            v = effects_finite(carrier[c, n])
            v = v + (saw - v) * share
            y[c, n] = v + (noise - v) * f64(p.breath[n])


class VocoderCurves(NamedTuple):
    """Time constants, one value per frame."""

    attack: f32p
    release: f32p


@kernel
def effects_vocoder(
    x: Audio, carrier: Audio, y: Audio, p: VocoderCurves, state: f64p, tables: f64p, width: i64, rate: f64
) -> None:
    """y ← carrier with the band levels of x. tables: a1, a2, a3 and damping of each band. width: numbers per band."""
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = 0.0
    for b in range(BANDS):
        at = b * width
        a1 = tables[4 * b]
        a2 = tables[4 * b + 1]
        a3 = tables[4 * b + 2]
        damp = tables[4 * b + 3]
        rise = f64(0.0)
        fall = f64(0.0)
        for n in range(y.frames):
            v = f64(0.0)
            for c in range(x.channels):
                v = v + effects_finite(x[c, n])
            v = v / f64(x.channels)
            v = effects_bandpass(v, a1, a2, a3, damp, state, at)
            v = abs(effects_bandpass(v, a1, a2, a3, damp, state, at + 2))
            if effects_is_changed(p.attack, n) == 1:
                rise = effects_decay_factor(f64(p.attack[n]), rate)
            if effects_is_changed(p.release, n) == 1:
                fall = effects_decay_factor(f64(p.release[n]), rate)
            old = state[at + _ENVELOPE]
            g = v + (old - v) * (rise if v > old else fall)
            g = effects_flush_denormal(g)
            state[at + _ENVELOPE] = g
            for c in range(y.channels):
                place = at + _CARRIER + 4 * c
                w = effects_bandpass(f64(carrier[c, n]), a1, a2, a3, damp, state, place)
                w = effects_bandpass(w, a1, a2, a3, damp, state, place + 2)
                y[c, n] = y[c, n] + f32(w * g * LEVEL)
        for i in range(width):
            state[at + i] = state[at + i] if abs(state[at + i]) > 1e-20 else 0.0


class Vocoder(Processor):
    """Applies the input's spectral envelope, in mono, to the carrier."""

    inputs = (AUDIO_IN, Port("carrier"))
    on_files = FileUse(needs=("source",), changes=("time", "pitch", "level", "channels"))
    params = (
        Param(
            "source",
            "choice",
            "saw",
            choices=("carrier", "saw"),
            doc="The input `carrier`, which only a patch wires, or a saw of its own.",
        ),
        hertz("frequency", 110.0, 20.0, 2000.0, "Frequency of the saw."),
        smooth_param("breath", 0.05, 0.0, 1.0, "Noise in the carrier, for consonants."),
        time_constant("attack", 0.005, 0.001, 0.5, "Attack of the band envelopes."),
        time_constant("release", 0.03, 0.002, 2.0, "Release of the band envelopes; long ones smear."),
        Param("seed", "int", 1, low=0, high=9999, restart=True, doc="Random seed of the noise."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._width = _CARRIER + 4 * spec.channels
        self._state = np.zeros(BANDS * self._width, np.float64)
        self._own = np.zeros(3, np.float64)
        self._dice = np.zeros(spec.channels, np.int64)
        self._carrier = np.zeros((spec.channels, spec.block), np.float32)
        self._slide = 1.0 - math.exp(-1.0 / (FADE * spec.rate))
        top = min(HIGHEST, 0.4 * spec.rate)
        g = np.tan(np.pi * np.geomspace(LOWEST, top, BANDS) / spec.rate)
        a1 = 1.0 / (1.0 + g * (g + 1.0 / Q))
        self._tables = np.stack([a1, g * a1, g * g * a1, np.full(BANDS, 1.0 / Q)], axis=1).ravel().copy()
        self._seed = int(self.settings["seed"])
        self.reset()

    def reset(self) -> None:
        self._state.fill(0.0)
        self._own.fill(0.0)
        for c in range(len(self._dice)):
            self._dice[c] = self._seed * 7919 + c * 104729 + 1

    def step(self, io: IO) -> Step:
        x, carrier = io.audio_in
        made = self._carrier if io.frames == self._carrier.shape[1] else self._carrier[:, : io.frames]
        carried = CarrierCurves._make(map(io.curve, CarrierCurves._fields))
        curves = VocoderCurves._make(map(io.curve, VocoderCurves._fields))
        carry = effects_carrier.step(carrier, made, carried, self._own, self._dice, self._slide, self._rate)
        y, state = io.audio_out[0], self._state
        return carry.then(effects_vocoder.step(x, made, y, curves, state, self._tables, self._width, self._rate))
