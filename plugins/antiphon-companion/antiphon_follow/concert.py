"""A score in the node `follow`: the player's position in it, as a filter's estimate, and its other parts."""

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
from antiphon_follow.sound_notes import SoundNote
from antiphon_follow.worker import HOP, MOST_NOTES

# ---- The other parts of a score, played where the followed player is

PATIENCE = 0.08
"""Seconds that a note shared with the player waits for the player's onset while the player plays other notes."""
GUESS = 0.05
"""Delay in seconds, of the waiting note as heard, from which it does not wait."""
PAST = 0.1
"""Seconds after which a skipped note is left out."""
JUMP = 2.0
"""Change of the player's position in quarters that counts as a jump."""
_FASTEST = 4.0
"""Maximum speed, relative to the tempo, at which the accompaniment catches up without leaving out notes."""
_NEAR = 1e-6


class PartEvent(NamedTuple):
    """Start or end of a part's note. `frame`: within the block. `part`: place in the score. `velocity`: up to 1."""

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

    `late`: latency of the follower in seconds. Notes that coincide with the player's next note wait for it, if neither
    `late` nor `lead` exceeds `GUESS`, and at fermatas.
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
        """Whether one of the notes begins from one position to before another."""
        first = bisect_left(self._starts, position - TOGETHER)
        return first < len(self._starts) and self._starts[first] < after - TOGETHER

    def reset(self, position: float = 0.0) -> None:
        """Forgets the sounding notes, and plays on from a position in quarters."""
        self._at = position
        self._next = bisect_left(self._starts, position - _NEAR)
        self._onset = -1
        self._sounding: list[_Row] = []

    def stop(self, frame: int = 0) -> list[PartEvent]:
        """Returns the note-offs of all sounding notes."""
        ends = [PartEvent(frame, False, row.part, row.number, row.velocity) for row in self._sounding]
        self._sounding.clear()
        return ends

    def advance(self, begin: float, frames: int, offset: int = 0) -> list[PartEvent]:
        """Returns the events of some frames, in order. The follower must know the player's earlier notes.

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
        waits = held or straight - bound < patient or follower.straight(follower.last_note_time)[0] < bound - patient
        return bound - TOGETHER / 2 if waits else bound


def _frame(share: float, frames: int, offset: int) -> int:
    return offset + min(frames - 1, int(min(max(share, 0.0), 1.0) * frames))


# ---- A score in the node `follow`: the player's place in it, as a filter's answer, and the other parts' notes

BEATS, DRUMS = 1, 10
"""Channels of the node's own beats and of drums."""
_FREE = tuple(channel for channel in range(1, 17) if channel not in (BEATS, DRUMS))
NEXT = 3
"""Number of the player's coming notes that are reported."""
ENDS = 8.0
"""Quarters after the last onset for which the position is reported."""
NOTES_SECONDS = 4.0
"""Seconds after a note during which notes lead the tracking and sound does not."""
BEFORE, AFTER = 0.06, 0.3
"""Seconds before and after a note of the other parts within which a loudspeaker may produce it, or a harmonic."""
LATE_QUARTERS = 0.5
"""Quarters by which the player may be late with a note that the other parts have at the same time."""
SOUNDED = 4
"""Number of onsets kept per note number. A note is classified after it sounds, when fast repeats may have followed."""
SOFTER = 12.0
"""dB below the loudest note beyond which such a note is attributed to the other parts."""
LEAST_A_BLOCK, WAITING = 4, 64
"""Maximum number of sound notes that a short block takes (a longer one takes as many as arrive in it), and of waiting
notes: those of an answer, and those that arrive while the notes that began the score are processed."""


