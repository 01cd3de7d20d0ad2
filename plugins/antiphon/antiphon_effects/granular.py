"""Granular synthesis from recent input, with position, pitch and density of grains; `freeze` keeps the buffer.

Roads, Microsound (2001), chapter 3. Grains begin at regular distances, with random deviations of place, pitch and pan.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel
from antiphon_effects.shared import effects_finite, effects_random, smooth_param

BUFFER_SECONDS = 4.0
"""Buffer length in seconds."""
GRAINS = 32
"""Maximum simultaneous grains; a further grain waits for a free slot."""
TAU = 2.0 * math.pi
# places in `whole`: write position, frames kept, random state
_AT, _KEPT, _DICE = 0, 1, 2
# of each grain in `grains`: frames left, length, index in the ring, speed, gain of left and right
_LEFT, _LENGTH, _PLACE, _SPEED, _GAIN_L, _GAIN_R, _GRAIN = 0, 1, 2, 3, 4, 5, 6


@kernel
def effects_granular_random(whole: i64p) -> f64:
    """Random number, -1 to 1."""
    whole[_DICE] = effects_random(whole[_DICE])
    return f64((whole[_DICE] >> 11) & 9007199254740991) / 4503599627370496.0 - 1.0


class GranularCurves(NamedTuple):
    """The parameters, one value per frame."""

    freeze: f32p
    position: f32p
    size: f32p
    density: f32p
    pitch: f32p
    jitter: f32p
    detune: f32p
    spread: f32p


@kernel
def effects_granular(
    x: Audio, y: Audio, p: GranularCurves, ring: Audio, grains: f64p, whole: i64p, wait: f64p, rate: f64
) -> None:
    """y ← grains of x. `wait`: frames to the next grain, and the gain compensation of the overlap."""
    length = ring.frames
    for n in range(y.frames):
        if p.freeze[n] < 0.5:
            for c in range(x.channels):
                ring[c, whole[_AT]] = f32(effects_finite(x[c, n]))
            at = whole[_AT] + 1
            whole[_AT] = 0 if at >= length else at
            whole[_KEPT] = min(whole[_KEPT] + 1, length)
        wait[0] -= 1.0
        if wait[0] <= 0.0:
            wait[0] += max(rate / f64(p.density[n]), 1.0)
            frames = math.floor(max(f64(p.size[n]) * rate, 16.0))
            speed = math.exp2((f64(p.pitch[n]) + f64(p.detune[n]) * effects_granular_random(whole)) / 12.0)
            back = f64(p.position[n]) + f64(p.jitter[n]) * 0.5 * (1.0 + effects_granular_random(whole))
            # a grain reads what is kept alone: not before the oldest frame, not beyond the newest
            back = back * rate + max(0.0, speed - 1.0) * frames + 2.0
            most = f64(whole[_KEPT]) - max(0.0, 1.0 - speed) * frames - 2.0
            back = min(back, most)
            pan = f64(p.spread[n]) * effects_granular_random(whole)
            fits = back >= max(0.0, speed - 1.0) * frames + 2.0
            g = 0
            while g < GRAINS:
                if fits and grains[g * _GRAIN + _LEFT] <= 0.0:
                    place = f64(whole[_AT]) - back
                    grains[g * _GRAIN + _LEFT] = frames
                    grains[g * _GRAIN + _LENGTH] = frames
                    grains[g * _GRAIN + _PLACE] = place + f64(length) if place < 0.0 else place
                    grains[g * _GRAIN + _SPEED] = speed
                    grains[g * _GRAIN + _GAIN_L] = min(1.0, 1.0 - pan)
                    grains[g * _GRAIN + _GAIN_R] = min(1.0, 1.0 + pan)
                    g = GRAINS
                g += 1
        overlap = f64(p.size[n]) * f64(p.density[n])
        want = 1.0 / math.sqrt(max(1.0, overlap))
        wait[1] = want if wait[1] == 0.0 else wait[1] + (want - wait[1]) * 0.001
        for c in range(y.channels):
            y[c, n] = f32(0.0)
        for k in range(GRAINS):
            g = k * _GRAIN
            if grains[g + _LEFT] > 0.0:
                gone = 1.0 - grains[g + _LEFT] / grains[g + _LENGTH]
                window = (0.5 - 0.5 * math.cos(TAU * gone)) * wait[1]
                first = i64(grains[g + _PLACE])
                part = grains[g + _PLACE] - f64(first)
                first = first - length if first >= length else first
                second = 0 if first + 1 >= length else first + 1
                for c in range(y.channels):
                    gain = window * (grains[g + _GAIN_L] if c % 2 == 0 else grains[g + _GAIN_R])
                    v = f64(ring[c, first]) * (1.0 - part) + f64(ring[c, second]) * part
                    y[c, n] = y[c, n] + f32(v * gain)
                place = grains[g + _PLACE] + grains[g + _SPEED]
                grains[g + _PLACE] = place - f64(length) if place >= f64(length) else place
                grains[g + _LEFT] -= 1.0


class Granular(Processor):
    """Plays grains of the last 4 seconds."""

    on_files = FileUse(tail=True, changes=("time", "level", "channels"))
    params = (
        Param("freeze", "switch", False, doc="Keeps the sound there is, and takes no more."),
        smooth_param("position", 0.05, 0.0, BUFFER_SECONDS / 2, "How long ago grains are from.", "s"),
        Param("size", default=0.12, low=0.005, high=0.5, unit="s", warp="log", doc="Length of a grain."),
        Param("density", default=20.0, low=0.5, high=200.0, unit="Hz", warp="log", doc="Grains a second."),
        Param("pitch", default=0.0, low=-24.0, high=24.0, unit="semitones", doc="Transposes the grains."),
        Param("jitter", default=0.05, low=0.0, high=BUFFER_SECONDS / 4, unit="s", doc="Random deviation of place."),
        Param("detune", default=0.0, low=0.0, high=12.0, unit="semitones", doc="Random deviation of pitch."),
        Param("spread", default=0.5, low=0.0, high=1.0, doc="Random pan."),
        Param("seed", "int", 1, 0, 65535, restart=True, doc="Random seed."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._ring = np.zeros((spec.channels, round(BUFFER_SECONDS * spec.rate)), np.float32)
        self._grains = np.zeros(GRAINS * _GRAIN, np.float64)
        self._whole = np.zeros(3, np.int64)
        self._wait = np.zeros(2, np.float64)
        self.reset()

    def reset(self) -> None:
        # the ring need not be cleared: only frames written since are read
        for state in (self._grains, self._whole, self._wait):
            state.fill(0)
        self._whole[_DICE] = 2 * int(self.settings["seed"]) + 1

    def step(self, io: IO) -> Step:
        x, y, curves = io.audio_in[0], io.audio_out[0], GranularCurves._make(map(io.curve, GranularCurves._fields))
        return effects_granular.step(x, y, curves, self._ring, self._grains, self._whole, self._wait, self._rate)
