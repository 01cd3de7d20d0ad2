"""Look-ahead peak limiter.

The gain reduction of a peak is computed on input, held for the look-ahead, and averaged over it, so that it is complete
when the peak is output. Gains are averaged as integers, so that the sum does not drift and sound below the ceiling
passes bit for bit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel

LOOK_AHEAD = 0.0015
_ONE = 1 << 40
# places in `whole`: frames since the reset, first and end of the queue of peaks, sum of the averaged
_AGE, _HEAD, _TAIL, _TOTAL, _SIZE = 0, 1, 2, 3, 4


class LimiterState(NamedTuple):
    """The look-ahead delay line, and the pending gain reductions."""

    ring: f32p
    look: i64
    whole: i64p
    need: f64p
    when: i64p
    cut: i64p
    held: f64p
    rate: f64


@kernel
def utilities_limiter(x: Audio, y: Audio, ceiling: f32p, release: f32p, s: LimiterState) -> None:
    """y ← x, `look` - 1 frames late, nowhere above the ceiling (dB).

    ring: `look` frames a channel.  need, when: `look` + 1 entries, a queue of decreasing reductions. cut: the last
    `look` reductions, integers with 1 << 40 as 1.  held: the present reduction.
    """
    for n in range(y.frames):
        age = s.whole[_AGE]
        place = age % s.look
        top = f64(0.0)
        for c in range(y.channels):
            a = abs(f64(x[c, n]))
            top = a if a > top else top
            s.ring[c * s.look + place] = x[c, n]
        limit = math.pow(10.0, f64(ceiling[n]) / 20.0)
        wanted = 0.0
        if top > limit:
            wanted = 1.0 - limit / top
        # the queue's first is the largest reduction of the last `look` frames
        head = s.whole[_HEAD]
        tail = s.whole[_TAIL]
        span = s.look + 1
        while tail > head and s.need[(tail - 1) % span] <= wanted:
            tail = tail - 1
        s.need[tail % span] = wanted
        s.when[tail % span] = age
        tail = tail + 1
        while s.when[head % span] <= age - s.look:
            head = head + 1
        s.whole[_HEAD] = head
        s.whole[_TAIL] = tail
        most = s.need[head % span]
        fall = math.exp(-1.0 / (f64(release[n]) * s.rate))
        now = s.held[0] * fall
        now = 0.0 if now < 1e-5 else now
        now = most if most > now else now
        s.held[0] = now
        step = i64(now * f64(_ONE))
        s.whole[_TOTAL] = s.whole[_TOTAL] + step - s.cut[place]
        s.cut[place] = step
        gain = 1.0 - f64(s.whole[_TOTAL]) / (f64(s.look) * f64(_ONE))
        gain = 1.0 if s.whole[_TOTAL] == 0 else gain
        gain = 0.0 if gain < 0.0 else gain
        late = (age + 1) % s.look
        for c in range(y.channels):
            v = f32(0.0)
            if age >= s.look - 1:
                v = f32(f64(s.ring[c * s.look + late]) * gain)
            y[c, n] = v
        s.whole[_AGE] = age + 1


class Limiter(Processor):
    """Limits peaks to `ceiling`; sound below it is only delayed."""

    params = (
        Param("ceiling", default=-1.0, low=-24.0, high=0.0, unit="dB", doc="Highest peak of the output."),
        Param("release", default=0.1, low=0.01, high=1.0, unit="s", warp="log", doc="Release time."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._look = max(2, math.floor(LOOK_AHEAD * spec.rate))
        self.latency = self._look - 1
        self._ring = np.zeros((spec.channels, self._look), np.float32)
        self._whole = np.zeros(_SIZE, np.int64)
        self._need = np.zeros(self._look + 1, np.float64)
        self._when = np.zeros(self._look + 1, np.int64)
        self._cut = np.zeros(self._look, np.int64)
        self._held = np.zeros(1, np.float64)
        self.reset()

    def reset(self) -> None:
        for state in (self._ring, self._whole, self._need, self._when, self._cut, self._held):
            state.fill(0)
        # counted from above 0, so that the place before the first is a place
        self._whole[_HEAD] = self._whole[_TAIL] = self._look + 1

    def step(self, io: IO) -> Step:
        x, y = io.audio_in[0], io.audio_out[0]
        return utilities_limiter.step(
            x,
            y,
            io.curve("ceiling"),
            io.curve("release"),
            LimiterState(
                self._ring, self._look, self._whole, self._need, self._when, self._cut, self._held, self._rate
            ),
        )
