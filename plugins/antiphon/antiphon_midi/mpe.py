"""Per-note expression: MPE zones and channels, aftertouch, and the sounding notes of each port.

As in "MIDI Polyphonic Play[str]", version 1.0 (MMA, 2018). A zone has a manager channel, 1 or 16, and member channels
next to it, one for each sounding note. It is configured by registered parameter 6 on a manager channel; parameter 0 is
the pitch bend range. A member channel's bend, pressure and controller 74 apply to its note.

A zone's notes are played on its manager's channel, so that the manager's pedal and bend apply to all of them; on
another if that note number is already sounding.
"""

import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from antiphon.api import PEDAL, Event
from antiphon.api.backends.transports import Play, When
from antiphon_midi.messages import BEND, CONTROL, KEY_PRESSURE, Parser, Short, bend_of

TIMBRE = 74
DATA, DATA_FINE, RPN_FINE, RPN, NONE = 6, 38, 100, 101, 127
"""Controllers of registered parameters: value and selection; 127 selects none."""
BEND_RANGE, ZONE = 0, 6
"""Registered parameters: bend range, MPE zone."""
NOTE_REACH = 48.0
"""Default bend range of a member channel in semitones."""
LOWER, UPPER = 1, 16
MAX_NOTES = 15
DRUMS = 10
"""Channel avoided for notes while another is free: synths play drums there."""
MAX_BEND_SEMITONES = 96.0
"""Maximum bend of a note in semitones."""
REST = {"pitch": 0.0, "pressure": 0.0, "timbre": 0.5}
"""Expression of a note that no message has changed: bend, -1 to 1; pressure and timbre, 0 to 1."""


@dataclass(slots=True)
class _Member:
    """State of a member channel: its expression, as `REST`, and its notes by the channel they play on."""

    values: dict[str, float] = field(default_factory=REST.copy)
    notes: dict[int, int] = field(default_factory=dict)


class MpeZones:
    """MPE zones of one port."""

    def __init__(self, members: int = 0) -> None:
        """`members`: number of member channels of an initial lower zone, 0 for none."""
        self._zones: dict[int, range] = {}
        self._members: dict[int, _Member] = {}
        self._reach: dict[int, float] = {}
        self._asked: dict[int, list[int]] = {}
        self.used: set[tuple[int, int]] = set()
        self.changes = 0
        if members:
            self.configure(LOWER, members)

    def configure(self, manager: int, members: int) -> None:
        """Creates or changes a zone, or removes it if `members` is 0; an overlapping other zone shrinks."""
        self.changes += 1
        members = min(members, MAX_NOTES)
        self._zones.pop(manager, None)
        if members:
            self._zones[manager] = range(2, 2 + members) if manager == LOWER else range(UPPER - members, UPPER)
            self._reach[manager] = NOTE_REACH
        other = UPPER if manager == LOWER else LOWER
        if other in self._zones and members:
            free = MAX_NOTES - 1 - members
            self._zones.pop(other)
            if free > 0:
                self._zones[other] = range(2, 2 + free) if other == LOWER else range(UPPER - free, UPPER)
        there = {channel for zone in self._zones.values() for channel in zone}
        self._members = {channel: self._members.get(channel, _Member()) for channel in sorted(there)}

    def manager(self, channel: int) -> int:
        """Manager of a member channel's zone; 0 for none."""
        return next((manager for manager, zone in self._zones.items() if channel in zone), 0)

    def controller(self, channel: int, number: int, value: int) -> bool:
        """Processes a controller, 0 to 127. Returns True for MPE configuration: a zone, or a bend range."""
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
        if asked == [0, BEND_RANGE] and manager:
            whole, cents = divmod(self._reach[manager], 1.0)
            reach = value + cents if number == DATA else whole + min(value, 99) / 100.0
            self._reach[manager] = min(reach, MAX_BEND_SEMITONES)
            return True
        return False

    def begin(self, channel: int, note: int, when: When) -> tuple[int, list[Play[str]]]:
        """Starts a note of a member channel: returns its output channel, and its expression, to be sent before it."""
        member, manager = self._members[channel], self.manager(channel)
        on = member.notes.get(note, 0)
        if not on:
            others = sorted(self._zones[manager], key=lambda c: c == DRUMS)
            on = next((c for c in (manager, *others) if (c, note) not in self.used), manager)
        member.notes[note] = on
        self.used.add((on, note))
        values = {kind: self._value(channel, kind) for kind in REST}
        return on, [
            Play("", Event(kind, 0, note, value, on), when) for kind, value in values.items() if value != REST[kind]
        ]

    def end(self, channel: int, note: int) -> int:
        """Ends a note of a member channel; returns its output channel, 0 if it did not sound."""
        on = self._members[channel].notes.pop(note, 0)
        self.used.discard((on, note))
        return on

    def express(self, channel: int, kind: str, value: float, when: When) -> Iterator[Play[str]]:
        """Sets the bend, pressure or timbre of a member channel, as in `REST`; yields it for each of its notes."""
        member = self._members[channel]
        member.values[kind] = value
        for note, on in member.notes.items():
            yield Play("", Event(kind, 0, note, self._value(channel, kind), on), when)

    def output_channel(self, channel: int, note: int) -> int:
        """Output channel of a member channel's note; 0 if it does not sound."""
        return self._members[channel].notes.get(note, 0)

    def notes_of(self, channel: int) -> set[tuple[int, int]]:
        """Output channel and number of the notes of a member channel, or of all members of a manager's zone."""
        members = [channel] if self.manager(channel) else self._zones.get(channel, ())
        return {(on, note) for member in members for note, on in self._members[member].notes.items()}

    def end_note(self, on: int, note: int) -> None:
        """Handles the end of a note on an output channel."""
        self.used.discard((on, note))
        for member in self._members.values():
            if member.notes.get(note) == on:
                del member.notes[note]

    def forget(self) -> None:
        """Clears all notes; the zones stay."""
        for member in self._members.values():
            member.notes.clear()
        self.used.clear()

    def _value(self, channel: int, kind: str) -> float:
        """Value of a note's event: a bend in semitones."""
        value = self._members[channel].values[kind]
        return value * self._reach[self.manager(channel)] if kind == "pitch" else value


