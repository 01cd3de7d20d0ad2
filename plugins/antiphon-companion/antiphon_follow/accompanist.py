"""The other parts of a score, played where the followed player is."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from antiphon_follow.score import TOGETHER, FollowedScore
from antiphon_follow.score_follower import ScoreFollower

PATIENCE = 0.08
"""Seconds for which a note that the player shares waits for the player's, if the player goes on with other ones."""
GUESS = 0.05
"""Seconds by which it would be heard late that waited, from which it does not wait."""
PAST = 0.1
"""Seconds after which a note that was passed over is left out."""
JUMP = 2.0
"""Quarters by which the player's place may change before it is a jump."""
_FASTEST = 4.0
"""Times its tempo at which the accompaniment catches up without leaving out notes."""
_NEAR = 1e-6


class PartEvent(NamedTuple):
    """A note of a part that begins or ends. `frame`: within the block. `part`: place in the score. `velocity`: to 1."""

    frame: int
    on: bool
    part: int
    number: int
    velocity: float


class _Row(NamedTuple):
    start: float
    end: float
    part: int
    number: int
    velocity: float


class Accompanist:
    """Plays the parts that the player does not, ahead by `lead` seconds, each note at most once until a jump back.

    `late`: seconds after which the follower knows of a note. What shares the player's next note waits for it, where
    neither `late` nor `lead` is more than `GUESS`, and at fermatas.
    """

    def __init__(
        self, score: FollowedScore, follower: ScoreFollower, parts: Sequence[int], rate: float, lead: float = 0.0
    ) -> None:
        """Prepares the notes of `parts`, places in the score. `rate`: frames per second. `lead`: 0 or more seconds."""
        self._follower, self._rate, self.lead, self.late = follower, rate, lead, 0.0
        rows = sorted(
            _Row(note.start, max(note.end, note.start + TOGETHER), part, note.number, note.velocity)
            for part in parts
            for note in score.parts[part].notes
            if not note.grace
        )
        self._rows, self._starts = rows, [row.start for row in rows]
        self._holds = {
            place: onset.hold[0] + TOGETHER / 2
            for place, (onset, after) in enumerate(zip(follower.onsets, follower.starts[1:].tolist(), strict=False))
            if onset.hold is not None and not self._between(onset.hold[1], after)
        }
        self.reset()

    def _between(self, position: float, after: float) -> bool:
        """Whether one of the notes begins from a position on, before another."""
        first = bisect_left(self._starts, position - TOGETHER)
        return first < len(self._starts) and self._starts[first] < after - TOGETHER

    def reset(self, position: float = 0.0) -> None:
        """Forgets what sounds, and plays from a position in quarters."""
        self._at = position
        self._next = bisect_left(self._starts, position - _NEAR)
        self._onset = -1
        self._sounding: list[_Row] = []

    def stop(self, frame: int = 0) -> list[PartEvent]:
        """Ends of all that sounds."""
        ends = [PartEvent(frame, False, row.part, row.number, row.velocity) for row in self._sounding]
        self._sounding.clear()
        return ends

    def advance(self, begin: float, frames: int, offset: int = 0) -> list[PartEvent]:
        """Events of some frames, in order; what the player played until their beginning is known to the follower.

        `begin`: seconds of the first frame. `offset`: its place in the block.
        """
        follower = self._follower
        events: list[PartEvent] = []
        target = self._target(begin + frames / self._rate + self.lead)
        place = follower.onset
        if self._onset >= 0 and place != self._onset and follower.begun:
            moved = float(follower.starts[place] - follower.starts[self._onset])
            if moved < -JUMP or (moved > JUMP and place > self._onset + 1):
                events = self.stop(offset)
                self._at = float(follower.starts[place]) - _NEAR
                self._next = bisect_left(self._starts, self._at - TOGETHER)
        if follower.begun:
            self._onset = place
        if frames <= 0:
            return events
        pace = max(follower.pace, 1e-3)
        step = frames / self._rate / pace
        goes_on = target > self._at
        first = self._at if target - self._at <= _FASTEST * step else target - step
        span = max(target - first, _NEAR) if goes_on else 1.0
        held = []
        for row in self._sounding:
            if row.end <= max(target, self._at):
                frame = _frame((row.end - first) / span if goes_on else 0.0, frames, offset)
                events.append(PartEvent(frame, False, row.part, row.number, row.velocity))
            else:
                held.append(row)
        self._sounding = held
        if not goes_on:
            return events
        last = max(self._next, bisect_right(self._starts, target))
        latest = self._starts[last - 1] if last > self._next else 0.0
        begun: dict[tuple[int, int], _Row] = {}
        for row in self._rows[self._next : last]:
            late = first - row.start
            # of what was passed over the last onset alone still sounds: no volley of late notes
            if late * pace > PAST + self.late + self.lead or (late > _NEAR and row.start < latest - TOGETHER):
                continue
            if (row.part, row.number) in begun:
                continue
            frame = _frame((row.start - first) / span, frames, offset)
            for other in held:
                if (other.part, other.number) == (row.part, row.number):
                    events.append(PartEvent(frame, False, row.part, row.number, row.velocity))
            events.append(PartEvent(frame, True, row.part, row.number, row.velocity))
            begun[row.part, row.number] = row
        self._sounding = [row for row in held if (row.part, row.number) not in begun] + list(begun.values())
        self._next, self._at = last, target
        events.sort(key=lambda event: event[:2])
        return events

    def _target(self, seconds: float) -> float:
        """Position until which notes begin by then; what the player shares waits for the player.

        So does what lies under the player's fermata, unless the others begin while the player rests after it.
        """
        follower = self._follower
        straight, bound, held = follower.straight(seconds)
        if follower.begun and straight > (hold := self._holds.get(follower.onset, straight)):
            return hold
        ahead = self.late + self.lead if self.late + self.lead > GUESS else 0.0
        if straight < bound or (not held and straight - ahead / follower.pace < bound):
            return straight
        patient = PATIENCE / follower.pace
        # who plays nothing has stopped; who plays something else is there
        waits = held or straight - bound < patient or follower.straight(follower.last)[0] < bound - patient
        return bound - TOGETHER / 2 if waits else bound


def _frame(share: float, frames: int, offset: int) -> int:
    return offset + min(frames - 1, int(min(max(share, 0.0), 1.0) * frames))
