"""How long a node that plays notes on the musical clock has nothing to do, for its `step`."""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from antiphon.contract.processor import IO
from antiphon.native.compiling import kernel
from antiphon.native.kernel import f64, f64p, i64
from antiphon.native.step import Step


class _Word(IntEnum):
    DUE = 0  # the beat of the next thing to do
    EXPECTED = 1  # the beat at which the next block begins; NaN while the clock stands


@kernel
def beat_rests(words: f64p, jump: f64, beat: f64, step: f64, playing: i64, frames: i64) -> i64:
    """1 where the block holds nothing to do: the clock goes on or stands as before, and nothing is due, else 0."""
    expected = words[_Word.EXPECTED]
    if playing == 0:
        return 1 if expected != expected else 0
    # a frame more, for the rounding of a beat's frame
    due = words[_Word.DUE] <= beat + step * f64(frames + 1)
    return 1 if abs(beat - expected) <= jump and not due else 0


@kernel
def follow_beat(words: f64p, beat: f64, step: f64, playing: i64, frames: i64) -> None:
    """Notes the beat at which the next block begins."""
    if playing != 0:
        words[_Word.EXPECTED] = beat + step * f64(frames)


class BeatRest:
    """Where a node is on the musical clock, and until when machine code may play the blocks in which it does nothing.

    `process` compares `expected` with the beat of a block, and sets it and `due` at its end.

    Args:
        rate: Of the stream, Hz.
        jump: Beats by which the clock differs from `expected` where it was moved.
    """

    def __init__(self, rate: int, jump: float) -> None:
        self._rate, self._jump = rate, jump
        self._words = np.array([-math.inf, math.nan])

    @property
    def expected(self) -> float | None:
        """The beat at which the next block begins; None while the clock stands, and before the first block."""
        beat = float(self._words[_Word.EXPECTED])
        return None if math.isnan(beat) else beat

    @expected.setter
    def expected(self, beat: float | None) -> None:
        self._words[_Word.EXPECTED] = math.nan if beat is None else beat

    @property
    def due(self) -> float:
        """The beat of the next thing to do without an event; infinite where there is none."""
        return float(self._words[_Word.DUE])

    @due.setter
    def due(self, beat: float) -> None:
        self._words[_Word.DUE] = beat

    def step(self, io: IO) -> Step:
        """Says that a block without an event is nothing, unless something is due or the clock was moved.

        Args:
            io: As of `Processor.step`.

        Returns:
            The step, to which calls that fill the outputs are added.
        """
        time = io.time
        now = time.beat, time.beats_per_frame(self._rate), time.playing, io.frames
        return follow_beat.step(self._words, *now).provided(beat_rests.step(self._words, self._jump, *now))
