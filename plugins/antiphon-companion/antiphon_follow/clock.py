"""A count of beats that never turns back, by the answers of a filter: the player's beat as it is known at a time."""

from __future__ import annotations

import math
import re
from typing import Protocol

from antiphon.api import ParamError
from antiphon_follow.bars import METERS

# ---- Estimate of the player's beat at a time, with the octave and the bar line that a performer chose

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


# ---- Values of `range` and `meter`

RANGE = "50-200"
LEAST, MOST = 30.0, 300.0
"""Limits of `range`, bpm."""
METER_NAMES = ("auto", "2", "3", "4", "6")


def range_of(text: str) -> tuple[float, float]:
    """Lowest and highest tempo of a text as "60-200". Raises ParamError: it is none, or outside the limits."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s*", text)
    low, high = (float(part) for part in found.groups()) if found else (0.0, 0.0)
    if not LEAST <= low < high <= MOST:
        raise ParamError(f"range takes two tempos as 60-200, within {LEAST:g}-{MOST:g} bpm, not {text!r}")
    return low, high


def meters_of(name: str) -> tuple[int, ...]:
    """Meters that a filter chooses from."""
    return METERS if name == "auto" else (int(name),)


# ---- A count of beats that never turns back, by the answers of a filter: the player's beat as it is known at a time

LOW, HIGH = range_of(RANGE)

SURE, COAST = 0.35, 0.6
"""Usual sureness from which the count follows the filter, and the share of it below which it coasts."""
PULL, MAX_PULL = 8.0, 0.4
"""Share of an error caught up in a beat, and most of it, relative to the tempo."""
LOST, LOST_BEATS, ROOM = 0.3, 1.5, 0.1
"""Error in beats that is another phase, and beats after which it is caught up from the other side where the range
leaves less room to this one, relative to the tempo."""
ENTRY_BEATS = 2.5
"""Beats for which it has to be sure before a clock takes its bar."""
BAR_BEATS = 2.0
"""Beats for which another place in the bar has to last from then on until the count takes it."""


class BeatCount:
    """`beat`: quarters, a bar at multiples of `meter`; `period` in seconds; `following`: it does not coast.

    `sure`: beats for which it has followed since it was known or coasted. `low`, `high`: bpm that it keeps to, with
    what it catches up.
    """

    def __init__(self, confidence: float = SURE, low: float = LOW, high: float = HIGH) -> None:
        self.confidence, self._longest, self._shortest = confidence, 60.0 / low, 60.0 / high
        self.clear()

    def clear(self) -> None:
        self.beat, self.period, self.meter = 0.0, 0.5, 4
        self.following, self.known = False, False
        self.error = self.sure = 0.0
        self._off = self._other = 0.0
        self._taken = self._corrected = False

    def correct(self) -> None:
        """Takes beat and bar of the coming answer at once, as a performer has chosen them."""
        self.sure, self._corrected = ENTRY_BEATS, True

    def advance(self, seconds: float, found: FoundBeats, late: float) -> None:
        """Goes on by `seconds`; `late`: seconds by which the filter's answer is old."""
        phase, place = found.phase + late / found.period, found.place
        place, phase = (place + math.floor(phase)) % found.meter, phase - math.floor(phase)
        if found.sureness < (COAST * self.confidence if self.following else self.confidence):
            self.following, self.sure = False, 0.0
            self.beat += seconds / self.period if self.known else 0.0
            return
        self.period = min(max(found.period, self._shortest), self._longest)
        if not self.known:
            self.known, self.following = True, True
            self.meter, self.beat = found.meter, place + phase
            return
        self.following = True
        if self._corrected:
            self._corrected, self.meter = False, found.meter
            self.beat += (place + phase - self.beat) % found.meter
            self._off = self._other = 0.0
            return
        gone = seconds / self.period
        self.sure += gone
        self.error = (phase - self.beat - gone + 0.5) % 1.0 - 0.5
        self._off = self._off + gone if abs(self.error) > LOST else 0.0
        least, most = self.period / self._longest - 1.0, self.period / self._shortest - 1.0
        turns = self._off > LOST_BEATS and (most if self.error > 0.0 else -least) < ROOM
        pull = min(max(PULL * (-self.error if turns else self.error), -MAX_PULL), MAX_PULL)
        self.beat += gone * (1.0 + min(max(pull, least), most))
        self._take_bar(gone, phase, place, found.meter)

    def _take_bar(self, gone: float, phase: float, place: int, meter: int) -> None:
        """Skips whole beats where the bar line lies elsewhere, for a while once a clock may have taken it."""
        taken, self._taken = self._taken, self._taken or self.sure >= ENTRY_BEATS
        whole = round(self.beat - phase)
        skip = (place - whole) % meter
        if skip == 0 and meter == self.meter:
            self._other = 0.0
            return
        self._other += gone
        if self._other > BAR_BEATS or not taken:
            self.beat, self.meter, self._other = self.beat + skip, meter, 0.0
