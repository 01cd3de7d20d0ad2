"""What is known of the player's beat at a time, with the octave and the bar line that a performer chose."""

from __future__ import annotations

import math
from typing import Protocol


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
    """

    def __init__(self, low: float, high: float) -> None:
        self._shortest, self._longest = 60.0 / high, 60.0 / low
        self.clear()

    def clear(self) -> None:
        self.phase, self.period, self.place, self.meter, self.sureness = 0.0, 0.5, 0, 4, 0.0
        self.octave, self._moved = 0, 0

    def take(self, found: FoundBeats, late: float = 0.0) -> None:
        """Takes what a filter found `late` seconds ago."""
        self.sureness, self.meter = found.sureness, found.meter
        beat, period = found.place + found.phase + late / found.period, found.period
        factor = 2.0**self.octave
        if not self._shortest <= period / factor <= self._longest:
            factor, self.octave = 1.0, 0
        beat, self.period = beat * factor + self._moved, period / factor
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
        self._moved = (self._moved - round(self.place + self.phase)) % self.meter

    def tapped(self, seconds: float) -> None:
        """The octave whose beat is nearest to the time between two taps."""
        turn = round(math.log2(self.period / seconds)) if seconds > 0.0 else 0
        if turn:
            self._turn(1 if turn > 0 else -1)
