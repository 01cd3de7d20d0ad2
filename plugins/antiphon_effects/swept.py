"""A delay line whose length swings: the kernel of chorus and flanger, and its reading between frames.

Dattorro, "Effect Design, Part 2: Delay-Line Modulation and Chorus" (JAES 45, 1997). Between frames the line is read by
Lagrange's polynomial of the third order, whose loss at 10 kHz is below 1.5 dB and which has no state that a moving
place would disturb.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel, offset
from antiphon_effects.shared import effects_finite, effects_turns, hertz

FASTEST = 0.5
"""Frames by which a line's length changes in a frame at most: half an octave of bend, and no click after a jump."""
LEAST = 2.0
"""Frames of the shortest line."""
FAINT = 1e-15


@kernel
def effects_read(ring: f32p, mask: i64, at: i64, lag: f64) -> f64:
    """The ring's sound `lag` frames, at least 1, before the one at place `at`."""
    whole = i64(lag)
    f = lag - f64(whole)
    p = at - whole
    a = f64(ring[(p + 1) & mask])
    b = f64(ring[p & mask])
    c = f64(ring[(p - 1) & mask])
    d = f64(ring[(p - 2) & mask])
    s = 0.5 * (f + 1.0) * (f - 2.0) * (b * (f - 1.0) - c * f)
    return s + f * (f - 1.0) * (d * (f + 1.0) - a * (f - 2.0)) * (1.0 / 6.0)


@kernel
def effects_swing(turns: f64) -> f64:
    """A wave like a sine, -1 to 1, of parabolas: its largest overtone is 29 dB below it."""
    u = 2.0 * (turns - math.floor(turns)) - 1.0
    return 4.0 * u * (abs(u) - 1.0)


@kernel
def effects_swept(
    x: Audio, y: Audio, hertz: f32p, beats: f32p, delay: f32p, depth: f32p, feedback: f32p, mix: f32p, spread: f32p,
    voices: i64, ring: f32p, mask: i64, state: f64p, ages: i64p, beat: f64, step: f64, rate: f64,
) -> None:  # fmt: skip
    """y ← x mixed with `voices` readings of its past. state: the turns, then the length of each voice and channel."""
    age = ages[0]
    span = mask + 1
    share_of = 1.0 / math.sqrt(f64(voices))
    apart = 1.0 / f64(voices)
    for n in range(y.frames):
        state[0] = effects_turns(state[0], f64(hertz[n]), f64(beats[n]), beat + step * f64(n), rate)
        share = f64(mix[n])
        least = f64(delay[n]) * rate
        half = 0.5 * f64(depth[n]) * rate
        back = f64(feedback[n])
        for c in range(y.channels):
            v = effects_finite(x[c, n])
            turns = state[0] + 0.5 * f64(spread[n]) * f64(c % 2)
            # written before it is read: the polynomial reads a frame after the place
            w = f64(0.0)
            for i in range(voices):
                lag = max(least + half * (1.0 + effects_swing(turns + f64(i) * apart)), LEAST)
                place = 1 + c * voices + i
                old = state[place]
                if old > 0.0:
                    lag = max(old - FASTEST, min(old + FASTEST, lag))
                state[place] = lag
                w = w + effects_read(offset(ring, c * span), mask, age + n, lag)
            w = w * share_of
            into = v + back * w
            ring[c * span + ((age + n) & mask)] = f32(0.0) if abs(into) < FAINT else f32(into)
            y[c, n] = v + (w - v) * share
    ages[0] = age + y.frames


class Swept(Processor):
    """The base of the processors that sweep a delay line: its buffers, and the call of the kernel."""

    voices = 1
    longest = 0.1
    """Seconds of `delay` and `depth` together."""

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._mask = (1 << math.ceil(math.log2(self.longest * spec.rate + 8))) - 1
        self._ring = np.zeros((spec.channels, self._mask + 1), np.float32)
        self._state = np.zeros(1 + spec.channels * self.voices, np.float64)
        self._none = np.zeros(spec.block, np.float32)
        self._age = np.zeros(1, np.int64)

    def reset(self) -> None:
        self._ring.fill(0.0)
        self._state.fill(0.0)
        self._age.fill(0)

    def step(self, io: IO) -> Step:
        step = io.time.beats_per_frame(self._rate)
        feedback = io.curve("feedback") if "feedback" in io.cells else self._none
        return effects_swept.step(
            io.audio_in[0], io.audio_out[0], io.curve("rate"), io.curve("beats"), io.curve("delay"), io.curve("depth"),
            feedback, io.curve("mix"), io.curve("spread"), self.voices, self._ring, self._mask, self._state, self._age,
            io.time.beat, step, self._rate,
        )  # fmt: skip


def swing(rate: float) -> tuple[Param, ...]:
    """The parameters of an oscillator, with its rate in Hz at first."""
    return (
        hertz("rate", rate, 0.02, 12.0, "LFO rate."),
        Param(
            "beats",
            default=0.0,
            low=0.0,
            high=64.0,
            unit="beats",
            doc="LFO period, in time with the beat; 0 uses `rate`.",
        ),
    )
