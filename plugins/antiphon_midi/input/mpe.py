"""MPE: which channels of a port belong to which zone, and what single notes are sent.

As in "MIDI Polyphonic Expression", version 1.0 (MMA, 2018). A zone has a manager channel, 1 or 16, and member channels
beside it, one for each note that sounds. A controller says so by registered parameter 6 on a manager channel; parameter
0 is the reach of a pitch bend. Of a member channel, the bend, the pressure and controller 74 are its note's.

A zone's notes are played on its manager's channel, so that the manager's pedal and bend are for all of them; where one
with that number sounds already, on another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from antiphon.api.backends.transports import NotePitch, NotePressure, NoteTimbre, When

TIMBRE = 74
DATA, DATA_FINE, RPN_FINE, RPN, NONE = 6, 38, 100, 101, 127
"""Controllers of registered parameters: their value, and which is meant; 127 is none."""
BEND_REACH, ZONE = 0, 6
"""Registered parameters."""
NOTE_REACH = 48.0
"""Semitones of a full bend of a member channel, until a controller says another."""
LOWER, UPPER = 1, 16
MOST = 15
DRUMS = 10
"""A note is not put on this channel where another is free: synths play drums there."""
REACH = 96.0
"""Semitones that a note can be moved by."""
MIDDLE = 0.5
"""The timbre of a note that was given none."""
Expression = NotePitch | NotePressure | NoteTimbre


@dataclass(slots=True)
class _Member:
    """A member channel. bend: -1 to 1.  pressure, timbre: 0 to 1.  notes: its notes, by the channel they play on."""

    bend: float = 0.0
    pressure: float = 0.0
    timbre: float = MIDDLE
    notes: dict[int, int] = field(default_factory=dict)


class MpeZones:
    """The zones of one port.

    Attributes:
        used: (channel, note) of the zones' notes that sound, as they are played.
        changes: How often zones were made, changed or removed.
    """

    def __init__(self, members: int = 0) -> None:
        """members: of a lower zone that there is from the beginning, 0 for none."""
        self._zones: dict[int, range] = {}
        self._members: dict[int, _Member] = {}
        self._reach: dict[int, float] = {}
        self._asked: dict[int, list[int]] = {}
        self.used: set[tuple[int, int]] = set()
        self.changes = 0
        if members:
            self.configure(LOWER, members)

    def configure(self, manager: int, members: int) -> None:
        """Makes, changes or, with no members, removes a zone; the other gives way."""
        self.changes += 1
        members = min(members, MOST)
        self._zones.pop(manager, None)
        if members:
            self._zones[manager] = range(2, 2 + members) if manager == LOWER else range(UPPER - members, UPPER)
            self._reach[manager] = NOTE_REACH
        other = UPPER if manager == LOWER else LOWER
        if other in self._zones and members:
            free = MOST - 1 - members
            self._zones.pop(other)
            if free > 0:
                self._zones[other] = range(2, 2 + free) if other == LOWER else range(UPPER - free, UPPER)
        there = {channel for zone in self._zones.values() for channel in zone}
        self._members = {channel: self._members.get(channel, _Member()) for channel in sorted(there)}

    def manager(self, channel: int) -> int:
        """The manager of the zone that a channel is a member of; 0 for none."""
        return next((manager for manager, zone in self._zones.items() if channel in zone), 0)

    def controller(self, channel: int, number: int, value: int) -> bool:
        """Takes a controller, 0 to 127. Returns whether it was one of MPE's: a zone, or the reach of a bend."""
        if number in (RPN, RPN_FINE):
            asked = self._asked.setdefault(channel, [NONE, NONE])
            asked[number == RPN_FINE] = value
            return False
        if number not in (DATA, DATA_FINE):
            return False
        asked = self._asked.get(channel, [NONE, NONE])
        if asked == [0, ZONE] and channel in (LOWER, UPPER):
            if number == DATA:
                self.configure(channel, value)
            return True
        manager = self.manager(channel)
        if asked == [0, BEND_REACH] and manager:
            whole, cents = divmod(self._reach[manager], 1.0)
            reach = value + cents if number == DATA else whole + min(value, 99) / 100.0
            self._reach[manager] = min(reach, REACH)
            return True
        return False

    def begin(self, channel: int, note: int, when: When) -> tuple[int, list[Expression]]:
        """A note of a member channel: the channel that it is played on, and its values, to be sent before it."""
        member, manager = self._members[channel], self.manager(channel)
        on = member.notes.get(note, 0)
        if not on:
            others = sorted(self._zones[manager], key=lambda c: c == DRUMS)
            on = next((c for c in (manager, *others) if (c, note) not in self.used), manager)
        member.notes[note] = on
        self.used.add((on, note))
        values: list[Expression] = []
        if semitones := self._semitones(channel):
            values.append(NotePitch(note, semitones, on, "", when))
        if member.pressure:
            values.append(NotePressure(note, member.pressure, on, "", when))
        if member.timbre != MIDDLE:
            values.append(NoteTimbre(note, member.timbre, on, "", when))
        return on, values

    def end(self, channel: int, note: int) -> int:
        """Ends a note of a member channel: the channel that it was played on; 0 where it did not sound."""
        on = self._members[channel].notes.pop(note, 0)
        self.used.discard((on, note))
        return on

    def bend(self, channel: int, value: float, when: When) -> Iterator[Expression]:
        """The pitch wheel of a member channel."""
        member = self._members[channel]
        member.bend = value
        for note, on in member.notes.items():
            yield NotePitch(note, self._semitones(channel), on, "", when)

    def press(self, channel: int, value: float, when: When) -> Iterator[Expression]:
        """The pressure of a member channel."""
        member = self._members[channel]
        member.pressure = value
        for note, on in member.notes.items():
            yield NotePressure(note, value, on, "", when)

    def shade(self, channel: int, value: float, when: When) -> Iterator[Expression]:
        """Controller 74 of a member channel."""
        member = self._members[channel]
        member.timbre = value
        for note, on in member.notes.items():
            yield NoteTimbre(note, value, on, "", when)

    def played(self, channel: int, note: int) -> int:
        """The channel that a note of a member channel is played on; 0 where it does not sound."""
        return self._members[channel].notes.get(note, 0)

    def ended(self, on: int, note: int) -> None:
        """Called when the note that a channel plays has ended."""
        self.used.discard((on, note))
        for member in self._members.values():
            if member.notes.get(note) == on:
                del member.notes[note]

    def forget(self) -> None:
        """Forgets all notes; the zones stay."""
        for member in self._members.values():
            member.notes.clear()
        self.used.clear()

    def _semitones(self, channel: int) -> float:
        reach = self._reach[self.manager(channel)]
        return max(-REACH, min(REACH, self._members[channel].bend * reach))
