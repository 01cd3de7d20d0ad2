"""The kernels that mix a sampler's voices: positions, envelopes, interpolation, pages of long samples."""

from __future__ import annotations

import math
from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import Audio, address_f32, f32, f32p, f64, f64p, i64, i64p, kernel, store_release
from antiphon_sampler.coloring import Color, sampler_colored
from antiphon_sampler.samples import PAGE
from antiphon_sampler.streams import STARVED, STRIDE, StreamWord, sampler_page

VOICES = 64
"""Notes at once."""
ROWS = 2 * VOICES
"""Voices and those that fade out after they were stolen or cut off."""
NEAR, FAR = 8, 16
"""Frames on either side that an interpolation reads: at the sample's speed or slower, and faster."""
PHASES = 512
"""Places between two frames for which coefficients are stored; between two of them they are interpolated."""
STEPS = 8
"""Low-pass filters for faster playing, half an octave apart: up to 16 times the speed."""
GLIDE = 1.0 / 480.0
"""Change of the factor by pressure in a frame: 10 ms at 48 kHz from none to full."""
NO_END = 1 << 62
"""Frame beyond any sample."""
BETA = 8.0
"""Of the Kaiser window: its side lobes are 80 dB down."""


class Whole(IntEnum):
    """Whole numbers of a voice."""

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
    SIZE = 22