_CHANNELS, _NOTES = 16, 128


class PortVoice:
    """State of one port: its parser, its zones, and its sounding notes.

    `notes`: (channel, note), as played. `pedals`, `bent`: affected channels. `sensing`: whether it sends active sensing
    every 0.3 s. `last_received`: time of its last message, in seconds of the monotonic clock.
    """

    def __init__(self, members: int = 0) -> None:
        """`members`: number of member channels of an initial MPE zone, 0 for none."""
        self.parser = Parser()
        self.zones = MpeZones(members)
        self.notes: set[tuple[int, int]] = set()
        self.pedals: set[int] = set()
        self.bent: set[int] = set()
        self.sensing = False
        self.last_received = 0.0

    def notes_of(self, channel: int) -> list[tuple[int, int]]:
        """Notes received on a channel, as played; for a manager channel also those of its zone."""
        own = () if self.zones.manager(channel) else (key for key in self.notes if key[0] == channel)
        return sorted(self.zones.notes_of(channel).union(own))

    def endings(self, when: When) -> list[Play[str]]:
        """Returns commands that end all its notes, and clears them."""
        events = [Event("off", 0, note, 0.0, channel) for channel, note in sorted(self.notes)]
        events += [Event("control", 0, PEDAL, 0.0, channel) for channel in sorted(self.pedals)]
        events += [Event("bend", 0, 0, 0.0, channel) for channel in sorted(self.bent)]
        self.forget()
        return [Play("", event, when) for event in events]

    def forget(self) -> None:
        self.zones.forget()
        self.notes.clear()
        self.pedals.clear()
        self.bent.clear()


class HeldNotes:
    """Sounding notes of all ports in memory that outlives this process: one byte for each note of each channel."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(handle, _CHANNELS * _NOTES)
            self._map = mmap.mmap(handle, _CHANNELS * _NOTES)
        finally:
            os.close(handle)

    def put(self, channel: int, note: int, sounds: bool) -> None:
        self._map[(channel - 1) * _NOTES + note] = sounds

    def take_left_notes(self) -> Iterator[tuple[int, int]]:
        """Removes and yields the (channel, note) pairs left sounding by an earlier process."""
        for place, sounds in enumerate(self._map[:]):
            if sounds:
                self._map[place] = 0
                yield place // _NOTES + 1, place % _NOTES

    def forget(self) -> None:
        self._map[:] = bytes(len(self._map))


class LastValues:
    """Latest expression per note within a batch of messages: a flood becomes one command."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str, int, int], Play[str]] = {}

    def touch(self, message: Short, port: str, voice: PortVoice, when: When) -> None:
        """Stores a key or channel pressure, or a member channel's bend or timbre (controller 74)."""
        channel, zones = message.channel, voice.zones
        member = zones.manager(channel) > 0
        match message.kind:
            case k if k == KEY_PRESSURE:
                channel = zones.output_channel(channel, message.a) if member else channel
                values: Iterable[Play[str]] = [
                    Play("", Event("pressure", 0, message.a, message.b / 127, channel), when)
                ]
            case k if k == BEND:
                values = zones.express(channel, "pitch", bend_of(message.a, message.b), when)
            case k if k == CONTROL:
                values = zones.express(channel, "timbre", message.b / 127, when)
            case _ if member:
                values = zones.express(channel, "pressure", message.a / 127, when)
            case _:
                notes = sorted(note for on, note in voice.notes if on == channel)
                values = [Play("", Event("pressure", 0, note, message.a / 127, channel), when) for note in notes]
        for value in values:
            event = value.event
            self._waiting[port, event.kind, event.channel, event.number] = value

    def take(self, voices: Mapping[str, PortVoice]) -> Iterator[tuple[Play[str], str]]:
        """Removes and yields each value with its port. Values of ended notes are dropped: they would be the next's."""
        for (port, _, channel, note), value in self._waiting.items():
            if port in voices and (channel, note) in voices[port].notes:
                yield value, port
        self._waiting.clear()
