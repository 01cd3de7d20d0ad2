"""Tape of the looper: per-frame processing, and crossfades at cuts.

The tape stores two takes of each frame. `mark` has, for each frame, the number of the overdub that wrote it last, times
2, plus the take it wrote to; the other take keeps the overwritten sound. `gone` marks undone overdubs: their frames are
read from the other take. So undo and redo of a layer copy no sound.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from antiphon.api.backends.intrinsics import u8p
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel
from antiphon_utilities.beats import EARLY

EMPTY, RECORDING, PLAYING, OVERDUBBING, STOPPED = 0, 1, 2, 3, 4
LAYERS = 1 << 16
# places in `whole`: place on the tape, its length, frames of this pass, the overdub's number, frames risen of
# playing and of overdubbing, frames gone of the tail, where the frames before the recording are written
POS, LENGTH, PASS, LAYER, PLAY, PUNCH, TAIL, BEFORE, WHOLE = 0, 1, 2, 3, 4, 5, 6, 7, 8
# places in `real`: the length as the clock has it, how much later than it this pass began
EXACT, LATE, REAL = 0, 1, 2


class LooperCurves(NamedTuple):
    """The parameters, a place a frame."""

    level: f32p
    through: f32p
    feedback: f32p


class Tape(NamedTuple):
    """The tape and its state between blocks."""

    tape: f32p
    size: i64
    mark: f32p
    removed: u8p
    tail: f32p
    before: f32p
    whole: i64p
    real: f64p


@kernel
def utilities_looper(
    x: Audio, y: Audio, curves: LooperCurves, s: Tape, state: i64, fade: i64, first: i64, last: i64
) -> None:
    """Computes frames `first` to `last` of `y`, the input plus the loop, and records to the tape.

    `tape` holds two takes of `size` frames a channel; `tail` the last `fade` frames a channel of the fading-out sound,
    `before` the input before the recording, as long.
    """
    for n in range(first, last):
        p = s.whole[POS]
        recording = state == RECORDING
        sounds = state >= PLAYING and state <= OVERDUBBING
        utilities_looper_rise(s.whole, state, fade)
        runs = sounds or s.whole[PUNCH] > 0
        gain = f32(0.0)
        if sounds:
            gain = f32(f64(s.whole[PLAY]) / f64(fade))
        punch = f32(f64(s.whole[PUNCH]) / f64(fade))
        keep = f32(1.0) + (curves.feedback[n] - f32(1.0)) * punch
        # a pass one frame longer than the tape holds its last frame
        q = p if p < s.whole[LENGTH] else s.whole[LENGTH] - 1
        side = 0
        into = 0
        writes = s.whole[PUNCH] > 0 and p < s.whole[LENGTH]
        if runs:
            side = utilities_looper_side(s.mark, s.removed, q)
            into = side if i64(s.mark[q]) >> 1 == s.whole[LAYER] else 1 - side
            if writes:
                s.mark[q] = 2 * s.whole[LAYER] + into
        dying = s.whole[TAIL] < fade
        for c in range(y.channels):
            dry = x[c, n]
            loop = f32(0.0)
            if runs:
                old = s.tape[(side * y.channels + c) * s.size + q]
                loop = old * gain
                if writes:
                    mixed = old * keep + dry * punch
                    s.tape[(into * y.channels + c) * s.size + q] = f32(0.0) if abs(mixed) < f32(1e-20) else mixed
            if recording:
                s.tape[c * s.size + p] = dry
            else:
                s.before[c * fade + s.whole[BEFORE]] = dry
            if dying:
                loop = loop + s.tail[c * fade + s.whole[TAIL]]
            y[c, n] = dry * curves.through[n] + loop * curves.level[n]
        if dying:
            s.whole[TAIL] = s.whole[TAIL] + 1
        if recording:
            s.mark[p] = f32(0.0)
        elif s.whole[BEFORE] + 1 >= fade:
            s.whole[BEFORE] = 0
        else:
            s.whole[BEFORE] = s.whole[BEFORE] + 1
        if recording or runs:
            s.whole[POS] = p + 1
        if runs and p + 1 >= s.whole[PASS]:
            s.whole[POS] = 0
            utilities_looper_pass(s.whole, s.real)


@kernel
def utilities_looper_rise(whole: i64p, state: i64, fade: i64) -> None:
    """Counts one frame of the fades: in of playing, in and out of overdubbing."""
    if state >= PLAYING and state <= OVERDUBBING and whole[PLAY] < fade:
        whole[PLAY] = whole[PLAY] + 1
    if state == OVERDUBBING:
        if whole[PUNCH] < fade:
            whole[PUNCH] = whole[PUNCH] + 1
    elif whole[PUNCH] > 0:
        whole[PUNCH] = whole[PUNCH] - 1


@kernel
def utilities_looper_side(mark: f32p, removed: u8p, p: i64) -> i64:
    """The take in which frame `p` of the loop lies: the one last written, or the other where that layer is undone."""
    m = i64(mark[p])
    return 1 - (m & 1) if removed[m >> 1] != 0 else m & 1


@kernel
def utilities_looper_pass(whole: i64p, real: f64p) -> None:
    """Starts a pass, with its length chosen so that the next one begins on the frame of its beat."""
    left = real[EXACT] - real[LATE]
    frames = -math.floor(EARLY - left)
    whole[PASS] = i64(frames)
    real[LATE] = frames - left


@kernel
def utilities_looper_cut(
    tape: f32p, size: i64, mark: f32p, removed: u8p, tail: f32p, whole: i64p, fade: i64, channels: i64
) -> None:
    """Copies the playing sound to the tail, which fades out over `fade` frames."""
    for i in range(fade):
        p = (whole[POS] + i) % whole[LENGTH]
        side = utilities_looper_side(mark, removed, p)
        gain = f64(whole[PLAY]) / f64(fade) * (1.0 - f64(i + 1) / f64(fade))
        for c in range(channels):
            v = f64(tape[(side * channels + c) * size + p]) * gain
            if whole[TAIL] + i < fade:
                v = v + f64(tail[c * fade + whole[TAIL] + i])
            tail[c * fade + i] = v
    whole[TAIL] = 0
    whole[PLAY] = 0


@kernel
def utilities_looper_seam(tape: f32p, size: i64, before: f32p, whole: i64p, fade: i64, channels: i64) -> None:
    """Crossfades the recording's end into the sound before its beginning."""
    length = whole[LENGTH]
    for i in range(fade):
        r = f32(f64(i + 1) / f64(fade + 1))
        at = length - fade + i
        was = (whole[BEFORE] + i) % fade
        for c in range(channels):
            v = tape[c * size + at]
            tape[c * size + at] = v + (before[c * fade + was] - v) * r


@kernel
def utilities_looper_report(whole: i64p, state: i64, rate: f64, seconds: f64p) -> None:
    """seconds ← length of the loop, or of the recording so far, and the position in it."""
    seconds[0] = f64(whole[POS] if state == RECORDING else whole[LENGTH]) / rate
    seconds[1] = 0.0 if state == STOPPED else f64(whole[POS]) / rate
