"""Base of note processors: they end every started note, and expression follows its note.

An input note is identified by its channel and number until its key is up, with the output notes made of it; so a
parameter change in between leaves no hanging note. `NoteNode` plays notes at once, `ClockNode` also later, in beats.
"""

import math
from bisect import insort
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from antiphon.api import EVENTS_IN, EVENTS_OUT, IO, Event, Param, Port, Processor, Step, StreamSpec
from antiphon.api.kernels import NextEventTimer

_MASK = (1 << 64) - 1


def dice(seed: int, count: int) -> float:
    """Random number in [0, 1) (splitmix64: Steele, Lea and Flood, OOPSLA 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + (count + 1) * 0xD1342543DE82EF95) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)


Key = tuple[int, int]
"""A note's channel and number."""
Made = tuple[int, int, float]
"""Channel, number and velocity of a note to play."""
MAX_SOUNDING, MAX_WAITING = 128, 256
"""Maximum sounding notes, beyond which the oldest ends; maximum pending notes, beyond which new ones are dropped."""
MAX_EMITTED = 1024 - 3 * MAX_SOUNDING
"""Maximum events emitted per block besides note-offs: `IO.emit` drops events beyond 1024, never note-offs."""
OF_A_NOTE = ("pitch", "pressure", "timbre")
JUMP = 0.05
"""Beat difference between two blocks that counts as a clock jump."""
NEVER = 1 << 60
_EARLY = 1e-6
"""Frames of tolerance for the rounding of a beat's frame."""


class NoteNode(Processor):
    """Plays the notes `made` of each note, and ends them with its key. Other events pass; expression follows its note.

    `bypass` passes notes unchanged, `mute` blocks them; both end sounding notes.
    """

    inputs = (EVENTS_IN,)
    outputs: ClassVar[tuple[Port, ...]] = (EVENTS_OUT,)

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = spec.rate
        self._sounding: dict[Key, int] = {}
        self._down: dict[Key, tuple[Key, ...]] = {}
        self._before: dict[Key, dict[str, float]] = {}
        self._switched = (False, False)
        self._ending = False
        self.forget()

    def reset(self) -> None:
        # sounding notes are ended in the next block, which can emit events
        self._ending = True
        self._down.clear()
        self._before.clear()
        self.forget()

    def forget(self) -> None:
        """Initialises the subclass's state, after `prepare` and at a reset."""

    def notes_for(self, io: IO, event: Event) -> Iterable[Made]:
        """Returns the notes to play at once for a note-on."""
        return ((event.channel, event.number, event.value),)

    def process(self, io: IO) -> None:
        switched = self._switch(io)
        self.begin_block(io)
        for event in io.events_in:
            self.take(io, event, switched)

    def begin_block(self, io: IO) -> None:
        """Hook at the start of a block, for nodes on the clock."""

    def step(self, io: IO) -> Step:
        """Native step of a block without events: does nothing."""
        return Step(())

    def _switch(self, io: IO) -> tuple[bool, bool]:
        """State of bypass and mute; if it changes, sounding notes end."""
        bypass, mute = io.cells.get("bypass"), io.cells.get("mute")
        now = bypass is not None and bypass.target > 0.5, mute is not None and mute.target > 0.5
        if now != self._switched:
            self._switched = now
            self._down.clear()
            self.forget()
            self._ending = True
        if self._ending:
            self._ending = False
            self.end_all(io)
        return now

    def take(self, io: IO, event: Event, switched: tuple[bool, bool]) -> None:
        """Processes one event."""
        key = event.channel, event.number
        bypassed, muted = switched
        if event.kind == "on" and event.value > 0.0:
            self.release_key(io, event, key)
            if muted:
                return
            made = ((*key, event.value),) if bypassed else self.notes_for(io, event)
            self._down[key] = self.begin(io, event, made)
            self.follow(io, event, key)
        elif event.kind in ("on", "off"):
            self.release_key(io, event, key)
        elif event.kind in OF_A_NOTE:
            self.express(io, event, key)
        elif not muted:
            self.send(io, event)

    def send(self, io: IO, event: Event) -> None:
        """Emits an event other than a note-off, unless the block is full."""
        if len(io.events_out) < MAX_EMITTED:
            io.emit(event)

    def begin(self, io: IO, event: Event, made: Iterable[Made]) -> tuple[Key, ...]:
        """Starts notes at the event's frame; returns them."""
        keys = []
        for channel, number, velocity in made:
            if 0 <= number <= 127 and velocity > 0.0:
                keys.append((channel, number))
                self.send_note_on(io, event.offset, keys[-1], min(1.0, velocity), event)
        return tuple(keys)

    def release_key(self, io: IO, event: Event, key: Key) -> None:
        """Ends the notes of a released key."""
        for note in self._down.pop(key, ()):
            self.send_note_off(io, event.offset, note)

    def follow(self, io: IO, event: Event, key: Key) -> None:
        """Plays expression received before its note."""
        for kind, value in self._before.pop(key, {}).items():
            self.express(io, Event(kind, event.offset, event.number, value, event.channel), key)

    def express(self, io: IO, event: Event, key: Key) -> None:
        """Forwards expression to a held note, or stores it for the next one."""
        if key in self._down:
            for channel, number in self.keys_of(key):
                self.send(io, Event(event.kind, event.offset, number, event.value, channel))
        elif key in self._before or len(self._before) < MAX_SOUNDING:
            self._before.setdefault(key, {})[event.kind] = event.value

    def keys_of(self, key: Key) -> Iterable[Key]:
        """Output notes addressed by a held key's expression."""
        return self._down[key]

    def send_note_on(self, io: IO, frame: int, note: Key, velocity: float, event: Event | None = None) -> None:
        """Sends a note-on; a held note is retriggered. It is dropped if the block is full."""
        if len(io.events_out) >= MAX_EMITTED:
            return
        count = self._sounding.pop(note, 0)
        if count:
            io.emit(Event("off", frame, note[1], 0.0, note[0]))
        elif len(self._sounding) >= MAX_SOUNDING:
            oldest = next(iter(self._sounding))
            del self._sounding[oldest]
            io.emit(Event("off", frame, oldest[1], 0.0, oldest[0]))
        self._sounding[note] = count + 1
        age, live = (0, False) if event is None else (event.age, event.live)
        io.emit(Event("on", frame, note[1], velocity, note[0], age, live))

    def send_note_off(self, io: IO, frame: int, note: Key) -> None:
        """Sends a note-off; of duplicate notes, ends one."""
        count = self._sounding.get(note, 0)
        if count > 1:
            self._sounding[note] = count - 1
        elif count:
            del self._sounding[note]
            io.emit(Event("off", frame, note[1], 0.0, note[0]))

    def end_all(self, io: IO) -> None:
        for channel, number in self._sounding:
            io.emit(Event("off", 0, number, 0.0, channel))
        self._sounding.clear()


