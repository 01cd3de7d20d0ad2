"""Beat counter that never runs backward: the player's beat over time, from the estimates of a filter."""

from __future__ import annotations

import math
import re
from typing import Protocol

from antiphon.api import ParamError
from antiphon_follow.bars import METERS

# ---- Estimate of the player's beat at a time, with the octave and the bar line that a performer chose

BETWEEN = 0.2
"""Beats about the middle between two beats within which a tap is off the beat."""


class BeatEstimate(Protocol):
    """Beat estimate of a filter, as `BarFilter` has it after `read`."""

    phase: float
    period: float
    place: int
    meter: int
    sureness: float


class ChosenBeatEstimate:
    """Beat estimate in the chosen octave and bar. `low`, `high`: range of the tempo in bpm.

    `phase` in beats, `period` in seconds, `place`: beat of the bar, `meter`: its beats, `sureness`: 0 to 1. `octave`,
    `moved`: power of two and number of beats by which the estimate differs from the filter's.
    """

    def __init__(self, low: float, high: float) -> None:
        self._shortest, self._longest = 60.0 / high, 60.0 / low
        self.clear()

    def clear(self) -> None:
        self.phase, self.period, self.place, self.meter, self.sureness = 0.0, 0.5, 0, 4, 0.0
        self.octave, self.moved, self._between = 0, 0.0, False

    def take(self, found: BeatEstimate, late: float = 0.0) -> None:
        """Takes the estimate that a filter made `late` seconds ago."""
        self.sureness, self.meter = found.sureness, found.meter
        beat, period = found.place + found.phase + late / found.period, found.period
        factor = 2.0**self.octave
        if not self._shortest <= period / factor <= self._longest:
            factor, self.octave = 1.0, 0
        beat, self.period = beat * factor + self.moved, period / factor
        whole = math.floor(beat)
        self.phase, self.place = beat - whole, whole % self.meter

    def double(self) -> None:
        """Doubles the tempo, within the range."""
        self._turn(1)

    def halve(self) -> None:
        """Halves the tempo, within the range."""
        self._turn(-1)

    def _turn(self, by: int) -> None:
        if abs(self.octave + by) <= 1 and self._shortest <= self.period / 2.0**by <= self._longest:
            self.octave += by

    def begin_bar(self) -> None:
        """Makes the nearest beat the first of a bar."""
        self.moved = (self.moved - round(self.place + self.phase)) % self.meter

    def take_tap(self, since: float, ahead: float = 0.0) -> None:
        """Takes a tap: selects the octave nearest to the interval of two taps; shifts half a beat if both are off it.

        `since`: seconds since the previous tap, infinite for the first; `ahead`: seconds from the estimate to this tap.
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
    """Returns the lowest and highest tempo of a text such as "60-200". Raises ParamError: invalid or out of range."""
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
"""Usual sureness above which the counter follows the filter, and the fraction of it below which it coasts."""
PULL, MAX_PULL = 8.0, 0.4
"""Share of an error corrected per beat, and the maximum correction, relative to the tempo."""
LOST, LOST_BEATS, ROOM = 0.3, 1.5, 0.1
"""Error in beats that counts as another phase; number of beats after which it is corrected from the other side, if the
range of the tempo leaves less than this share of room to the near side."""
ENTRY_BEATS = 2.5
"""Number of beats of sure tracking before a clock takes over the bar."""
BAR_BEATS = 2.0
"""Number of beats for which another bar position must then persist until the counter takes it over."""


class BeatCounter:
    """Beat counter. `beat`: quarters, with bars at multiples of `meter`; `period`: seconds; `following`: not coasting.

    `sure`: beats followed since the start or the last coasting. `low`, `high`: limits of the tempo in bpm, corrections
    included.
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
        """Jumps to the beat and bar of the coming estimate at once, since a performer has chosen them."""
        self.sure, self._corrected = ENTRY_BEATS, True

    def advance(self, seconds: float, found: BeatEstimate, late: float) -> None:
        """Advances by `seconds`. `late`: age of the filter's estimate in seconds."""
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
        self._adopt_bar_line(gone, phase, place, found.meter)

    def _adopt_bar_line(self, gone: float, phase: float, place: int, meter: int) -> None:
        """Skips whole beats to another bar line; once a clock may have taken the bar, only if the line persists."""
        taken, self._taken = self._taken, self._taken or self.sure >= ENTRY_BEATS
        whole = round(self.beat - phase)
        skip = (place - whole) % meter
        if skip == 0 and meter == self.meter:
            self._other = 0.0
            return
        self._other += gone
        if self._other > BAR_BEATS or not taken:
            self.beat, self.meter, self._other = self.beat + skip, meter, 0.0
