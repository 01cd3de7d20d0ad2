"""Voice management of a sampler: starts, ends and bends voices. The kernels are in `rows` and `mixing`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import ProcessorPart, Samples, Step
from antiphon.api.backends.intrinsics import store_release
from antiphon.api.kernels import Audio, address_f32, f32, f32p, f64, f64p, i64, i64p, kernel
from antiphon_sampler.coloring import Color, sampler_process_frame
from antiphon_sampler.motion import (
    Motion,
    MotionFlag,
    put_color,
    put_motion,
    sampler_level,
    sampler_speed_factor,
    sampler_sweep,
)
from antiphon_sampler.rows import (
    FAR,
    NEAR,
    NO_END,
    PHASES,
    ROWS,
    VOICES,
    Real,
    Whole,
    sampler_bend,
    sampler_fade_cut_group,
    sampler_fade_out,
    sampler_fade_starved,
    sampler_free_row,
    sampler_interpolate,
    sampler_release_note,
    sampler_shape,
    sampler_table,
    sinc_tables,
)
from antiphon_sampler.samples import (
    PAGE,
    SLOTS,
    STARVED_WORD,
    STREAMS,
    STRIDE,
    LongSample,
    PageStreams,
    Sample,
    StreamWord,
    page_range,
    sampler_page,
)
from antiphon_sampler.values import NoteValues

# ---- Mixing kernels of a sampler's voices: positions, envelopes, repeats, pages of long samples

GLIDE = 1.0 / 480.0
"""Maximum change of the pressure gain per frame: 10 ms at 48 kHz from none to full."""


class SamplerState(NamedTuple):
    """State of the voices: integer and real numbers of each, filters, envelopes, and addresses of sounds."""

    whole: i64p
    real: f64p
    color: f64p
    motion: f64p
    table: f32p
    words: i64p
    buffer: i64


@kernel
def sampler_voice(y: Audio, s: SamplerState, w: i64, r: i64, c: i64, begin: i64, end: i64, plain: i64) -> i64:
    """Adds one voice to y[:, begin:end]. Returns 1 if it ended, 2 if it ended for lack of a page.

    `plain`: 1 if it has no color, envelope, loop, repeats or acceleration, so that these are skipped.
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
            if (moves & MotionFlag.DECAY) > 0:
                gain = gain * sampler_level(s.motion, m, age)
            if (moves & MotionFlag.SWEEP) > 0:
                sampler_sweep(s.motion, m, s.color, c, age, falling - f64(fall) if fall > 0 else 0.0)
            if (moves & (MotionFlag.PITCH | MotionFlag.FM)) > 0:
                move = pace * sampler_speed_factor(s.motion, m, moves, age)
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
            p = sampler_interpolate(left, position, s.table, row, half)
            q = p
            if two:
                q = sampler_interpolate(right, position, s.table, row, half)
        if colors > 0:
            p = sampler_process_frame(s.color, c, 0, colors, age, p)
            q = sampler_process_frame(s.color, c, 1, colors, age, q) if two else p
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
    """Adds one voice, by a kernel without branches for unused features; see `sampler_voice`."""
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
    """Adds all voices to y[:, begin:end]; returns the number that sound without fading out."""
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
                sampler_fade_out(s.whole, v, s.whole[w + Whole.OFF])
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
    """y ← all voices, with a gain per frame; sounding[0] ← number of voices that sound without fading out."""
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = 0.0
    sounding[0] = f64(sampler_mix(y, s, 0, y.frames))
    for c in range(y.channels):
        for n in range(y.frames):
            y[c, n] = y[c, n] * gain[n]


class MissedNotes(ProcessorPart):
    """Records notes without a loaded sample, and voices whose file was read too late; a replay omits the same."""

    def __init__(self) -> None:
        self.notes: set[int] = set()
        self.voices: list[int] = []

    def recall(self, kind: str, number: int) -> None:
        if kind == "missed":
            self.notes.add(number)
        elif kind == "underrun":
            self.voices.append(number)

    def clear(self) -> None:
        """Clears both at the end of their block."""
        self.notes.clear()
        self.voices.clear()


__all__ = ["VOICES", "NewVoice", "SampleVoices", "pan_gains"]

CUT = 0.003
"""Fade-out in seconds of a stolen or cut voice, or one whose file is read too late."""
EDGE = 0.0005
"""Minimum fade-in in seconds of a part of a sample, which may start anywhere in a wave."""
END = 0.002
"""Minimum fade-out in seconds at the end of a sample or a part."""


