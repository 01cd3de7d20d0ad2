"""Stutter, or beat repeat: while on, repeats the last fraction of a beat, cut on the clock."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, kernel
from antiphon_effects.shared import effects_finite, smooth_param

MAX_SECONDS = 8.0
"""Maximum length of a repeat in seconds."""
FADE = 0.003
"""Seconds of each crossfade."""
_NEAR = 1e-6
# places in `state`: the write position, where the slice ends; 1 while it is repeated; its length in frames, the next
# one's, what rounding left over; the frame in the slice; its gain; its share in the output; frames kept
_AT, _ON, _LENGTH, _NEXT, _OVER, _POS, _GAIN, _SHARE, _KEPT, _SIZE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9


@kernel
def effects_stutter_length(beats: f64, beat: f64, most: f64, fade: f64, state: f64p) -> f64:
    """Length in frames of the next repeat, without accumulated rounding. `beat`: frames."""
    want = beats * beat + state[_OVER]
    frames = math.floor(want)
    state[_OVER] = want - frames
    return f64(max(3.0 * fade, min(frames, most)))


@kernel
def effects_stutter_read(ring: Audio, c: i64, place: f64) -> f64:
    """Ring sample at an index, which may be before the ring's beginning."""
    p = i64(place)
    p = p + ring.frames if p < 0 else p
    return f64(ring[c, p])


class StutterCurves(NamedTuple):
    """The parameters, one value per frame."""

    on: f32p
    beats: f32p
    decay: f32p
    mix: f32p


class StutterState(NamedTuple):
    """The repeated slice, with its read position."""

    ring: Audio
    state: f64p
    fade: f64


@kernel
def effects_stutter(
    x: Audio, y: Audio, p: StutterCurves, s: StutterState, beat: f64, step: f64, frames_per_beat: f64
) -> None:
    """y ← x, or the slice. `beat`: at the first frame; `step`: beats per frame, 0 while the clock is stopped."""
    size = f64(s.ring.frames)
    for n in range(y.frames):
        part = f64(p.beats[n])
        most = min(0.5 * size, s.state[_KEPT] - s.fade)
        place = (beat + step * f64(n)) / part + _NEAR
        before = (beat + step * (f64(n) - 1.0)) / part + _NEAR
        edge = step == 0.0 or math.floor(place) != math.floor(before)
        if p.on[n] >= 0.5 and s.state[_ON] == 0.0 and edge and most >= min(part * frames_per_beat, 0.5 * size):
            s.state[_ON] = 1.0
            s.state[_OVER] = 0.0
            s.state[_LENGTH] = effects_stutter_length(part, frames_per_beat, most, s.fade, s.state)
            s.state[_NEXT] = s.state[_LENGTH]
            s.state[_POS] = 0.0
            s.state[_GAIN] = 1.0
        repeats = p.on[n] >= 0.5 and s.state[_ON] == 1.0
        share = s.state[_SHARE] + (1.0 if repeats else -1.0) / s.fade
        share = max(0.0, min(1.0, share))
        s.state[_SHARE] = share
        if share == 0.0:
            s.state[_ON] = 0.0
        if s.state[_ON] == 1.0:
            pos = s.state[_POS]
            seam = pos - (s.state[_LENGTH] - s.fade)
            if seam == 0.0:
                s.state[_NEXT] = effects_stutter_length(part, frames_per_beat, most, s.fade, s.state)
            # what was heard before the slice leads into its next begin
            lead = max(0.0, seam) / s.fade
            begin = s.state[_AT] - s.state[_LENGTH]
            after = s.state[_AT] - s.state[_NEXT] - s.state[_LENGTH]
            softer = s.state[_GAIN] * (1.0 - f64(p.decay[n]))
            for c in range(y.channels):
                dry = effects_finite(x[c, n])
                v = effects_stutter_read(s.ring, c, begin + pos) * s.state[_GAIN] * (1.0 - lead)
                if lead > 0.0:
                    v = v + effects_stutter_read(s.ring, c, after + pos) * softer * lead
                y[c, n] = f32(dry + (v - dry) * share * f64(p.mix[n]))
            s.state[_POS] = pos + 1.0
            if s.state[_POS] >= s.state[_LENGTH]:
                s.state[_POS] = 0.0
                s.state[_LENGTH] = s.state[_NEXT]
                s.state[_GAIN] = softer
        else:
            at = i64(s.state[_AT])
            for c in range(y.channels):
                v = effects_finite(x[c, n])
                s.ring[c, at] = f32(v)
                y[c, n] = f32(v)
            s.state[_AT] = 0.0 if at + 1 >= s.ring.frames else f64(at + 1)
            s.state[_KEPT] = min(s.state[_KEPT] + 1.0, size)


class Stutter(Processor):
    """While `on`, repeats the last `beats`, starting at the next multiple of `beats`."""

    params = (
        Param("on", "switch", False, doc="Repeats what was last heard, from the next multiple of `beats` on."),
        Param("beats", default=0.25, low=0.03125, high=4.0, unit="beats", doc="Length of a repeat."),
        Param("decay", default=0.0, low=0.0, high=1.0, doc="How much softer each repeat is."),
        smooth_param("mix", 1.0, 0.0, 1.0, "Share of the repeats in the output."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._ring = np.zeros((spec.channels, round(2.0 * MAX_SECONDS * spec.rate)), np.float32)
        self._state = np.zeros(_SIZE, np.float64)
        self._fade = float(round(FADE * spec.rate))

    def reset(self) -> None:
        # the ring need not be cleared: only frames written since are read
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, y, time, rate = io.audio_in[0], io.audio_out[0], io.time, self._rate
        curves = StutterCurves._make(map(io.curve, StutterCurves._fields))
        state = StutterState(self._ring, self._state, self._fade)
        step, length = time.beats_per_frame(rate), time.frames_per_beat(rate)
        return effects_stutter.step(x, y, curves, state, time.beat, step, length)