class LaterNote(NamedTuple):
    """A scheduled note-on or note-off. beat: its time.  order: of equal beats.  note: its key.  velocity: 0 for off."""

    beat: float
    order: int
    note: Key
    velocity: float


DROPPED_NOTES = Param(
    "left_out", "int", 0, 0, 1 << 20, unit="notes", readonly=True, doc="Notes for which there was no room."
)
"""Counter of dropped notes of each `ClockNode`."""


class ClockNode(NoteNode):
    """Note node with a schedule on the clock. If the clock stops or jumps, pending notes are dropped."""

    def prepare(self, spec: StreamSpec) -> None:
        self._waiting: list[LaterNote] = []
        self._late: dict[Key, int] = {}
        self._rests = NextEventTimer(spec.rate, JUMP)
        self._open = self._order = self.left_out = 0
        self._now = self._per_frame = 0.0
        super().prepare(spec)

    def forget(self) -> None:
        self._waiting.clear()
        self._late.clear()
        self._rests.forget()
        self._open = 0

    def beat(self, frame: int) -> float:
        """Beat at a frame of this block."""
        return self._now + self._per_frame * frame

    def frame(self, beat: float) -> int:
        """First frame at or after `beat`; `NEVER` while the clock is stopped."""
        if self._per_frame <= 0.0 or beat == math.inf:
            return NEVER
        return max(0, math.ceil((beat - self._now) / self._per_frame - _EARLY))

    def begin_block(self, io: IO) -> None:
        time = io.time
        self._now, self._per_frame = time.beat, time.beats_per_frame(self._rate)
        if self._rests.moved(time.beat) or (not time.playing and self._rests.expected is not None):
            self.drop_pending(io)

    def drop_pending(self, io: IO) -> None:
        """Handles a stopped or moved clock: drops pending notes, and ends delayed ones."""
        for note, count in self._late.items():
            for _ in range(count):
                self.send_note_off(io, 0, note)
        self._waiting.clear()
        self._late.clear()
        self._open = 0

    def next_tick(self) -> float:
        """Beat at which `tick` is due."""
        return math.inf

    def tick(self, io: IO, frame: int, beat: float) -> None:
        """Plays a due clock step; afterwards `next_tick` must be later."""

    def process(self, io: IO) -> None:
        switched = self._switch(io)
        self.begin_block(io)
        events, at = io.events_in, 0
        while True:
            # order at one frame: ends, the player's, beginnings
            offset = events[at].offset if at < len(events) else NEVER
            first = self._waiting[0] if self._waiting else None
            due = NEVER if first is None else self.frame(first.beat)
            beat = self.next_tick()
            tick = NEVER if switched[0] or switched[1] else self.frame(beat)
            now = min(offset, due, tick)
            if now >= io.frames:
                self._rests.until(min(beat, math.inf if first is None else first.beat), io)
                break
            if due == now and first is not None and (first.velocity == 0.0 or offset > now):
                del self._waiting[0]
                self._play(io, now, first)
            elif offset == now:
                self.take(io, events[at], switched)
                at += 1
            else:
                self.tick(io, now, beat)
        if self.left_out:
            io.report("left_out", float(self.left_out))

    def step(self, io: IO) -> Step:
        """Native step of a block without events: does nothing until something is due."""
        return self._rests.step(io)

    def schedule_note_on(self, beat: float, note: Key, velocity: float) -> bool:
        """Schedules a note-on at a beat; returns False if the schedule is full. `ends` must be called for the note."""
        if self._open >= MAX_WAITING or not 0 <= note[1] <= 127:
            self.left_out += self._open >= MAX_WAITING
            return False
        self._open += 1
        self._put(beat, note, min(1.0, max(velocity, 1.0 / 127.0)))
        return True

    def ends(self, beat: float, note: Key) -> None:
        """Schedules the note-off of a `later` note at a beat."""
        self._put(beat, note, 0.0)

    def _put(self, beat: float, note: Key, velocity: float) -> None:
        self._order += 1
        # ends first, so that a note may follow upon its like
        order = self._order if velocity else self._order - NEVER
        insort(self._waiting, LaterNote(beat, order, note, velocity))

    def _play(self, io: IO, frame: int, waiting: LaterNote) -> None:
        note = waiting.note
        if waiting.velocity:
            self._late[note] = self._late.get(note, 0) + 1
            self.send_note_on(io, frame, note, waiting.velocity)
            return
        self._open -= 1
        if self._late.get(note, 0):
            self._late[note] -= 1
            if not self._late[note]:
                del self._late[note]
            self.send_note_off(io, frame, note)
