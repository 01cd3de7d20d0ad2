"""Phaser: an allpass chain whose sum with the sound has moving notches.

Smith, "An allpass approach to digital phasing and flanging" (ICMC 1984): first-order sections that share a frequency.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32p, f64, f64p, i64p, kernel
from antiphon_effects.shared import GRID, effects_finite, effects_rest, effects_tan, effects_turns, hertz, smooth_param
from antiphon_effects.swept import effects_swing, swing

RATIO = 1.012
"""Maximum ratio by which the centre frequency changes in 16 frames."""
MOST = 12
"""Maximum number of sections: two a notch."""
# places in `state`: the turns, for each side the coefficient, then its change a frame; the sections, the centre
_COEFFICIENT, _STEP = 1, 3


class PhaserCurves(NamedTuple):
    """The parameters, a place a frame."""

    rate: f32p
    beats: f32p
    centre: f32p
    depth: f32p
    feedback: f32p
    mix: f32p
    spread: f32p
    stages: f32p


class PhaserState(NamedTuple):
    """The phase, the sections of all channels, and the age of the coefficients."""

    state: f64p
    sections: f64p
    ages: i64p


@kernel
def effects_phaser(x: Audio, y: Audio, p: PhaserCurves, s: PhaserState, beat: f64, step: f64, rate: f64) -> None:
    """y ← x mixed with its allpass chain. sections: for each channel the chain's last output and `MOST` states."""
    age = s.ages[0]
    for n in range(y.frames):
        s.state[0] = effects_turns(s.state[0], f64(p.rate[n]), f64(p.beats[n]), beat + step * f64(n), rate)
        if (age + n) % GRID == 0:
            now = f64(p.centre[n])
            if age + n > 0:
                now = max(s.state[6] / RATIO, min(s.state[6] * RATIO, now))
            s.state[6] = now
            for side in range(2):
                turns = s.state[0] + 0.5 * f64(p.spread[n]) * f64(side)
                t = effects_tan(now * math.exp2(f64(p.depth[n]) * effects_swing(turns)), rate)
                to = (t - 1.0) / (t + 1.0)
                s.state[_COEFFICIENT + side] = s.state[_COEFFICIENT + side] + s.state[_STEP + side] * f64(GRID)
                if age + n == 0:
                    s.state[_COEFFICIENT + side] = to
                s.state[_STEP + side] = (to - s.state[_COEFFICIENT + side]) / f64(GRID)
            for i in range(y.channels * (MOST + 1)):
                s.sections[i] = effects_rest(s.sections[i])
        within = f64((age + n) % GRID)
        # a change of the number glides, as a share of the sections above it
        wanted = f64(p.stages[n])
        if age + n == 0:
            s.state[5] = wanted
        s.state[5] = s.state[5] + max(-0.001, min(0.001, wanted - s.state[5]))
        count = s.state[5]
        for c in range(y.channels):
            side = c % 2
            a = s.state[_COEFFICIENT + side] + s.state[_STEP + side] * within
            at = c * (MOST + 1)
            v = effects_finite(x[c, n])
            u = v + f64(p.feedback[n]) * s.sections[at]
            for i in range(MOST):
                out = a * u + s.sections[at + 1 + i]
                s.sections[at + 1 + i] = u - a * out
                share = max(0.0, min(1.0, count - f64(i)))
                u = u + (out - u) * share
            s.sections[at] = u
            y[c, n] = v + (u - v) * f64(p.mix[n])
    s.ages[0] = age + y.frames


class Phaser(Processor):
    """`stages` / 2 notches, swept by an LFO around `centre`."""

    on_files = FileUse(tail=True, changes=("level", "channels"))
    params = (
        *swing(0.4),
        hertz("centre", 800.0, 50.0, 8000.0, "Centre frequency of the sweep."),
        Param("depth", "float", 1.5, 0.0, 4.0, "octaves", smooth=0.05, doc="LFO depth: how far it sweeps up and down."),
        Param("stages", "int", 6, low=2, high=MOST, doc="Number of allpass stages."),
        smooth_param("feedback", 0.3, -0.95, 0.95, "Feedback (resonance)."),
        smooth_param("mix", 0.5, 0.0, 1.0, "Dry/wet mix; at 0.5 the notches are deepest."),
        Param("spread", default=0.25, smooth=0.1, doc="LFO phase of right behind left; 1 is a whole period."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(7, np.float64)
        self._sections = np.zeros(spec.channels * (MOST + 1), np.float64)
        self._age = np.zeros(1, np.int64)

    def reset(self) -> None:
        self._state.fill(0.0)
        self._sections.fill(0.0)
        self._age.fill(0)

    def step(self, io: IO) -> Step:
        step = io.time.beats_per_frame(self._rate)
        return effects_phaser.step(
            io.audio_in[0],
            io.audio_out[0],
            PhaserCurves._make(map(io.curve, PhaserCurves._fields)),
            PhaserState(self._state, self._sections, self._age),
            io.time.beat,
            step,
            self._rate,
        )
