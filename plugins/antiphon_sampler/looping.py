"""Loops of sample parts, and slices synced to the clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

from antiphon.api import BlockTime
from antiphon_sampler.samples import Sample
from antiphon_sampler.values import NoteValues

MOST = 16
"""Maximum simultaneous loops of a node."""
LEAST = 1.0 / 32.0
"""Minimum beats of a loop."""
AT_ONCE = 64
"""Maximum slices started in one block; further ones start late, in the next."""
EARLY = 1e-3
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
        return max(0, math.ceil((beat - time.beat) * 60.0 * rate / time.tempo - EARLY))

    def follow(self, time: BlockTime) -> None:
        """Restarts the loop if the running clock has jumped by more than its length."""
        turn, place = divmod(self.next, len(self.cuts) - 1)
        beat = self.begun + self.values.beats * turn
        if not beat - self.values.beats - LEAST <= time.beat <= beat + 2.0 * self.values.beats + LEAST:
            self.begun = time.beat - self.values.beats * turn
            self.next -= place

    def over(self) -> bool:
        """True if all its slices have started and it does not repeat."""
        return not self.values.loop and self.next >= len(self.cuts) - 1


def cuts_between(sample: Sample, first: int, last: int, by: str) -> tuple[int, ...]:
    """Cut positions of a part of a sample, from its beginning to its end.

    `by` is "onsets", or "speed" for no inner cuts.
    """
    if by != "onsets":
        return first, last
    return (first, *(at for at in sample.onsets if first < at < last), last)