class ScorePlayer:
    """Tracks the player's position in a part, and plays the other parts.

    `phase`, `period`, `place`, `meter`, `sureness`: as in a filter's estimate. `bar`: printed number, 0 before the
    first note. `turn`: number of times the bar has been played, this one included. `numbers`: printed numbers of all
    bars. `coming`: numbers of the player's next notes, 0 after the last; `ahead`: quarters until each.
    """

    def __init__(self, path: Path, part: str, rate: int, late: float = 0.0) -> None:
        """Reads the score. `late`: latency of note detection in sound, in seconds.

        Raises FileError or UsageError: it cannot be read, or has no such part or no notes.
        """
        self.score = score = read_followed(path)
        own = score.part_indices(part)
        others = tuple(place for place in range(len(score.parts)) if place not in own)
        self.follower, self._rate, self._late = ScoreFollower(score, own), rate, late
        self._band = Accompanist(score, self.follower, others, rate)
        self._channels = self._part_channels(others)
        self._programs = tuple(
            (self._channels[place], program)
            for place in others
            if (program := score.parts[place].program) is not None and self._channels[place] != DRUMS
        )
        self.numbers, self._passes = score.numbers, score.passes
        self.coming, self.ahead = [0] * NEXT, [0.0] * NEXT
        self._ends: list[PartEvent] = []
        self._heard = deque[SoundNote](maxlen=WAITING)
        self._told = False
        self.clear()

    def _part_channels(self, others: tuple[int, ...]) -> dict[int, int]:
        """Returns the channel of each part: 10 for drums, from 2 on and without 10 for the others."""
        found, pitched = dict[int, int](), 0
        for place in others:
            drums = all(note.drum for note in self.score.parts[place].notes)
            found[place] = DRUMS if drums else _FREE[pitched % len(_FREE)]
            pitched += not drums
        return found

    def clear(self) -> None:
        """Returns to the start of the score, and waits for the player."""
        self._heard.clear()
        self._sounded = [deque[float](maxlen=SOUNDED) for _ in range(128)]
        self._note_at, self._since, self._band.late = -NOTES_SECONDS, 0.0, 0.0
        self.phase, self.period, self.place, self.meter, self.sureness, self.bar = 0.0, 0.5, 0, 4, 0.0, 0
        self.turn = self._octave = 0
        self._place(0.0)

    def _place(self, position: float) -> None:
        self._ends += self._band.stop()
        self.follower.reset(position)
        self._band.reset(position)
        self._known = False

    def go(self, bar: int, seconds: float) -> None:
        """Moves to a bar by its printed number; if the player rests there, the other parts go on at its tempo.

        Of repeated bars the first is taken; a number that the score lacks means the next lower one.
        """
        lower = [number for number in self.numbers if number <= bar]
        self._since = seconds
        position = self.score.bars[self.numbers.index(max(lower, default=self.numbers[0]))]
        self._place(position)
        onset = float(self.follower.starts[self.follower.onset])
        if onset > position + TOGETHER:
            self.follower.start(seconds)
        self._known = True

    def hear(self, note: SoundNote) -> None:
        """Queues a note detected in sound for the next block."""
        self._heard.append(note)

    def play(self, io: IO, begin: float, lead: float) -> None:
        """Processes the notes of a block that begins at `begin` seconds. Returns the events of the other parts."""
        self._band.lead = lead
        if not self._told:
            self._told = True
            for channel, program in self._programs:
                io.emit(Event("program", 0, program, 0.0, channel))
        for end in self._ends:
            self._emit(io, end)
        self._ends.clear()
        if begin - self._note_at >= NOTES_SECONDS:
            self._take_sound_notes(io.frames)
        else:
            self._heard.clear()
        done = 0
        for event in io.events_in:
            if event.kind == "on" and event.value > 0.0:
                self.follower.behind.clear()
                self._others(io, begin, done, event.offset)
                done, self._note_at, self._band.late = max(done, event.offset), begin, 0.0
                before = self.follower.onset
                self.follower.note(begin + event.offset / self._rate, self._score_note(event.number), event.value)
                if self.follower.onset == before + 1:
                    self._octave = self._octave_of(event.number)
        self._others(io, begin, done, io.frames)

    def _take_sound_notes(self, frames: int) -> None:
        """Processes queued sound notes, as many as a block has time for; delayed notes keep their time stamps."""
        follower, heard = self.follower, self._heard
        for _ in range(max(LEAST_A_BLOCK, -(-MOST_NOTES * frames // HOP))):
            if follower.behind:
                follower.catch_up()
            elif heard:
                note = heard.popleft()
                if note.at >= self._since and not self._own(note):
                    before = follower.onset
                    follower.take_sound_note(note.at, self._score_note(note.number), note.sure)
                    self._band.late = self._late
                    if behind := follower.behind:  # the notes that begin the score
                        self._octave = self._octave_of(behind[0][1])
                        for place, (at, number) in enumerate(behind):
                            behind[place] = at, min(127, max(0, number - self._octave))
                    elif note.sure and note.below < SOFTER and follower.onset == before + 1:
                        self._octave = self._octave_of(note.number)

    def _own(self, note: SoundNote) -> bool:
        """Whether a sound note belongs to the other parts; not if the player is expected to play it."""
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
        return not any(note.number - self._octave in onset.numbers for onset in near)

    def _score_note(self, number: int) -> int:
        """The score's note for a note of the player: a repeated one in another octave is no part of the one before."""
        return min(127, max(0, number - self._octave)) if self.follower.begun else number

    def _octave_of(self, number: int) -> int:
        """Semitones by which the player plays in another octave than the score, by the last note that fits it."""
        numbers = self.follower.onsets[self.follower.onset].numbers
        return min((number - one for one in numbers if (number - one) % 12 == 0), key=abs, default=self._octave)

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
        """Computes the estimate at a time. The position stops where the player is late, and is then no longer sure."""
        follower, score = self.follower, self.score
        found = follower.position_at(seconds)
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