@dataclass(frozen=True, slots=True)
class NewVoice:
    """Playback parameters of a new voice."""

    speed: float  # frames of the sample a frame; below 0 from the end on
    bend: float
    gain: float
    pan: float  # 0 left, 0.5 middle, 1 right
    attack: float  # seconds of the fade-in
    release: float  # seconds of the fade-out before the end
    cut: int  # group of which it ends the other voices; 0 for none
    note: int  # by which `off` finds it
    channel: int  # 1 to 16
    values: NoteValues  # of its filters, distortions, envelopes and modulations
    moves: bool = True  # whether it has envelopes and modulations
    pitch: float = 1.0
    pressure: float = 1.0
    sustain: float = 0.0  # seconds after which it fades out over `release`; 0 for its end
    accelerate: float = 0.0  # its speed goes in a straight line to this much more, as a share of it, while it sounds
    repeats: int = 1  # how often the part is played, one after the other; of a long sample once
    loop: int = -1  # frame of the sample from which it repeats until the note ends; -1 for none


class SampleVoices:
    """Voices of one node. All methods but the constructor are for the block path."""

    def __init__(self, rate: int, voices: int) -> None:
        """Allocates voices for 1 to `VOICES` notes at once."""
        self._voices = voices
        self.streams = PageStreams()  # those of its long samples
        self._cut, self._edge, self._end = (max(1, round(seconds * rate)) for seconds in (CUT, EDGE, END))
        self._rate = rate
        self._whole = np.zeros(ROWS * Whole.SIZE, np.int64)
        self._real = np.zeros(ROWS * Real.SIZE, np.float64)
        self._color = np.zeros(ROWS * Color.SIZE, np.float64)
        self._motion = np.zeros(ROWS * Motion.SIZE, np.float64)
        self._table = sinc_tables()
        self._kept: list[Sample | None] = [None] * ROWS
        self._starving = np.zeros(ROWS, np.int64)
        self.reset()

    def reset(self) -> None:
        self._whole.fill(0)
        self.streams.reset()
        self._order = self._late = 0
        self.dropped = self.sounding = 0

    @property
    def underruns(self) -> int:
        """Number of voices of long samples that ended early because their file was not read in time."""
        return self._late + self.streams.starved_voices

    @property
    def reach(self) -> int:
        """Frames, at least 1, for which the fastest voice stays within its stream's pages."""
        steps, fastest_of = self._real[Real.STEP :: Real.SIZE], self._real[Real.FASTEST :: Real.SIZE]
        fastest = float(np.abs(steps * fastest_of).max())
        return max(1, int((SLOTS - 1) * PAGE / max(1.0, fastest)))

    def fade_unread(self, row: int) -> None:
        """Fades out the voice of a row whose file was not read in time; other rows are ignored."""
        if 0 <= row < ROWS and self._whole[row * Whole.SIZE + Whole.ON]:
            sampler_fade_out(self._whole, row, self._cut)
            self._late += 1

    def fade_missing_pages(self, frames: int) -> list[int]:
        """Fades out voices whose pages are missing for a block plus the fade; returns their rows."""
        count = sampler_fade_starved(
            self._whole, self._real, self.streams.words, self.streams.buffer, frames, self._cut, self._starving
        )
        self._late += count
        return self._starving[:count].tolist() if count else []

    def mix(self, y: Samples, begin: int, end: int) -> None:
        """Adds all voices to frames `begin` to `end` of y, `[channels, frames]`."""
        if end > begin:
            self.sounding = sampler_mix(y, self._state(), begin, end)

    def step(self, y: Samples, gain: Samples, sounding: NDArray[np.float64]) -> Step | None:
        """Step of a block without voice changes, as a kernel call.

        `y`: the output, `[1 or 2, frames]`, overwritten by the voices. `gain`: factor per frame. Returns the call; None
        while a voice reads a long sample, whose pages are counted block by block.
        """
        if self.streams.in_use:
            return None
        return sampler_block.step(y, gain, self._state(), sounding)

    def _state(self) -> SamplerState:
        streams = self.streams
        return SamplerState(
            self._whole, self._real, self._color, self._motion, self._table, streams.words, streams.buffer
        )

    def start(self, sample: Sample, first: int, last: int, given: NewVoice) -> None:
        """Starts a voice that plays frames `first` to `last`, at the current frame of the mix.

        `sample` is kept alive until the voice's row is reused.
        """
        if given.cut:
            sampler_fade_cut_group(self._whole, given.cut, self._cut)
        row = sampler_free_row(self._whole, self._voices, 0, self._cut)
        step = given.speed * given.bend * given.pitch
        fastest = max(1.0, abs(1.0 + given.accelerate))
        stream = -1
        if row >= 0 and isinstance(sample, LongSample):
            sampler_free_row(self._whole, STREAMS, 1, self._cut)
            stream = self.streams.open(sample, page_range(first, last, given.speed), step * fastest)
            row = row if stream >= 0 else -1
        if row < 0:
            self.dropped += 1
            return
        self._kept[row] = sample
        self._order += 1
        # the mean speed, as SuperDirt reckons it
        more = 0 if isinstance(sample, LongSample) or given.loop >= 0 else given.repeats - 1
        length = (1 + more) * (last - first) / max(abs(step) * 0.5 * (1.0 + abs(1.0 + given.accelerate)), 1e-9)
        until = round(given.sustain * self._rate) if given.sustain > 0.0 else NO_END
        glide = max(1, round(min(length, until)))
        fade = max(self._end, round(given.release * self._rate))
        inside = first > 0 if step >= 0.0 else last < sample.frames
        w, whole = row * Whole.SIZE, self._whole
        whole[w + Whole.ON] = 1
        whole[w + Whole.STREAM] = stream + 1
        if not isinstance(sample, LongSample):
            whole[w + Whole.ADDRESS] = sample.address
            whole[w + Whole.STRIDE] = sample.stride
        whole[w + Whole.CHANNELS] = sample.channels
        whole[w + Whole.FIRST] = first
        whole[w + Whole.LAST] = last
        whole[w + Whole.ATTACK] = max(self._edge if inside else 0, round(given.attack * self._rate))
        whole[w + Whole.RELEASE] = min(fade, max(1, int(length / 2.0)))
        whole[w + Whole.OFF] = fade
        whole[w + Whole.TABLE] = sampler_table(step * fastest)
        whole[w + Whole.UNTIL] = until
        whole[w + Whole.GLIDE] = glide
        whole[w + Whole.REPEATS] = more
        whole[w + Whole.LOOP] = given.loop
        self._write(row, given)
        r = row * Real.SIZE
        self._real[r + Real.POSITION] = first if step >= 0.0 else last - 1
        self._real[r + Real.STEP] = step
        self._real[r + Real.SLOPE] = given.accelerate / glide
        self._real[r + Real.FASTEST] = fastest

    def _write(self, row: int, given: NewVoice) -> None:
        """Writes the row fields that do not depend on the sample."""
        w, whole, values = row * Whole.SIZE, self._whole, given.values
        whole[w + Whole.AGE] = 0
        whole[w + Whole.FALL] = -1
        whole[w + Whole.FALLING] = 0
        whole[w + Whole.NOTE] = given.note
        whole[w + Whole.CHANNEL] = given.channel
        whole[w + Whole.CUT] = given.cut
        whole[w + Whole.ORDER] = self._order
        whole[w + Whole.ON_COLOR] = put_color(values, self._color, row * Color.SIZE, self._rate)
        whole[w + Whole.MOVES] = (
            put_motion(values, given.note, self._motion, row * Motion.SIZE, self._rate) if given.moves else 0
        )
        left, right = pan_gains(given.pan)
        r = row * Real.SIZE
        self._real[r + Real.SPEED] = given.speed
        self._real[r + Real.BEND] = given.bend
        self._real[r + Real.PITCH] = given.pitch
        self._real[r + Real.PRESSURE] = self._real[r + Real.TARGET] = given.pressure
        self._real[r + Real.LEFT] = given.gain * left
        self._real[r + Real.RIGHT] = given.gain * right

    def release_note(self, note: int, channel: int, *, looped: bool = False) -> None:
        """Releases a note's voices on a channel, note -1 for all notes; `looped`: only voices in a loop."""
        sampler_release_note(self._whole, note, channel, self._end, int(looped))

    def cut(self, group: int) -> None:
        """Fades out the voices of a cut group."""
        sampler_fade_cut_group(self._whole, group, self._cut)

    def bend(self, channel: int, ratio: float) -> None:
        """Sets the bend of a channel's voices."""
        sampler_bend(self._whole, self._real, channel, ratio)

    def shape(self, note: int, channel: int, *, pitch: float = 0.0, pressure: float = 0.0) -> None:
        """Sets the pitch factor of a note's voices, or their target pressure gain; 0 keeps either."""
        sampler_shape(self._whole, self._real, note, channel, pitch, pressure)


def pan_gains(pan: float) -> tuple[float, float]:
    """Equal-power pan gains for left and right; unity in the middle, +3 dB at a side. `pan`: 0 left to 1 right."""
    if pan == 0.5:
        return 1.0, 1.0
    angle = 0.5 * math.pi * pan
    return math.sqrt(2.0) * math.cos(angle), math.sqrt(2.0) * math.sin(angle)
