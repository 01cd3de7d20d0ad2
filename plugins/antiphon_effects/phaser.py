"""Phaser: an allpass chain whose sum with the sound has moving notches.

Smith, "An allpass approach to digital phasing and flanging" (ICMC 1984): first-order sections that share a frequency.
"""

from __future__ import annotations

import math

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


@kernel
def effects_phaser(
    x: Audio, y: Audio, hertz: f32p, beats: f32p, centre: f32p, depth: f32p, feedback: f32p, mix: f32p, spread: f32p,
    stages: f32p, state: f64p, sections: f64p, ages: i64p, beat: f64, step: f64, rate: f64,
) -> None:  # fmt: skip
    """y ← x mixed with its allpass chain. sections: for each channel the chain's last output and `MOST` states."""
    age = ages[0]
    for n in range(y.frames):
        state[0] = effects_turns(state[0], f64(hertz[n]), f64(beats[n]), beat + step * f64(n), rate)
        if (age + n) % GRID == 0:
            now = f64(centre[n])
            if age + n > 0:
                now = max(state[6] / RATIO, min(state[6] * RATIO, now))
            state[6] = now
            for side in range(2):
                turns = state[0] + 0.5 * f64(spread[n]) * f64(side)
                t = effects_tan(now * math.exp2(f64(depth[n]) * effects_swing(turns)), rate)
                to = (t - 1.0) / (t + 1.0)
                state[_COEFFICIENT + side] = state[_COEFFICIENT + side] + state[_STEP + side] * f64(GRID)
                if age + n == 0:
                    state[_COEFFICIENT + side] = to
                state[_STEP + side] = (to - state[_COEFFICIENT + side]) / f64(GRID)
            for i in range(y.channels * (MOST + 1)):
                sections[i] = effects_rest(sections[i])
        within = f64((age + n) % GRID)
        # a change of the number glides, as a share of the sections above it
        wanted = f64(stages[n])
        if age + n == 0:
            state[5] = wanted
        state[5] = state[5] + max(-0.001, min(0.001, wanted - state[5]))
        count = state[5]
        for c in range(y.channels):
            side = c % 2
            a = state[_COEFFICIENT + side] + state[_STEP + side] * within
            at = c * (MOST + 1)
            v = effects_finite(x[c, n])
            u = v + f64(feedback[n]) * sections[at]
            for i in range(MOST):
                out = a * u + sections[at + 1 + i]
                sections[at + 1 + i] = u - a * out
                share = max(0.0, min(1.0, count - f64(i)))
                u = u + (out - u) * share
            sections[at] = u
            y[c, n] = v + (u - v) * f64(mix[n])
    ages[0] = age + y.frames


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
            io.audio_in[0], io.audio_out[0], io.curve("rate"), io.curve("beats"), io.curve("centre"), io.curve("depth"),
            io.curve("feedback"), io.curve("mix"), io.curve("spread"), io.curve("stages"), self._state, self._sections,
            self._age, io.time.beat, step, self._rate,
        )  # fmt: skip
