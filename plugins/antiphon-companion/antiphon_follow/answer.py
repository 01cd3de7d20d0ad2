"""Estimate of the player's beat at a time, with the octave and the bar line that a performer chose."""

from __future__ import annotations

import math
from typing import Protocol

BETWEEN = 0.2
"""Beats about the middle between two beats within which a tap is off the beat."""


class FoundBeats(Protocol):
    """An answer of a filter, as `BarFilter` has it after `read`."""

    phase: float
    period: float
    place: int
    meter: int
    sureness: float


class FollowAnswer:
    """An answer in the chosen octave and bar. `low`, `high`: range of the tempo, bpm.

    `phase` in beats, `period` in seconds, `place`: beat of the bar, `meter`: beats of it, `sureness` 0 to 1.
    `octave`, `moved`: by which power of two and by how many beats it is not what was found.
    """

    def __init__(self, low: float, high: float) -> None:
        self._shortest, self._longest = 60.0 / high, 60.0 / low
        self.clear()

    def clear(self) -> None:
        self.phase, self.period, self.place, self.meter, self.sureness = 0.0, 0.5, 0, 4, 0.0
        self.octave, self.moved, self._between = 0, 0.0, False

    def take(self, found: FoundBeats, late: float = 0.0) -> None:
        """Takes what a filter found `late` seconds ago."""
        self.sureness, self.meter = found.sureness, found.meter
        beat, period = found.place + found.phase + late / found.period, found.period
        factor = 2.0**self.octave
        if not self._shortest <= period / factor <= self._longest:
            factor, self.octave = 1.0, 0
        beat, self.period = beat * factor + self.moved, period / factor
        whole = math.floor(beat)
        self.phase, self.place = beat - whole, whole % self.meter

    def double(self) -> None:
        """Beats twice as fast, within the range."""
        self._turn(1)

    def halve(self) -> None:
        """Beats half as fast, within the range."""
        self._turn(-1)

    def _turn(self, by: int) -> None:
        if abs(self.octave + by) <= 1 and self._shortest <= self.period / 2.0**by <= self._longest:
            self.octave += by

    def here(self) -> None:
        """The nearest beat begins a bar."""
        self.moved = (self.moved - round(self.place + self.phase)) % self.meter

    def tapped(self, since: float, ahead: float = 0.0) -> None:
        """Takes a tap: the octave whose beat is nearest to the time between two, moved by half where both are off.

        `since`: seconds since the one before, infinite for a first; `ahead`: seconds from the answer to this one.
        """
        before, self._between = self._between, abs((self.phase + ahead / self.period) % 1.0 - 0.5) < BETWEEN
        if not 0.0 < since < math.inf:
            return
        if turn := round(math.log2(self.period / since)):
            self._turn(1 if turn > 0 else -1)
        elif before and self._between:
            self.moved, self._between = self.moved + 0.5, False
