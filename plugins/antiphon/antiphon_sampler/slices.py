"""Sample slicing: equal parts, or at onsets; loops of parts synced to the clock."""

import math
from dataclasses import dataclass

import numpy as np

from antiphon.api import BlockTime, Samples
from antiphon.api.backends.analysis import ONSET_RISE, ONSETS_APART, level_rises, listening_mono, piece_frames
from antiphon_sampler.samples import Sample
from antiphon_sampler.values import NoteValues

MAX_LOOPS = 16
"""Maximum simultaneous loops of a node."""
MIN_BEATS = 1.0 / 32.0
"""Minimum beats of a loop."""
BATCH_SIZE = 64
"""Maximum slices started in one block; further ones start late, in the next."""
ROUNDING_FRAMES = 1e-3
"""Frames of tolerance for a beat just before a frame, due to rounding."""


@dataclass(slots=True)
class ClockedLoop:
    """A playing loop; its slices start at beats."""

    sample: Sample
    values: NoteValues
    gain: float
    note: int
    channel: int
    begun: float  # the beat at which it began
    cuts: tuple[int, ...]  # frames of the sample at which its slices begin, then the end of the part
    next: int
    group: int

    def frame(self, time: BlockTime, rate: int) -> int:
        """Frame of the next slice, 0 for a past one; beyond the block it is later."""
        first, last = self.cuts[0], self.cuts[-1]
        turn, place = divmod(self.next, len(self.cuts) - 1)
        beat = self.begun + self.values.beats * (turn + (self.cuts[place] - first) / (last - first))
        return max(0, math.ceil((beat - time.beat) * 60.0 * rate / time.tempo - ROUNDING_FRAMES))

    def follow(self, time: BlockTime) -> None:
        """Restarts the loop if the running clock has jumped by more than its length."""
        turn, place = divmod(self.next, len(self.cuts) - 1)
        beat = self.begun + self.values.beats * turn
        if not beat - self.values.beats - MIN_BEATS <= time.beat <= beat + 2.0 * self.values.beats + MIN_BEATS:
            self.begun = time.beat - self.values.beats * turn
            self.next -= place

    def over(self) -> bool:
        """True if all its slices have started and it does not repeat."""
        return not self.values.loop and self.next >= len(self.cuts) - 1


def cuts_between(sample: Sample, first: int, last: int, by: str) -> tuple[int, ...]:
    """Cut positions of a part of a sample, beginning and end too: by "onsets", or by "speed", without inner cuts."""
    if by != "onsets":
        return first, last
    return (first, *(at for at in sample.onsets if first < at < last), last)


LOOK_BACK = range(1, 10)
"""Look-back in level pieces that an onset exceeds, 18 ms: longer than a period of a bass drum's beginning."""
MAX_SLICES = 512
"""Maximum slices of a sample."""


def onsets(sound: Samples, rate: int) -> tuple[int, ...]:
    """Onset frames, ascending, in float32 `[channels, frames]`; the first is 0.

    The level of a 2 ms piece has to exceed the loudest of the pieces before it (`level_rises`). An onset is moved back
    to the start of the rise within its piece.
    """
    step = piece_frames(rate)
    count = sound.shape[1] // step
    if count <= LOOK_BACK.stop:
        return (0,)
    mono = listening_mono(sound)[: count * step].astype(np.float64)
    rise = level_rises(mono, rate, LOOK_BACK, circular=False)
    found = [0]
    for n in np.flatnonzero(rise > ONSET_RISE):
        frame = _beginning(mono, int(n), step)
        if frame - found[-1] > ONSETS_APART * rate and len(found) < MAX_SLICES:
            found.append(frame)
    return tuple(found)


def _beginning(mono: np.ndarray[tuple[int], np.dtype[np.float64]], piece: int, step: int) -> int:
    """First frame of a piece, or of the next, above a quarter of its peak over the preceding level."""
    first = piece * step
    here = np.abs(mono[first : first + 2 * step])
    before = float(np.abs(mono[max(0, first - 2 * step) : first]).max(initial=0.0))
    over = np.flatnonzero(here > before + 0.25 * (float(here.max()) - before))
    return first + (int(over[0]) if len(over) else 0)


def region(frames: int, cuts: tuple[int, ...], slices: int, number: int) -> tuple[int, int]:
    """First frame of a slice and the frame after its last, at least one apart; `number` wraps.

    `slices` equal ones; 0 cuts at the onsets `cuts`.
    """
    if slices > 0:
        place = number % slices
        first, last = frames * place // slices, frames * (place + 1) // slices
    else:
        place = number % len(cuts)
        first, last = cuts[place], cuts[place + 1] if place + 1 < len(cuts) else frames
    return first, max(first + 1, last)


def between(first: int, last: int, begin: float, end: float) -> tuple[int, int]:
    """The part of frames `first` to `last` from the share `begin` to `end`, in either order; at least one frame."""
    begin, end = min(begin, end), max(begin, end)
    length = last - first
    at = first + min(length - 1, round(begin * length))
    return at, max(at + 1, first + round(end * length))