class Real(IntEnum):
    """Real numbers of a voice."""

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
def sampler_value(x: f32p, position: f64, table: f32p, row: i64, half: i64) -> f64:
    """One channel at a place between two frames: a windowed sinc, its coefficients interpolated.

    Args:
        x: The channel's first frame.
        position: Place in frames; `half` frames around it can be read.
        table: Tables of coefficients, one after the other.
        row: Index of the table's first coefficient.
        half: Half the number of coefficients.
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
def sampler_voice(
    y: Audio, whole: i64p, w: i64, real: f64p, r: i64, color: f64p, c: i64, table: f32p, words: i64p, buffer: i64,
    begin: i64, end: i64, plain: i64,
) -> i64:  # fmt: skip
    """Adds one voice to y[:, begin:end]. Returns 1 where it ended, 2 where it did for want of a page.

    Args:
        y: The sum.
        whole: See `Whole`.
        w: Index of the voice's first whole number.
        real: See `Real`.
        r: Index of the voice's first real number.
        color: See `coloring.Color`.
        c: Index of the voice's first number of it.
        table: See `sampler_value`.
        words: See `streams.StreamWord`.
        buffer: Address of the streams' pages.
        begin: First frame.
        end: Frame after the last.
        plain: 1 where it has no color, no repeats and no acceleration, so that nothing is looked up for them.
    """
    left = address_f32(whole[w + Whole.ADDRESS])
    right = left
    if whole[w + Whole.CHANNELS] > 1:
        right = address_f32(whole[w + Whole.ADDRESS] + 4 * whole[w + Whole.STRIDE])
    two = whole[w + Whole.CHANNELS] > 1
    position = real[r + Real.POSITION]
    step = real[r + Real.STEP]
    first = f64(whole[w + Whole.FIRST])
    last = f64(whole[w + Whole.LAST])
    age = whole[w + Whole.AGE]
    attack = f64(whole[w + Whole.ATTACK] + 1)
    fall = whole[w + Whole.FALL]
    falling = f64(whole[w + Whole.FALLING])
    row = i64(0)
    half = i64(NEAR)
    if whole[w + Whole.TABLE] > 0:
        half = i64(FAR)
        row = (PHASES + 1) * (2 * NEAR + (whole[w + Whole.TABLE] - 1) * 2 * FAR)
    stream = whole[w + Whole.STREAM]
    # the frames that the pointers reach: all of a sample in memory, no page of a stream yet
    low = i64(0)
    high = i64(NO_END) if stream == 0 else i64(0)
    ended = i64(0)
    pressure = real[r + Real.PRESSURE]
    target = real[r + Real.TARGET]
    colors = whole[w + Whole.ON_COLOR] if plain == 0 else 0
    slope = real[r + Real.SLOPE] if plain == 0 else 0.0
    glide = whole[w + Whole.GLIDE]
    pace = step
    repeats = whole[w + Whole.REPEATS] if plain == 0 else 0
    release = f64(whole[w + Whole.RELEASE]) if repeats == 0 else 0.0
    reach = release * abs(pace)
    for n in range(begin, end):
        if position >= last or position < first or fall == 0 or step == 0.0:
            if repeats == 0 or fall == 0 or step == 0.0:
                ended = 1
                break
            position = position - (last - first) if position >= last else position + (last - first)
            repeats = repeats - 1
            release = f64(whole[w + Whole.RELEASE]) if repeats == 0 else 0.0
            reach = release * abs(pace)
        if slope != 0.0:
            # by the voice's age, so that it is the same whatever the blocks
            pace = step * (1.0 + slope * f64(min(age, glide)))
            reach = release * abs(pace)
        gain = f64(1.0)
        if f64(age + 1) < attack:
            gain = f64(age + 1) / attack
        # frames of the sample, not of time: a voice that comes to a stop has all the time
        rest = last - position if pace > 0.0 else position - first + 1.0
        if rest < reach:
            gain = gain * rest / reach
        if fall > 0:
            gain = gain * f64(fall) / falling
            fall = fall - 1
        if pressure != target:
            # in a straight line, so that it is the same whatever the blocks
            pressure = min(target, pressure + GLIDE) if pressure < target else max(target, pressure - GLIDE)
        gain = gain * pressure
        base = i64(position)
        if base < low or base >= high:
            page = base // PAGE
            address = sampler_page(words, stream - 1, page, buffer)
            if address == 0:
                ended = 2
                break
            low = page * PAGE
            high = low + PAGE
            left = address_f32(address - 4 * low)
            right = left
            if two:
                right = address_f32(address - 4 * low + 4 * STRIDE)
        p = f64(0.0)
        q = f64(0.0)
        if f64(base) == position and half == NEAR:
            # at a frame the sinc is that frame
            p = f64(left[base])
            q = f64(right[base])
        else:
            p = sampler_value(left, position, table, row, half)
            q = p
            if two:
                q = sampler_value(right, position, table, row, half)
        if colors > 0:
            p = sampler_colored(color, c, 0, colors, age, p)
            q = sampler_colored(color, c, 1, colors, age, q) if two else p
        if y.channels == 1:
            y[0, n] = f32(f64(y[0, n]) + 0.5 * gain * (p * real[r + Real.LEFT] + q * real[r + Real.RIGHT]))
        else:
            y[0, n] = f32(f64(y[0, n]) + gain * p * real[r + Real.LEFT])
            y[1, n] = f32(f64(y[1, n]) + gain * q * real[r + Real.RIGHT])
        position = position + pace
        age = age + 1
    real[r + Real.POSITION] = position
    real[r + Real.PRESSURE] = pressure
    whole[w + Whole.AGE] = age
    whole[w + Whole.FALL] = fall
    if plain == 0:
        whole[w + Whole.REPEATS] = repeats
    return ended


@kernel
def sampler_segment(
    y: Audio, whole: i64p, v: i64, real: f64p, color: f64p, table: f32p, words: i64p, buffer: i64, begin: i64, end: i64
) -> i64:
    """Adds one voice, by a kernel without the branches of what it lacks; see `sampler_voice`."""
    w = v * Whole.SIZE
    r = v * Real.SIZE
    c = v * Color.SIZE
    if whole[w + Whole.ON_COLOR] == 0 and whole[w + Whole.REPEATS] == 0 and real[r + Real.SLOPE] == 0.0:
        return sampler_voice(y, whole, w, real, r, color, c, table, words, buffer, begin, end, 1)
    return sampler_voice(y, whole, w, real, r, color, c, table, words, buffer, begin, end, 0)


@kernel
def sampler_mix(
    y: Audio, whole: i64p, real: f64p, color: f64p, table: f32p, words: i64p, buffer: i64, begin: i64, end: i64
) -> i64:
    """Adds all voices to y[:, begin:end]; returns how many still sound without falling."""
    count = i64(0)
    for v in range(ROWS):
        w = v * Whole.SIZE
        if whole[w + Whole.ON] > 0:
            # a note's own end begins its fade within the block
            until = begin + max(0, whole[w + Whole.UNTIL] - whole[w + Whole.AGE])
            ended = i64(0)
            at = begin
            if until < end:
                if until > begin:
                    ended = sampler_segment(y, whole, v, real, color, table, words, buffer, begin, until)
                sampler_fall(whole, v, whole[w + Whole.OFF])
                whole[w + Whole.UNTIL] = NO_END
                at = until
            if ended == 0:
                ended = sampler_segment(y, whole, v, real, color, table, words, buffer, at, end)
            stream = (whole[w + Whole.STREAM] - 1) * StreamWord.SIZE
            if ended > 0:
                whole[w + Whole.ON] = 0
                if stream >= 0:
                    words[stream + StreamWord.ON] = 0
                if ended == 2:
                    words[STARVED] = words[STARVED] + 1
            else:
                if stream >= 0:
                    store_release(words, stream + StreamWord.AT, i64(real[v * Real.SIZE + Real.POSITION]) // PAGE)
                if whole[w + Whole.FALL] < 0:
                    count = count + 1
    return count


@kernel
def sampler_starving(whole: i64p, real: f64p, words: i64p, buffer: i64, frames: i64, fade: i64, found: i64p) -> i64:
    """Lets the voices fade out whose pages are not there for so many frames and the fade; returns how many.

    Args:
        whole: See `Whole`.
        real: See `Real`.
        words: See `streams.StreamWord`.
        buffer: Address of the streams' pages.
        frames: Of the block.
        fade: Frames of the fade.
        found: Gets their rows.
    """
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
                sampler_fall(whole, v, fade)
                found[count] = v
                count = count + 1
    return count


@kernel
def sampler_fall(whole: i64p, v: i64, frames: i64) -> None:
    """Lets a voice fade out over so many frames, unless it does so sooner already."""
    w = v * Whole.SIZE
    if whole[w + Whole.FALL] < 0 or whole[w + Whole.FALL] > frames:
        whole[w + Whole.FALL] = frames
        whole[w + Whole.FALLING] = frames


@kernel
def sampler_cut(whole: i64p, group: i64, frames: i64) -> None:
    """Lets the voices of a cut group fade out."""
    for v in range(ROWS):
        w = v * Whole.SIZE
        if whole[w + Whole.ON] > 0 and whole[w + Whole.CUT] == group:
            sampler_fall(whole, v, frames)


@kernel
def sampler_off(whole: i64p, note: i64, channel: i64, frames: i64) -> None:
    """Lets the voices of a note fade out over their own release, of at least so many frames; note -1 is every note."""
    for v in range(ROWS):
        w = v * Whole.SIZE
        same = note < 0 or whole[w + Whole.NOTE] == note
        if whole[w + Whole.ON] > 0 and same and whole[w + Whole.CHANNEL] == channel:
            sampler_fall(whole, v, max(whole[w + Whole.OFF], frames))


@kernel
def sampler_table(step: f64) -> i64:
    """Number of the table for so many frames a frame: 0 up to 1, then one for each half octave."""
    speed = abs(step)
    if speed <= 1.0:
        return 0
    return min(STEPS, i64(math.floor(2.0 * math.log2(speed) - 0.02)) + 1)


@kernel
def sampler_bend(whole: i64p, real: f64p, channel: i64, ratio: f64) -> None:
    """Sets the steps of a channel's voices to their speeds times a ratio, and times each one's own."""
    for v in range(ROWS):
        w = v * Whole.SIZE
        r = v * Real.SIZE
        if whole[w + Whole.ON] > 0 and whole[w + Whole.CHANNEL] == channel:
            real[r + Real.BEND] = ratio
            real[r + Real.STEP] = real[r + Real.SPEED] * ratio * real[r + Real.PITCH]
            whole[w + Whole.TABLE] = sampler_table(real[r + Real.STEP] * real[r + Real.FASTEST])


@kernel
def sampler_shape(whole: i64p, real: f64p, note: i64, channel: i64, pitch: f64, pressure: f64) -> None:
    """Sets the ratio of a note's voices (0 leaves it), and the factor of level they go to (0 leaves it)."""
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
def sampler_free(whole: i64p, voices: i64, streams: i64, frames: i64) -> i64:
    """A row for a new voice, -1 for none. Where `voices` sound, the oldest of them fades out.

    Args:
        whole: See `Whole`.
        voices: Most voices that may sound, the new one included.
        streams: 1 where only those with a stream are counted, otherwise 0.
        frames: Of the fade.
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
        sampler_fall(whole, oldest, frames)
    return free


@cache
def sinc_tables() -> NDArray[np.float32]:
    """Kaiser-windowed sincs: one to 20 kHz at 44.1, then `STEPS` low-passes, half an octave apart.

    Each is `[PHASES + 1, 2 * half]`, one row a place between two frames, its sum 1; all lie one after the other.
    """
    tables = [_sinc(NEAR, 1.0)] + [_sinc(FAR, 2.0 ** (-n / 2.0)) for n in range(1, STEPS + 1)]
    return np.ascontiguousarray(np.concatenate([table.ravel() for table in tables]), np.float32)


def _sinc(half: int, cutoff: float) -> NDArray[np.float64]:
    part = np.arange(PHASES + 1)[:, None] / PHASES
    at = np.arange(-half + 1, half + 1)[None, :] - part
    window = np.i0(BETA * np.sqrt(np.maximum(0.0, 1.0 - (at / half) ** 2))) / np.i0(BETA)
    table = np.sinc(cutoff * at) * window
    return np.asarray(table / table.sum(axis=1, keepdims=True), np.float64)
