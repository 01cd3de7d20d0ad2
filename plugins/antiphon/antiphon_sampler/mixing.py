"""Mixing kernels of a sampler's voices: positions, envelopes, repeats, pages of long samples."""

from __future__ import annotations

import math
from typing import NamedTuple

from antiphon.api.backends.intrinsics import store_release
from antiphon.api.kernels import Audio, address_f32, f32, f32p, f64, f64p, i64, i64p, kernel
from antiphon_sampler.coloring import Color, sampler_colored
from antiphon_sampler.motion import Motion, Moves, sampler_level, sampler_pace, sampler_sweep
from antiphon_sampler.rows import FAR, NEAR, NO_END, PHASES, ROWS, Real, Whole, sampler_fall, sampler_value
from antiphon_sampler.samples import PAGE
from antiphon_sampler.streams import STARVED_WORD, STRIDE, StreamWord, sampler_page

GLIDE = 1.0 / 480.0
"""Maximum change of the pressure gain per frame: 10 ms at 48 kHz from none to full."""


class SamplerState(NamedTuple):
    """The voices that sound: whole and real numbers of each, filters, envelopes, and where sounds lie."""

    whole: i64p
    real: f64p
    color: f64p
    motion: f64p
    table: f32p
    words: i64p
    buffer: i64


