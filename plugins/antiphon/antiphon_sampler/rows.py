"""Voice rows of a sampler: their fields, kernels that start, bend and end voices, and windowed-sinc interpolation."""

from __future__ import annotations

import math
from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f32, f32p, f64, f64p, i64, i64p, kernel
from antiphon_sampler.samples import PAGE, sampler_page

NEAR, FAR = 8, 16
"""Half-widths of the interpolation in frames: at up to the sample's speed, and faster."""
PHASES = 512
"""Stored fractional positions of the coefficients, linearly interpolated in between."""
STEPS = 8
"""Low-pass filters for faster playback, half an octave apart: up to 16 times the speed."""
BETA = 8.0
"""Kaiser window parameter: side lobes at -80 dB."""


@kernel
def sampler_interpolate(x: f32p, position: f64, table: f32p, row: i64, half: i64) -> f64:
    """One channel at a fractional position: a windowed sinc with interpolated coefficients.

    `x`: the channel's first frame. `position`: place in frames; `half` frames around it can be read.
    """
    base = i64(math.floor(position))
    part = (position - f64(base)) * f64(PHASES)
    phase = i64(part)
    mix = f32(part - f64(phase))
    at = row + phase * 2 * half
    further = at + 2 * half
    first = base - half + 1
    # four sums, so that one addition does not wait for the one before
    a = f32(0.0)
    b = f32(0.0)
    c = f32(0.0)
    d = f32(0.0)
    for n in range(0, 2 * half, 4):
        a = a + x[first + n] * (table[at + n] + mix * (table[further + n] - table[at + n]))
        b = b + x[first + n + 1] * (table[at + n + 1] + mix * (table[further + n + 1] - table[at + n + 1]))
        c = c + x[first + n + 2] * (table[at + n + 2] + mix * (table[further + n + 2] - table[at + n + 2]))
        d = d + x[first + n + 3] * (table[at + n + 3] + mix * (table[further + n + 3] - table[at + n + 3]))
    return f64(a + b + c + d)


@kernel
def sampler_table(step: f64) -> i64:
    """Table index for a playback speed: 0 up to 1, then one for each half octave."""
    speed = abs(step)
    if speed <= 1.0:
        return 0
    return min(STEPS, i64(math.floor(2.0 * math.log2(speed) - 0.02)) + 1)


@cache
def sinc_tables() -> NDArray[np.float32]:
    """Kaiser-windowed sincs: one to 20 kHz at 44.1, then `STEPS` low-passes, half an octave apart.

    Each is `[PHASES + 1, 2 * half]`, one row a fractional position, with sum 1; all are concatenated.
    """
    tables = [_sinc(NEAR, 1.0)] + [_sinc(FAR, 2.0 ** (-n / 2.0)) for n in range(1, STEPS + 1)]
    return np.ascontiguousarray(np.concatenate([table.ravel() for table in tables]), np.float32)


def _sinc(half: int, cutoff: float) -> NDArray[np.float64]:
    part = np.arange(PHASES + 1)[:, None] / PHASES
    at = np.arange(-half + 1, half + 1)[None, :] - part
    window = np.i0(BETA * np.sqrt(np.maximum(0.0, 1.0 - (at / half) ** 2))) / np.i0(BETA)
    table = np.sinc(cutoff * at) * window
    return np.asarray(table / table.sum(axis=1, keepdims=True), np.float64)


VOICES = 64
"""Maximum simultaneous notes."""
ROWS = 2 * VOICES
"""Number of rows: voices, plus rows fading out after voice stealing or cuts."""
NO_END = 1 << 62
"""Frame beyond any sample."""


class Whole(IntEnum):
    """Indices of a voice's integer fields."""

    ON = 0
    ADDRESS = 1
    STRIDE = 2
    CHANNELS = 3
    FIRST = 4
    LAST = 5
    AGE = 6
    ATTACK = 7
    RELEASE = 8
    FALL = 9
    FALLING = 10
    NOTE = 11
    CHANNEL = 12
    CUT = 13
    ORDER = 14
    TABLE = 15
    OFF = 16
    STREAM = 17
    ON_COLOR = 18
    UNTIL = 19
    GLIDE = 20
    REPEATS = 21
    MOVES = 22
    LOOP = 23
    SIZE = 24


class Real(IntEnum):
    """Indices of a voice's float fields."""

    POSITION = 0
    STEP = 1
    SPEED = 2
    LEFT = 3
    RIGHT = 4
    BEND = 5
    PITCH = 6
    PRESSURE = 7
    TARGET = 8
    SLOPE = 9
    FASTEST = 10
    SIZE = 11


@kernel
def sampler_fade_out(whole: i64p, v: i64, frames: i64) -> None:
    """Fades out a voice over `frames`, unless it already fades sooner."""
    w = v * Whole.SIZE
    if whole[w + Whole.FALL] < 0 or whole[w + Whole.FALL] > frames:
        whole[w + Whole.FALL] = frames
        whole[w + Whole.FALLING] = frames


