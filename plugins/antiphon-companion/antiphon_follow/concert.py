"""A score in the node `follow`: the player's place in it, as a filter's answer, and the other parts' notes."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from antiphon.api import IO, Event
from antiphon_follow.entry import HARMONICS
from antiphon_follow.score import TOGETHER, FollowedScore, read_followed
from antiphon_follow.score_follower import ScoreFollower
from antiphon_follow.sound_notes import HeardNote
from antiphon_follow.worker import HOP, MOST_NOTES

# ---- The other parts of a score, played where the followed player is

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


# ---- A score in the node `follow`: the player's place in it, as a filter's answer, and the other parts' notes

BEATS, DRUMS = 1, 10
"""Channels of the node's own beats and of drums."""
_FREE = tuple(channel for channel in range(1, 17) if channel not in (BEATS, DRUMS))
NEXT = 3
"""Coming notes of the player that are reported."""
ENDS = 8.0
"""Quarters after the last onset for which the place is reported."""
NOTES_SECONDS = 4.0
"""Seconds after a note in which notes lead, not the sound."""
BEFORE, AFTER = 0.06, 0.3
"""Seconds before and after a note of the other parts within which it, or a harmonic, is heard from the loudspeakers."""
LATE_QUARTERS = 0.5
"""Quarters by which the player may be late with a note that the other parts have at the same time."""
SOUNDED = 4
"""Onsets of a number that are kept: a note is judged later than it sounds, when quick repeats of it have come."""
SOFTER = 12.0
"""dB below the loudest from which such a note is theirs."""
LEAST_A_BLOCK, WAITING = 4, 64
"""Notes of the sound that a short block takes at most, a longer one as many as come meanwhile; and most that wait: an
answer's, and those that come while the notes that began the score are taken."""


