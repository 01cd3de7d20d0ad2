"""Voice management of a sampler: start, end and bend. The kernels are in `rows` and `mixing`."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples, Step
from antiphon.api.backends.workers import ProcessorPart
from antiphon_sampler.coloring import Color
from antiphon_sampler.mixing import SamplerState, sampler_block, sampler_mix
from antiphon_sampler.motion import Motion, put_color, put_motion
from antiphon_sampler.rows import (
    NO_END,
    ROWS,
    VOICES,
    Real,
    Whole,
    sampler_bend,
    sampler_cut,
    sampler_fall,
    sampler_free,
    sampler_off,
    sampler_shape,
    sampler_starving,
    sampler_table,
    sinc_tables,
)
from antiphon_sampler.samples import PAGE, LongSample, Sample, way_of
from antiphon_sampler.streams import SLOTS, STREAMS, PageStreams
from antiphon_sampler.values import NoteValues


class MissedNotes(ProcessorPart):
    """Notes without a loaded sample, and voices whose file was read too late: a replay omits the same."""

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


__all__ = ["VOICES", "NewVoice", "SampleVoices", "sides"]

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
        """Voices of long samples that ended early because their file was not read in time."""
        return self._late + self.streams.starved

    @property
    def reach(self) -> int:
        """Frames, at least 1, for which the fastest voice stays within its stream's pages."""
        steps, fastest_of = self._real[Real.STEP :: Real.SIZE], self._real[Real.FASTEST :: Real.SIZE]
        fastest = float(np.abs(steps * fastest_of).max())
        return max(1, int((SLOTS - 1) * PAGE / max(1.0, fastest)))

    def starve(self, row: int) -> None:
        """Fades out the voice of a row whose file was not read in time; other rows are ignored."""
        if 0 <= row < ROWS and self._whole[row * Whole.SIZE + Whole.ON]:
            sampler_fall(self._whole, row, self._cut)
            self._late += 1

    def starving(self, frames: int) -> list[int]:
        """Fades out voices whose pages are missing for a block plus the fade; returns their rows."""
        count = sampler_starving(
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

        `y`: the output, `[1 or 2, frames]`, which gets the voices alone. `gain`: its factor, a value a frame. Returns
        the call; None while a voice reads a long sample, whose pages are counted block by block.
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
        """Begins a voice that plays frames `first` to `last`, at the frame to which the mix has come.

        `sample` is referred to until the voice's row is used again.
        """
        if given.cut:
            sampler_cut(self._whole, given.cut, self._cut)
        row = sampler_free(self._whole, self._voices, 0, self._cut)
        step = given.speed * given.bend * given.pitch
        fastest = max(1.0, abs(1.0 + given.accelerate))
        stream = -1
        if row >= 0 and isinstance(sample, LongSample):
            sampler_free(self._whole, STREAMS, 1, self._cut)
            stream = self.streams.open(sample, way_of(first, last, given.speed), step * fastest)
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
        left, right = sides(given.pan)
        r = row * Real.SIZE
        self._real[r + Real.SPEED] = given.speed
        self._real[r + Real.BEND] = given.bend
        self._real[r + Real.PITCH] = given.pitch
        self._real[r + Real.PRESSURE] = self._real[r + Real.TARGET] = given.pressure
        self._real[r + Real.LEFT] = given.gain * left
        self._real[r + Real.RIGHT] = given.gain * right

    def off(self, note: int, channel: int, *, looped: bool = False) -> None:
        """Releases the voices of a note of a channel, -1 for all of the channel's; `looped`: those in a loop alone."""
        sampler_off(self._whole, note, channel, self._end, int(looped))

    def cut(self, group: int) -> None:
        """Fades out the voices of a cut group."""
        sampler_cut(self._whole, group, self._cut)

    def bend(self, channel: int, ratio: float) -> None:
        """Sets the bend of a channel's voices."""
        sampler_bend(self._whole, self._real, channel, ratio)

    def shape(self, note: int, channel: int, *, pitch: float = 0.0, pressure: float = 0.0) -> None:
        """Sets the pitch factor of a note's voices, or their target pressure gain; 0 keeps either."""
        sampler_shape(self._whole, self._real, note, channel, pitch, pressure)


def sides(pan: float) -> tuple[float, float]:
    """Equal-power pan gains for left and right; unity in the middle, +3 dB at a side. `pan`: 0 left to 1 right."""
    if pan == 0.5:
        return 1.0, 1.0
    angle = 0.5 * math.pi * pan
    return math.sqrt(2.0) * math.cos(angle), math.sqrt(2.0) * math.sin(angle)
