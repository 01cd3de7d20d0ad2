"""Dynamic range compressor.

Feed-forward, in the log domain, with a soft knee and the smooth decoupled peak detector, after Giannoulis, Massberg and
Reiss, "Digital Dynamic Range Compressor Design" (JAES 60, 2012): level in dB, then the static curve, then attack and
release of the gain reduction. So the times are independent of the level, and sound below the knee passes bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from antiphon.api import AUDIO_IN, IO, FileUse, Param, Port, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, kernel
from antiphon_effects.shared import (
    NEPER,
    effects_decay_factor,
    effects_decibels,
    effects_exp,
    effects_finite,
    effects_gain,
    effects_is_changed,
    effects_log,
    effects_peak,
    effects_peak_frames,
    smooth_param,
    time_constant,
)

DETECTOR = 0.01
"""Decay time constant of the detected peak in seconds: above half a period of 50 Hz."""
CLOSED = -90.0
"""Value of `range` in dB at and below which a closed gate is silent."""
CLOSE = 1e-5
"""Relative distance of a level from a threshold within which it is compared in dB."""
NEAR = 1e-4
"""Distance from the target below which the gain is set to it: 1e-4 is -80 dB."""
# places in `state`: the peak, the gain, 1 while open, frames left of the hold
_LEVEL, _GAIN, _OPEN, _HOLD, _GATE_SIZE = 0, 1, 2, 3, 4


@kernel
def effects_gate_above(level: f64, decibels: f64, factor: f64) -> i64:
    """1 if a level is at least `decibels`. `factor`: the same as a linear factor; levels near it are compared in dB."""
    if level > factor * (1.0 + CLOSE):
        return 1
    if level < factor * (1.0 - CLOSE):
        return 0
    return 1 if effects_decibels(level) >= decibels else 0


class GateCurves(NamedTuple):
    """The parameters, one value per frame."""

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
    """y ← x while the detector signal is above the threshold (dB), else x attenuated by `low` dB; `gains`: scratch."""
    effects_peak_frames(x, side, p.detector, gains)
    rise = f64(0.0)
    fall = f64(0.0)
    floor = f64(0.0)
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
        if effects_is_changed(p.threshold, n) == 1:
            opens = effects_gain(upper)
        if effects_is_changed(p.threshold, n) == 1 or effects_is_changed(p.hysteresis, n) == 1:
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
        if effects_is_changed(p.attack, n) == 1:
            rise = effects_decay_factor(f64(p.attack[n]), rate)
        if effects_is_changed(p.release, n) == 1:
            fall = effects_decay_factor(f64(p.release[n]), rate)
        if effects_is_changed(p.range, n) == 1:
            floor = effects_gain(f64(p.range[n])) if f64(p.range[n]) > CLOSED else 0.0
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


def _detector(does: str) -> Param:
    doc = f"Which signal {does}: the input or the side chain."
    return Param("detector", "choice", "input", choices=("input", "side"), doc=doc)


class _Dynamics(Processor):
    """Base of the processors with one gain for all channels, by the level of their input, or of `side`."""

    inputs = (AUDIO_IN, Port("side"))
    size = 0
    """Numbers of the state."""

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(self.size, np.float64)
        self._gains = np.zeros(spec.block, np.float64)

    def reset(self) -> None:
        self._state.fill(0.0)


class Gate(_Dynamics):
    """Passes sound above `threshold` bit for bit, and closes below `threshold` less `hysteresis`."""

    size = _GATE_SIZE
    params = (
        _detector("opens it"),
        smooth_param("threshold", -45.0, -90.0, 0.0, "Peak level that opens it.", "dB"),
        smooth_param("hysteresis", 6.0, 0.0, 24.0, "It closes this far below the threshold.", "dB"),
        time_constant("attack", 0.001, 0.00005, 0.5, "Time constant of opening."),
        smooth_param("hold", 0.05, 0.0, 2.0, "Time for which it stays open.", "s"),
        time_constant("release", 0.05, 0.001, 5.0, "Time constant of closing."),
        smooth_param("range", CLOSED, CLOSED, 0.0, "Gain while closed; -90 is silence.", "dB"),
        Param("open", "switch", False, readonly=True, doc="Whether it is open now."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        super().prepare(spec)
        self._detector = float(np.exp(-1.0 / (DETECTOR * spec.rate)))

    def step(self, io: IO) -> Step:
        (x, side), y, curves = io.audio_in, io.audio_out[0], GateCurves._make(map(io.curve, GateCurves._fields))
        step = effects_gate.step(x, side, y, curves, self._state, self._gains, self._detector, self._rate)
        return step.reporting(open=(self._state, _OPEN))


TIMES = (0.05, 0.03, 0.06, 0.3)
"""Time constants, s: fall of attack's fast envelope, rise of its slow one, falls of sustain's fast and slow ones."""
DEAD_ZONE_DB = 1.0
"""Dead zone of the envelope difference in dB: an envelope follows the waves of a low tone."""
FULL_DIFFERENCE_DB = 9.0
"""Envelope difference in dB at which the full gain is applied."""
FLOOR = 1e-4
"""Minimum magnitude of the envelopes, so that noise between notes has no attack."""
SETTLE = 0.002
"""Time constant of the gain in seconds."""


@kernel
def effects_transient(x: Audio, y: Audio, attack: f32p, sustain: f32p, poles: f64p, state: f64p) -> None:
    """y ← x with shaped attacks. `poles`: of `TIMES` and the gain. `state`: envelopes, gain in dB."""
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
        rising = (effects_decibels(fast) - effects_decibels(slow) - DEAD_ZONE_DB) / FULL_DIFFERENCE_DB
        falling = (effects_decibels(long) - effects_decibels(short) - DEAD_ZONE_DB) / FULL_DIFFERENCE_DB
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


# places in `state`: the reduction after release and after attack, in dB
_HELD, _CUT, _SIZE = 0, 1, 2
_FAINT = 1e-6


class CompressorCurves(NamedTuple):
    """The parameters, one value per frame."""

    detector: f32p
    threshold: f32p
    ratio: f32p
    knee: f32p
    attack: f32p
    release: f32p
    makeup: f32p


@kernel
def effects_compressor(
    x: Audio, side: Audio, y: Audio, p: CompressorCurves, state: f64p, gains: f64p, rate: f64
) -> None:
    """y ← x, compressed while the detector signal is above the threshold (dB). `gains`: scratch, one per frame."""
    # only the middle one of these loops needs the frame before; the others run in vectors
    effects_peak_frames(x, side, p.detector, gains)
    for n in range(y.frames):
        over = f64(f32(effects_log(f64(f32(max(gains[n], 1e-6)))))) * (1.0 / NEPER) - f64(p.threshold[n])
        slope = 1.0 - 1.0 / f64(p.ratio[n])
        width = f64(p.knee[n])
        bent = slope * (over + 0.5 * width) * (over + 0.5 * width) / (2.0 * width)
        bent = bent if 2.0 * over > -width and width > 0.0 else 0.0
        gains[n] = slope * over if 2.0 * over > width else bent
    rise = f64(0.0)
    fall = f64(0.0)
    held = state[_HELD]
    now = state[_CUT]
    for n in range(y.frames):
        cut = gains[n]
        if effects_is_changed(p.attack, n) == 1:
            rise = effects_decay_factor(f64(p.attack[n]), rate)
        if effects_is_changed(p.release, n) == 1:
            fall = effects_decay_factor(f64(p.release[n]), rate)
        held = cut + (held - cut) * fall
        held = cut if cut > held else held
        held = 0.0 if held < _FAINT else held
        now = held + (now - held) * rise
        now = 0.0 if now < _FAINT else now
        gains[n] = f64(p.makeup[n]) - now
    state[_HELD] = held
    state[_CUT] = now
    for n in range(y.frames):
        gains[n] = f64(f32(effects_exp(f64(f32(gains[n] * NEPER)))))
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = effects_finite(x[c, n]) * gains[n]


class Compressor(_Dynamics):
    """Compresses the dynamic range: above `threshold`, `ratio` dB of input become one dB of output.

    All channels have the same gain. With `detector` set to side, the input `side` controls it: ducking.
    """

    on_files = FileUse(changes=("level",))
    size = _SIZE
    params = (
        _detector("sets the gain"),
        smooth_param("threshold", -20.0, -80.0, 0.0, "Peak level above which the gain is reduced.", "dB"),
        Param(
            "ratio",
            default=4.0,
            low=1.0,
            high=100.0,
            warp="log",
            smooth=0.02,
            doc="Compression ratio: 1 does nothing, 100 limits.",
        ),
        smooth_param("knee", 6.0, 0.0, 36.0, "Width of the knee; 0 is a hard knee.", "dB"),
        time_constant("attack", 0.005, 0.00005, 0.5, "Time constant of a rising reduction."),
        time_constant("release", 0.1, 0.005, 5.0, "Time constant of a falling reduction."),
        smooth_param("makeup", 0.0, -24.0, 36.0, "Gain after the compressor.", "dB"),
        Param("reduction", default=0.0, low=0.0, high=120.0, unit="dB", readonly=True, doc="Gain reduction now."),
    )

    def step(self, io: IO) -> Step:
        (x, side), y = io.audio_in, io.audio_out[0]
        curves = CompressorCurves._make(map(io.curve, CompressorCurves._fields))
        step = effects_compressor.step(x, side, y, curves, self._state, self._gains, self._rate)
        return step.reporting(reduction=(self._state, _CUT))
