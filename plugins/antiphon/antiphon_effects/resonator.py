"""Resonator: a feedback comb filter tuned to a note or a frequency, with a given decay time.

Smith, Physical Audio Signal Processing (2010), feedback comb filters. The delay is shortened by the loop filter's phase
delay, so that it stays in tune.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import AUDIO_IN, EVENTS_IN, IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, kernel
from antiphon_effects.shared import GRID, PI, effects_finite, effects_flush_denormal, hertz, smooth_param

LOWEST = 20.0
"""Lowest frequency in Hz: the longest delay."""
GLIDE = 0.004
"""Time constant of the pitch glide in seconds."""
NOTES = 64
"""Maximum notes of one block; further ones are dropped."""
_DROP = math.log(0.001)
# places in `state`: write position, delay in frames, frequency of the last note (0: none), frames to the grid, target
# delay, feedback and its target
_AT, _DELAY, _NOTE, _GRID, _TARGET, _BACK, _GAIN, _SIZE = 0, 1, 2, 3, 4, 5, 6, 7


@kernel
def effects_atan(t: f64) -> f64:
    """atan(t) for t of 0 to 3, within 1e-7: series of a quarter of the angle."""
    t = t / (1.0 + math.sqrt(1.0 + t * t))
    t = t / (1.0 + math.sqrt(1.0 + t * t))
    q = t * t
    return 4.0 * t * (1.0 - q * (1.0 / 3.0 - q * (0.2 - q * (1.0 / 7.0 - q / 9.0))))


class ResonatorCurves(NamedTuple):
    """The parameters, one value per frame."""

    frequency: f32p
    decay: f32p
    damping: f32p
    follow: f32p


@kernel
def effects_resonator(
    x: Audio, y: Audio, p: ResonatorCurves, ring: Audio, low: f64p, state: f64p, notes: f64p, rate: f64
) -> None:
    """y ← output of the comb filter.

    `notes`: count, then the frame and frequency of each. `low`: the filter's state and input's mean per channel.
    """
    size = f64(ring.frames)
    follow = math.exp(-1.0 / (GLIDE * rate))
    still = 2.0 * PI * 10.0 / rate
    k = 0
    for n in range(y.frames):
        while k < i64(notes[0]) and notes[1 + 2 * k] <= f64(n):
            state[_NOTE] = notes[2 + 2 * k]
            state[_GRID] = 0.0
            k += 1
        a = 0.9 * f64(p.damping[n])
        if state[_GRID] <= 0.0:
            state[_GRID] = f64(GRID)
            pitch = state[_NOTE] if p.follow[n] >= 0.5 and state[_NOTE] > 0.0 else f64(p.frequency[n])
            pitch = max(LOWEST, min(pitch, 0.4 * rate))
            w = 2.0 * PI * pitch / rate
            # the phase delay of the filter in the loop: the angle of 1 - a e^-jw, by its tangent
            t = a * math.sin(w) / (1.0 - a * math.cos(w))
            lag = effects_atan(t) / w
            state[_TARGET] = rate / pitch - lag
            # compensates the loop filter's loss at the fundamental, clamped for stability
            loss = (1.0 - a) / math.sqrt(1.0 - 2.0 * a * math.cos(w) + a * a)
            state[_GAIN] = min(0.9995, math.exp(_DROP / (f64(p.decay[n]) * pitch)) / max(loss, 0.05))
            if state[_DELAY] == 0.0:
                state[_DELAY] = state[_TARGET]
                state[_BACK] = state[_GAIN]
        state[_GRID] -= 1.0
        state[_DELAY] = state[_TARGET] + (state[_DELAY] - state[_TARGET]) * follow
        state[_BACK] = state[_GAIN] + (state[_BACK] - state[_GAIN]) * follow
        delay = max(1.0, min(state[_DELAY], size - 3.0))
        at = i64(state[_AT])
        place = f64(at) - delay
        place = place + size if place < 0.0 else place
        first = i64(place)
        part = place - f64(first)
        second = 0 if first + 1 >= ring.frames else first + 1
        back = state[_BACK]
        into = math.sqrt(1.0 - back * back)
        for c in range(y.channels):
            v = f64(ring[c, first]) * (1.0 - part) + f64(ring[c, second]) * part
            low[2 * c] = effects_flush_denormal(v * (1.0 - a) + low[2 * c] * a)
            # without DC, at which a comb resonates too
            v = effects_finite(x[c, n])
            low[2 * c + 1] = effects_flush_denormal(low[2 * c + 1] + (v - low[2 * c + 1]) * still)
            out = into * (v - low[2 * c + 1]) + back * low[2 * c]
            ring[c, at] = f32(out)
            y[c, n] = f32(out)
        state[_AT] = 0.0 if at + 1 >= ring.frames else f64(at + 1)


class Resonator(Processor):
    """Resonates at `frequency`, or at the last received note."""

    inputs = (AUDIO_IN, EVENTS_IN)
    on_files = FileUse(tail=True, changes=("level",))
    params = (
        hertz("frequency", 220.0, LOWEST, 8000.0, "Its pitch."),
        Param("decay", default=1.5, low=0.01, high=20.0, unit="s", warp="log", doc="Seconds to -60 dB."),
        smooth_param("damping", 0.2, 0.0, 1.0, "How much sooner high partials are gone."),
        Param("follow", "switch", True, doc="Takes its pitch from notes, once one came in."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._ring = np.zeros((spec.channels, round(spec.rate / LOWEST) + 4), np.float32)
        self._low = np.zeros(2 * spec.channels, np.float64)
        self._state = np.zeros(_SIZE, np.float64)
        self._notes = np.zeros(1 + 2 * NOTES, np.float64)

    def reset(self) -> None:
        for state in (self._ring, self._low, self._state, self._notes):
            state.fill(0.0)

    def process(self, io: IO) -> None:
        count = 0
        for event in io.events_in:
            if event.kind == "on" and event.value > 0.0 and count < NOTES:
                self._notes[1 + 2 * count] = event.offset
                self._notes[2 + 2 * count] = 440.0 * 2.0 ** ((event.number - 69) / 12.0)
                count += 1
        self._notes[0] = count
        self.step(io).run()
        self._notes[0] = 0.0

    def step(self, io: IO) -> Step:
        x, y, curves = io.audio_in[0], io.audio_out[0], ResonatorCurves._make(map(io.curve, ResonatorCurves._fields))
        return effects_resonator.step(x, y, curves, self._ring, self._low, self._state, self._notes, self._rate)
