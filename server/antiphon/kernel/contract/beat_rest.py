"""Idle test for nodes on the musical clock: until which frame a node has no event, for its `step`."""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from antiphon.kernel.contract.processor import IO, BlockTime
from antiphon.kernel.native.compiling import kernel
from antiphon.kernel.native.dsp import fill_sound
from antiphon.kernel.native.kernel import f64, f64p, i64
from antiphon.kernel.native.step import Step

NEVER = 1 << 60
"""Frame number above any real one."""
_EARLY = 1e-6
"""Frames of tolerance for the rounding of a beat's frame."""


class _Word(IntEnum):
    DUE = 0  # the beat of the next thing to do
    EXPECTED = 1  # the beat at which the next block begins; NaN while the clock stands


@kernel
def beat_rests(words: f64p, jump: f64, beat: f64, step: f64, playing: i64, frames: i64) -> i64:
    """1 if the node is idle in this block: the clock continues or stands as expected and no event is due, else 0."""
    expected = words[_Word.EXPECTED]
    if playing == 0:
        return 1 if expected != expected else 0
    # a frame more, for the rounding of a beat's frame
    due = words[_Word.DUE] <= beat + step * f64(frames + 1)
    return 1 if abs(beat - expected) <= jump and not due else 0


@kernel
def follow_beat(words: f64p, beat: f64, step: f64, playing: i64, frames: i64) -> None:
    """Stores the beat at which the next block begins."""
    if playing != 0:
        words[_Word.EXPECTED] = beat + step * f64(frames)


class BeatRest:
    """A node's position on the musical clock, and the frame of its next event: until then machine code plays it.

    `process` checks `moved` for clock jumps, and calls `until` at its end.

    Args:
        rate: Of the stream, Hz.
        jump: Beats by which the clock differs from `expected` where it was moved.
        ahead: The same where it is further on; None for as many.
    """

    def __init__(self, rate: int, jump: float, ahead: float | None = None) -> None:
        self._rate, self._jump, self._ahead = rate, jump, jump if ahead is None else ahead
        self._words = np.array([-math.inf, math.nan])

    @property
    def expected(self) -> float | None:
        """Beat at which the next block begins; None while the clock stands, and before the first block."""
        beat = float(self._words[_Word.EXPECTED])
        return None if math.isnan(beat) else beat

    def moved(self, beat: float) -> bool:
        """True if the clock jumped between two blocks."""
        expected = self.expected
        return expected is not None and not -self._jump <= beat - expected <= self._ahead

    def frame(self, beat: float, time: BlockTime) -> int:
        """First frame of a block at or after a beat.

        Returns the frame, 0 for a beat before the block, more than any for an infinite one.
        """
        per_frame = time.tempo / 60.0 / self._rate
        return NEVER if beat == math.inf else max(0, math.ceil((beat - time.beat) / per_frame - _EARLY))

    def forget(self) -> None:
        """Clears the clock position: the next block may begin at any beat."""
        self._words[_Word.EXPECTED] = math.nan

    def until(self, beat: float, io: IO) -> None:
        """Ends a block: stores the beat of the next event and of the next block."""
        time, words = io.time, self._words
        ends = time.beat + time.beats_per_frame(self._rate) * io.frames
        words[_Word.DUE], words[_Word.EXPECTED] = beat, ends if time.playing else math.nan

    def step(self, io: IO) -> Step:
        """Step of an idle block: silence, unless an event is due or the clock jumped."""
        time, jump = io.time, min(self._jump, self._ahead)
        now = time.beat, time.beats_per_frame(self._rate), time.playing, io.frames
        step = follow_beat.step(self._words, *now).provided(beat_rests.step(self._words, jump, *now))
        for sound in io.audio_out:
            step = step.then(fill_sound.step(sound, 0.0))
        return step
