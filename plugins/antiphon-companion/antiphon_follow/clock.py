"""A count of beats that never turns back, by the answers of a filter: the player's beat as it is known at a time."""

from __future__ import annotations

import math

from antiphon_follow.answer import FoundBeats

SURE, COAST = 0.35, 0.6
"""Usual sureness from which the count follows the filter, and the share of it below which it coasts."""
PULL, MAX_PULL = 4.0, 0.4
"""Share of an error caught up in a beat, and most of it, relative to the tempo."""
RELOCK, RELOCK_BEATS = 0.3, 1.5
"""Error in beats that is no error of this beat but another phase, and beats for which it has to last."""
ENTRY_BEATS = 2.5
"""Beats for which it has to be sure before a clock takes its bar."""
BAR_BEATS = 2.0
"""Beats for which another place in the bar has to last from then on until the count takes it."""


class BeatCount:
    """`beat`: quarters, a bar at multiples of `meter`; `period` in seconds; `following`: it does not coast.

    `sure`: beats for which it has followed since it was known or coasted.
    """

    def __init__(self, confidence: float = SURE) -> None:
        self.confidence = confidence
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
        if not self.known:
            self.known, self.following = True, True
            self.meter, self.period, self.beat = found.meter, found.period, place + phase
            return
        self.following, self.period = True, found.period
        if self._corrected:
            self._corrected, self.meter = False, found.meter
            self.beat += (place + phase - self.beat) % found.meter
            self._off = self._other = 0.0
            return
        gone = seconds / self.period
        self.sure += gone
        self.error = (phase - self.beat - gone + 0.5) % 1.0 - 0.5
        self._off = self._off + gone if abs(self.error) > RELOCK else 0.0
        if self._off > RELOCK_BEATS:
            self.beat += gone + self.error % 1.0
            self._off = 0.0
        else:
            self.beat += gone * (1.0 + min(max(PULL * self.error, -MAX_PULL), MAX_PULL))
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