@kernel
def sampler_voice(y: Audio, s: SamplerState, w: i64, r: i64, c: i64, begin: i64, end: i64, plain: i64) -> i64:
    """Adds one voice to y[:, begin:end]. Returns 1 where it ended, 2 where it did for want of a page.

    `plain`: 1 where it has no color, envelope, loop, repeats or acceleration, so that nothing is looked up for them.
    """
    left = address_f32(s.whole[w + Whole.ADDRESS])
    right = left
    if s.whole[w + Whole.CHANNELS] > 1:
        right = address_f32(s.whole[w + Whole.ADDRESS] + 4 * s.whole[w + Whole.STRIDE])
    two = s.whole[w + Whole.CHANNELS] > 1
    position = s.real[r + Real.POSITION]
    step = s.real[r + Real.STEP]
    first = f64(s.whole[w + Whole.FIRST])
    last = f64(s.whole[w + Whole.LAST])
    age = s.whole[w + Whole.AGE]
    attack = f64(s.whole[w + Whole.ATTACK] + 1)
    fall = s.whole[w + Whole.FALL]
    falling = f64(s.whole[w + Whole.FALLING])
    row = i64(0)
    half = i64(NEAR)
    if s.whole[w + Whole.TABLE] > 0:
        half = i64(FAR)
        row = (PHASES + 1) * (2 * NEAR + (s.whole[w + Whole.TABLE] - 1) * 2 * FAR)
    stream = s.whole[w + Whole.STREAM]
    # the frames that the pointers reach: all of a sample in memory, no page of a stream yet
    low = i64(0)
    high = i64(NO_END) if stream == 0 else i64(0)
    ended = i64(0)
    pressure = s.real[r + Real.PRESSURE]
    target = s.real[r + Real.TARGET]
    colors = s.whole[w + Whole.ON_COLOR] if plain == 0 else 0
    moves = s.whole[w + Whole.MOVES] if plain == 0 else 0
    m = (w // Whole.SIZE) * Motion.SIZE
    slope = s.real[r + Real.SLOPE] if plain == 0 else 0.0
    glide = s.whole[w + Whole.GLIDE]
    pace = step
    repeats = s.whole[w + Whole.REPEATS] if plain == 0 else 0
    loop = s.whole[w + Whole.LOOP] if plain == 0 else i64(-1)
    release = f64(s.whole[w + Whole.RELEASE]) if repeats == 0 and loop < 0 else 0.0
    reach = release * abs(pace)
    for n in range(begin, end):
        if loop >= 0 and position >= last:
            span = last - f64(loop)
            position = position - span * math.floor((position - f64(loop)) / span)
        if position >= last or position < first or fall == 0 or step == 0.0:
            if repeats == 0 or fall == 0 or step == 0.0:
                ended = 1
                break
            position = position - (last - first) if position >= last else position + (last - first)
            repeats = repeats - 1
            release = f64(s.whole[w + Whole.RELEASE]) if repeats == 0 else 0.0
            reach = release * abs(pace)
        if slope != 0.0:
            # by the voice's age, so that the result is independent of block boundaries
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
            # a linear ramp, so that the result is independent of block boundaries
            pressure = min(target, pressure + GLIDE) if pressure < target else max(target, pressure - GLIDE)
        gain = gain * pressure
        move = pace
        if moves > 0:
            if (moves & Moves.DECAY) > 0:
                gain = gain * sampler_level(s.motion, m, age)
            if (moves & Moves.SWEEP) > 0:
                sampler_sweep(s.motion, m, s.color, c, age, falling - f64(fall) if fall > 0 else 0.0)
            if (moves & (Moves.PITCH | Moves.FM)) > 0:
                move = pace * sampler_pace(s.motion, m, moves, age)
        base = i64(position)
        if base < low or base >= high:
            page = base // PAGE
            address = sampler_page(s.words, stream - 1, page, s.buffer)
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
            # at an integer position the sinc reduces to that frame
            p = f64(left[base])
            q = f64(right[base])
        else:
            p = sampler_value(left, position, s.table, row, half)
            q = p
            if two:
                q = sampler_value(right, position, s.table, row, half)
        if colors > 0:
            p = sampler_colored(s.color, c, 0, colors, age, p)
            q = sampler_colored(s.color, c, 1, colors, age, q) if two else p
        if y.channels == 1:
            y[0, n] = f32(f64(y[0, n]) + 0.5 * gain * (p * s.real[r + Real.LEFT] + q * s.real[r + Real.RIGHT]))
        else:
            y[0, n] = f32(f64(y[0, n]) + gain * p * s.real[r + Real.LEFT])
            y[1, n] = f32(f64(y[1, n]) + gain * q * s.real[r + Real.RIGHT])
        position = position + move
        if moves > 0:
            # frequency modulation may lead back beyond the beginning
            position = max(position, first) if pace > 0.0 else min(position, last - 1.0)
        age = age + 1
    s.real[r + Real.POSITION] = position
    s.real[r + Real.PRESSURE] = pressure
    s.whole[w + Whole.AGE] = age
    s.whole[w + Whole.FALL] = fall
    if plain == 0:
        s.whole[w + Whole.REPEATS] = repeats
    return ended


@kernel
def sampler_segment(y: Audio, s: SamplerState, v: i64, begin: i64, end: i64) -> i64:
    """Adds one voice, by a kernel without the branches of what it lacks; see `sampler_voice`."""
    w = v * Whole.SIZE
    r = v * Real.SIZE
    c = v * Color.SIZE
    bare = s.whole[w + Whole.ON_COLOR] == 0 and s.whole[w + Whole.MOVES] == 0
    bare = bare and s.whole[w + Whole.LOOP] < 0
    if bare and s.whole[w + Whole.REPEATS] == 0 and s.real[r + Real.SLOPE] == 0.0:
        return sampler_voice(y, s, w, r, c, begin, end, 1)
    return sampler_voice(y, s, w, r, c, begin, end, 0)


@kernel
def sampler_mix(y: Audio, s: SamplerState, begin: i64, end: i64) -> i64:
    """Adds all voices to y[:, begin:end]; returns how many still sound without falling."""
    count = i64(0)
    for v in range(ROWS):
        w = v * Whole.SIZE
        if s.whole[w + Whole.ON] > 0:
            # a note's own end begins its fade within the block
            until = begin + max(0, s.whole[w + Whole.UNTIL] - s.whole[w + Whole.AGE])
            ended = i64(0)
            at = begin
            if until < end:
                if until > begin:
                    ended = sampler_segment(y, s, v, begin, until)
                sampler_fall(s.whole, v, s.whole[w + Whole.OFF])
                s.whole[w + Whole.UNTIL] = NO_END
                at = until
            if ended == 0:
                ended = sampler_segment(y, s, v, at, end)
            stream = (s.whole[w + Whole.STREAM] - 1) * StreamWord.SIZE
            if ended > 0:
                s.whole[w + Whole.ON] = 0
                if stream >= 0:
                    s.words[stream + StreamWord.ON] = 0
                if ended == 2:
                    s.words[STARVED_WORD] = s.words[STARVED_WORD] + 1
            else:
                if stream >= 0:
                    store_release(s.words, stream + StreamWord.AT, i64(s.real[v * Real.SIZE + Real.POSITION]) // PAGE)
                if s.whole[w + Whole.FALL] < 0:
                    count = count + 1
    return count


@kernel
def sampler_block(y: Audio, gain: f32p, s: SamplerState, sounding: f64p) -> None:
    """y ← all voices, at a gain a frame; sounding[0] ← how many still sound without falling."""
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = 0.0
    sounding[0] = f64(sampler_mix(y, s, 0, y.frames))
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = y[c, n] * gain[n]