@kernel
def sampler_fade_cut_group(whole: i64p, group: i64, frames: i64) -> None:
    """Fades out the voices of a cut group."""
    for v in range(ROWS):
        w = v * Whole.SIZE
        if whole[w + Whole.ON] > 0 and whole[w + Whole.CUT] == group:
            sampler_fade_out(whole, v, frames)


@kernel
def sampler_release_note(whole: i64p, note: i64, channel: i64, frames: i64, looped: i64) -> None:
    """Releases the voices of a note over their release time, at least `frames`; note -1 is every note.

    `looped`: 1 to release only voices in a loop of their sample, which have no other end.
    """
    for v in range(ROWS):
        w = v * Whole.SIZE
        same = note < 0 or whole[w + Whole.NOTE] == note
        same = same and (looped == 0 or whole[w + Whole.LOOP] >= 0)
        if whole[w + Whole.ON] > 0 and same and whole[w + Whole.CHANNEL] == channel:
            sampler_fade_out(whole, v, max(whole[w + Whole.OFF], frames))


@kernel
def sampler_bend(whole: i64p, real: f64p, channel: i64, ratio: f64) -> None:
    """Sets the speeds of a channel's voices: each voice's own speed times a bend ratio."""
    for v in range(ROWS):
        w = v * Whole.SIZE
        r = v * Real.SIZE
        if whole[w + Whole.ON] > 0 and whole[w + Whole.CHANNEL] == channel:
            real[r + Real.BEND] = ratio
            real[r + Real.STEP] = real[r + Real.SPEED] * ratio * real[r + Real.PITCH]
            whole[w + Whole.TABLE] = sampler_table(real[r + Real.STEP] * real[r + Real.FASTEST])


@kernel
def sampler_shape(whole: i64p, real: f64p, note: i64, channel: i64, pitch: f64, pressure: f64) -> None:
    """Sets a note's pitch ratio, and its target pressure gain; 0 keeps either."""
    for v in range(ROWS):
        w = v * Whole.SIZE
        r = v * Real.SIZE
        same = whole[w + Whole.NOTE] == note and whole[w + Whole.CHANNEL] == channel
        if whole[w + Whole.ON] > 0 and same and whole[w + Whole.FALL] < 0:
            if pitch > 0.0:
                real[r + Real.PITCH] = pitch
                real[r + Real.STEP] = real[r + Real.SPEED] * real[r + Real.BEND] * pitch
                whole[w + Whole.TABLE] = sampler_table(real[r + Real.STEP] * real[r + Real.FASTEST])
            if pressure > 0.0:
                real[r + Real.TARGET] = pressure


@kernel
def sampler_free_row(whole: i64p, voices: i64, streams: i64, frames: i64) -> i64:
    """Row for a new voice, -1 for none. If `voices` already sound, the oldest fades out.

    `whole`: see `Whole`. `streams`: 1 to count only voices with a stream, otherwise 0. `frames`: frames of the fade.
    """
    free = i64(-1)
    oldest = i64(-1)
    count = i64(0)
    for v in range(ROWS):
        w = v * Whole.SIZE
        if whole[w + Whole.ON] == 0:
            free = v if free < 0 else free
        elif whole[w + Whole.FALL] < 0 and whole[w + Whole.STREAM] >= streams:
            count = count + 1
            if oldest < 0:
                oldest = v
            # not in one condition: both sides of an `or` are computed
            oldest = v if whole[w + Whole.ORDER] < whole[oldest * Whole.SIZE + Whole.ORDER] else oldest
    if count >= voices:
        sampler_fade_out(whole, oldest, frames)
    return free


@kernel
def sampler_fade_starved(whole: i64p, real: f64p, words: i64p, buffer: i64, frames: i64, fade: i64, found: i64p) -> i64:
    """Fades out voices whose pages are missing for `frames` plus the fade; returns their number."""
    count = i64(0)
    for v in range(ROWS):
        w = v * Whole.SIZE
        if whole[w + Whole.ON] > 0 and whole[w + Whole.STREAM] > 0 and whole[w + Whole.FALL] < 0:
            at = real[v * Real.SIZE + Real.POSITION]
            fastest = real[v * Real.SIZE + Real.STEP] * real[v * Real.SIZE + Real.FASTEST]
            to = at + fastest * f64(frames + fade)
            # a position beyond the part is where the voice ends: nothing is read there
            low = i64(max(f64(whole[w + Whole.FIRST]), min(at, to))) // PAGE
            high = i64(min(f64(whole[w + Whole.LAST] - 1), max(at, to))) // PAGE
            absent = i64(0)
            for page in range(low, high + 1):
                if sampler_page(words, whole[w + Whole.STREAM] - 1, page, buffer) == 0:
                    absent = 1
            if absent > 0:
                sampler_fade_out(whole, v, fade)
                found[count] = v
                count = count + 1
    return count