class Concert:
    """The player's part and its place, and the other parts played beside it.

    `phase`, `period`, `place`, `meter`, `sureness`: as a filter answers. `bar`: its printed number, 0 before the first
    note. `turn`: how many times the bar has been played with this one. `numbers`: printed ones of all bars.
    `coming`: numbers of the player's next notes, 0 where none is left, and `ahead`: quarters until each.
    """

    def __init__(self, path: Path, part: str, rate: int, late: float = 0.0) -> None:
        """Reads the score. `late`: seconds from a note until it is heard in sound.

        Raises FileError or UsageError: it cannot be read, or has no such part or no notes.
        """
        self.score = score = read_followed(path)
        own = score.chosen(part)
        others = tuple(place for place in range(len(score.parts)) if place not in own)
        self.follower, self._rate, self._late = ScoreFollower(score, own), rate, late
        self._band = Accompanist(score, self.follower, others, rate)
        self._channels = self._numbered(others)
        self._programs = tuple(
            (self._channels[place], program)
            for place in others
            if (program := score.parts[place].program) is not None and self._channels[place] != DRUMS
        )
        self.numbers, self._passes = score.numbers, score.passes
        self.coming, self.ahead = [0] * NEXT, [0.0] * NEXT
        self._ends: list[PartEvent] = []
        self._heard = deque[HeardNote](maxlen=WAITING)
        self._told = False
        self.clear()

    def _numbered(self, others: tuple[int, ...]) -> dict[int, int]:
        """Channel of each part: drums 10, the others from 2 on without it."""
        found, pitched = dict[int, int](), 0
        for place in others:
            drums = all(note.drum for note in self.score.parts[place].notes)
            found[place] = DRUMS if drums else _FREE[pitched % len(_FREE)]
            pitched += not drums
        return found

    def clear(self) -> None:
        """Begins the score anew, and waits for the player."""
        self._heard.clear()
        self._sounded = [deque[float](maxlen=SOUNDED) for _ in range(128)]
        self._note_at, self._since, self._band.late = -NOTES_SECONDS, 0.0, 0.0
        self.phase, self.period, self.place, self.meter, self.sureness, self.bar = 0.0, 0.5, 0, 4, 0.0, 0
        self.turn = 0
        self._place(0.0)

    def _place(self, position: float) -> None:
        self._ends += self._band.stop()
        self.follower.reset(position)
        self._band.reset(position)
        self._known = False

    def go(self, bar: int, seconds: float) -> None:
        """Begins at a bar by its printed number; where the player rests there, the others count on at its tempo.

        Of bars that are repeated it is the first, of numbers that the score lacks the next lower one.
        """
        lower = [number for number in self.numbers if number <= bar]
        self._since = seconds
        position = self.score.bars[self.numbers.index(max(lower, default=self.numbers[0]))]
        self._place(position)
        onset = float(self.follower.starts[self.follower.onset])
        if onset > position + TOGETHER:
            self.follower.start(seconds)
        self._known = True

    def hear(self, note: HeardNote) -> None:
        """Takes a note of the sound for the next block."""
        self._heard.append(note)

    def play(self, io: IO, begin: float, lead: float) -> None:
        """Takes the notes of a block that begins at `begin` seconds, and gives the other parts'."""
        self._band.lead = lead
        if not self._told:
            self._told = True
            for channel, program in self._programs:
                io.emit(Event("program", 0, program, 0.0, channel))
        for end in self._ends:
            self._emit(io, end)
        self._ends.clear()
        if begin - self._note_at >= NOTES_SECONDS:
            self._by_ear(io.frames)
        else:
            self._heard.clear()
        done = 0
        for event in io.events_in:
            if event.kind == "on" and event.value > 0.0:
                self.follower.behind.clear()
                self._others(io, begin, done, event.offset)
                done, self._note_at, self._band.late = max(done, event.offset), begin, 0.0
                self.follower.note(begin + event.offset / self._rate, event.number, event.value)
        self._others(io, begin, done, io.frames)

    def _by_ear(self, frames: int) -> None:
        """Takes notes of the sound, as many as a block has time for; what is later keeps its own time."""
        follower, heard = self.follower, self._heard
        for _ in range(max(LEAST_A_BLOCK, -(-MOST_NOTES * frames // HOP))):
            if follower.behind:
                follower.catch_up()
            elif heard:
                note = heard.popleft()
                if note.at >= self._since and not self._own(note):
                    follower.hear_soon(note.at, note.number, note.sure)
                    self._band.late = self._late

    def _own(self, note: HeardNote) -> bool:
        """Whether a note of the sound is one of the other parts; not where the player's is expected."""
        if not any(
            -BEFORE <= note.at - sounded <= AFTER
            for above in HARMONICS
            if note.number >= above
            for sounded in self._sounded[note.number - above]
        ):
            return False
        follower = self.follower
        straight, bound, _ = follower.straight(note.at)
        expected = follower.begun and straight < bound + LATE_QUARTERS and note.below < SOFTER
        near = follower.onsets[follower.onset : follower.onset + 2] if expected else ()
        return not any(note.number in onset.numbers for onset in near)

    def _others(self, io: IO, begin: float, first: int, last: int) -> None:
        if self.follower.behind:  # they begin where the player is, not where the player was
            return
        for event in self._band.advance(begin + first / self._rate, max(0, last - first), first):
            self._emit(io, event)
            if event.on:
                self._sounded[event.number].append(begin + event.frame / self._rate)

    def _emit(self, io: IO, event: PartEvent) -> None:
        kind, value = ("on", event.velocity) if event.on else ("off", 0.0)
        io.emit(Event(kind, min(io.frames - 1, event.frame), event.number, value, self._channels[event.part]))

    def read(self, seconds: float) -> None:
        """Finds the answer at a time. The place holds where the player is late, and is then no longer sure."""
        follower, score = self.follower, self.score
        found = follower.at(seconds)
        straight, bound, _ = follower.straight(seconds)
        bar, into = score.bar_at(found.quarter)
        self.meter = max(1, round(score.beats[bar]))
        self.place = min(self.meter - 1, math.floor(into))
        self.phase, self.period = min(into - self.place, 1.0 - 1e-9), found.pace
        # the clock counts quarters: in bars of 3/8 or 7/8 it goes its own way
        halves = score.beats[bar] % 1.0 > 0.0
        waits = halves or straight > bound + 1.0 or straight > score.length + ENDS
        self.sureness = 0.0 if waits else found.sureness
        known = follower.begun or self._known
        self.bar, self.turn = (self.numbers[bar], self._passes[bar]) if known else (0, 0)
        after = follower.onset + 1 if follower.begun else follower.onset
        for n in range(NEXT):
            numbers = follower.onsets[after + n].numbers if after + n < len(follower.onsets) else ()
            self.coming[n] = numbers[-1] if numbers else 0
            self.ahead[n] = max(0.0, float(follower.starts[after + n]) - found.quarter) if numbers else 0.0
