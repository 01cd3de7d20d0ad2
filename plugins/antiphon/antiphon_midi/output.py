"""MIDI output: notes played by commands, and events of the node named in the patch's [midi]."""

from __future__ import annotations

import asyncio
import heapq
import weakref
from collections.abc import Iterable
from typing import NamedTuple

from antiphon.api import PEDAL, Event
from antiphon.api.backends.synths import SharedPressure
from antiphon.api.backends.transports import (
    NOW,
    ClearSchedule,
    EngineEffect,
    Now,
    OscRequest,
    Panic,
    Play,
    RequestError,
    Sample,
    TransportServer,
    When,
)
from antiphon_midi import messages as midi
from antiphon_midi.ports import Ports

MAX_MESSAGES = 65536
"""Maximum messages in the queue."""
WATCH_SECONDS = 0.02
"""Interval in seconds between two readings of the beat, while messages or ends of notes wait for one."""
SET_BACK = 1.0
"""Beats by which the beat is set back that end the notes which began at a beat, as in the engine."""
SOUND_OFF, NOTES_OFF, CHANNELS = 120, 123, range(1, 17)
_Note = tuple[int, int, str]
"""Channel, note, filter text of port names."""


class _Waiting(NamedTuple):
    """A message that waits.

    `at`: its sample or beat. `but`: excluded port. `name`: filter text of port names. `emitted`: by a node of the
    engine, which ends with it.
    """

    at: float
    order: int
    message: bytes
    but: str
    name: str
    when: When
    emitted: bool

    @property
    def by_beat(self) -> bool:
        """Whether it has its time in beats."""
        return not isinstance(self.when, Now | Sample)


_open: weakref.WeakSet[MidiOut] = weakref.WeakSet()


def send_out(request: OscRequest) -> None:
    """Handles `/midi/out`: sends a message to the outputs whose names contain a text, at its time.

    Raises RequestError: it is no message of three bytes, or there is no such output.
    """
    name, *numbers = request.args
    status, number, value = (number for number in numbers if isinstance(number, int))
    if not (0x80 <= status < 0xF0 and 0 <= number < 128 and 0 <= value < 128):
        raise RequestError("/midi/out takes a status of 128 to 239 and two numbers of 0 to 127")
    message = bytes((status, number, value))
    # each transport and each plugin has its own server interface object
    for out in (one for one in _open if one.server.folder == request.server.folder):
        if out.send(request.when, message, str(name), request.sender):
            return
    raise RequestError(f"there is no MIDI output {str(name)[:64]!r}; --midi-out opens some")


class MidiOut:
    """Sends messages to all open ports.

    `source`: the port of the message being handled; its effects are not echoed to that port. Times are on the engine's
    clock, those in beats on its beat; a timer keeps them to a millisecond. What began at a beat ends where the beat
    stands, is set back, or its sender leaves.
    """

    def __init__(self, server: TransportServer, ports: Ports) -> None:
        self.server = self._server = server
        self._ports = ports
        _open.add(self)
        self._samples: list[_Waiting] = []
        self._beats: list[_Waiting] = []
        self._serial = 0
        self._pressures = SharedPressure()
        self._timer: asyncio.TimerHandle | None = None
        self._last: Play[int] | None = None
        self._nodes: set[int] = set()
        self._sounding: dict[_Note, _Waiting] = {}
        self._given: dict[tuple[str, _Note], When] = {}  # begun at a beat by a sender that has given no end
        # an earlier process may have used any channel of gear that sounds on without it
        self._channels = set() if server.fresh else set(CHANNELS)
        self._reached: set[str] = set()
        self._opened: set[str] = set()
        self._beat = 0.0
        self.source = ""
        self.echoed = 0
        self.sent = 0
        self.dropped = 0

    def effect(self, effect: EngineEffect) -> None:
        """Sends an event of a command to the engine."""
        if isinstance(effect, Panic):
            self.silence()
        elif isinstance(effect, ClearSchedule):
            ends = [w for w in (*self._samples, *self._beats) if w.message[0] & 0xF0 == midi.NOTE_OFF]
            self._samples, self._beats = [w._replace(at=0.0, when=NOW) for w in ends], []
            heapq.heapify(self._samples)
            self._due()
        elif isinstance(effect, Play) and self._ports.outputs and not self._again(effect):
            for message in self._messages(effect.event):
                self._play(effect.when, message, self.source)

    def _messages(self, event: Event) -> list[bytes]:
        """Messages of an event; pressure of all notes of a channel is its channel's."""
        status, found = event.channel - 1 & 0x0F, []
        for key, pressure in self._pressures.split(event):
            share = min(max(round(pressure * 127), 0), 127)
            where = (midi.PRESSURE | status,) if key is None else (midi.KEY_PRESSURE | status, key)
            found.append(bytes((*where, share)))
        return [*found, midi.encode(event)]

    def send(self, when: When, message: bytes, name: str, sender: str = "") -> bool:
        """Schedules a message to the outputs whose names contain a text; returns True if there are any.

        `sender`: a client; the notes that it begins at a beat end when it leaves.
        """
        if not any(name.lower() in port.lower() for port in self._ports.outputs):
            return False
        kind, note = message[0] & 0xF0, (sender, ((message[0] & 0x0F) + 1, message[1], name))
        if kind in (midi.NOTE_ON, midi.NOTE_OFF):
            self._given.pop(note, None)
            by_beat = not isinstance(when, Now | Sample)
            if kind == midi.NOTE_ON and message[2] and by_beat and len(self._given) < MAX_MESSAGES:
                self._given[note] = when
        self._play(when, message, "", name)
        return True

    def leave(self, sender: str) -> None:
        """Ends what a client that has left began at a beat, now or where it begins."""
        for key in [key for key in self._given if key[0] == sender]:
            channel, note, name = key[1]
            self._play(self._given.pop(key), midi.encode(Event("off", 0, note, 0.0, channel)), "", name)

    def echo(self, played: Play[int]) -> None:
        """Sends an event that the named node emitted."""
        if self._ports.outputs and played.node == self.echoed:
            for message in self._messages(played.event):
                self._play(played.when, message, "", emitted=True)

    def follow(self) -> None:
        """Looks up the node named by the present patch; `echoed` requests its events. Silences ports of before."""
        outputs = set(self._ports.outputs)
        # not in the turn that opens a port: JACK's graph has its connection a cycle later
        if (new := self._opened & outputs - self._reached) and not self._server.fresh:
            self._cut(new)
        self._reached, self._opened = self._opened & outputs, outputs
        name = self._server.controls().get("out", "").partition(".")[0] if outputs else ""
        node = self._server.nodes().get(name)
        number = node.id if node is not None else 0
        if number != self.echoed:
            self.echoed = number
            self.silence()

    def silence(self) -> None:
        """Ends all sound at all outputs, and clears the queue."""
        self._samples.clear()
        self._beats.clear()
        self._given.clear()
        for channel in CHANNELS:
            self._pressures.split(Event("control", 0, SOUND_OFF, 0.0, channel))
        for channel, note, name in sorted(self._sounding):
            self._send(midi.encode(Event("off", 0, note, 0.0, channel)), "", name)
        self._sounding.clear()
        self._cut(self._ports.outputs)

    def _cut(self, ports: Iterable[str]) -> None:
        """Lifts the pedal and cuts all sound, on each channel that was used: some gear knows only one of the two."""
        for port in sorted(ports):
            for channel in sorted(self._channels):
                for number in (PEDAL, SOUND_OFF, NOTES_OFF):
                    self._ports.send(midi.encode(Event("control", 0, number, 0.0, channel)), only=port)

    def _again(self, effect: Play[int]) -> bool:
        """True if an event repeats the last one for another node."""
        last = self._last
        same = last is not None and (effect.event, effect.when) == (last.event, last.when)
        if same and effect.node not in self._nodes:
            self._nodes.add(effect.node)
            return True
        self._last, self._nodes = effect, {effect.node}
        return False

    def _play(self, when: When, message: bytes, but: str, name: str = "", *, emitted: bool = False) -> None:
        if not message:
            return
        if len(self._samples) + len(self._beats) >= MAX_MESSAGES:
            self.dropped += 1
            return
        self._serial += 1
        waiting = _Waiting(0.0, self._serial, message, but, name, when, emitted)
        if waiting.by_beat:
            heapq.heappush(self._beats, waiting._replace(at=self._server.beat_of(when)))
        else:
            at = 0.0 if isinstance(when, Now) else self._server.due(when)
            heapq.heappush(self._samples, waiting._replace(at=at))
        self._due()

    def _due(self) -> None:
        """Sends due messages; sets the timer for the next."""
        now = self._server.moment().sample
        beat = self._server.beat_of(Sample(round(now)))
        playing = self._server.tempo()[2]
        if not playing or beat < self._beat - SET_BACK:
            self._end_beats()
        self._beat = beat
        for waiting, place in ((self._samples, now + 1), (self._beats, beat)):
            while waiting and waiting[0].at <= place:
                self._one(heapq.heappop(waiting))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        delays = [(waiting[0].at - now) / self._server.rate for waiting in (self._samples,) if waiting]
        if self._beats and playing:
            delays.append((self._server.due(self._beats[0].when) - now) / self._server.rate)
        if self._beats or any(on.by_beat for on in self._sounding.values()):
            delays.append(WATCH_SECONDS)
        if delays:
            self._timer = asyncio.get_running_loop().call_later(min(delays), self._due)

    def _one(self, waiting: _Waiting) -> None:
        message = waiting.message
        self._send(message, waiting.but, waiting.name)
        self.sent += 1
        channel = (message[0] & 0x0F) + 1
        self._channels.add(channel)
        note = channel, message[1], waiting.name
        if message[0] & 0xF0 == midi.NOTE_ON and message[2]:
            self._sounding[note] = waiting
        elif message[0] & 0xF0 in (midi.NOTE_ON, midi.NOTE_OFF):
            self._sounding.pop(note, None)

    def _end_beats(self) -> None:
        """Ends what began at a beat, where the beat of its end does not come."""
        self._given = {key: when for key, when in self._given.items() if self._server.beat_of(when) > self._beat}
        for channel, note, name in [note for note, on in self._sounding.items() if on.by_beat]:
            off = Event("off", 0, note, 0.0, channel)
            self._pressures.split(off)
            self._send(midi.encode(off), "", name)
            del self._sounding[channel, note, name]

    def _send(self, message: bytes, but: str, name: str) -> None:
        for port in [port for port in self._ports.outputs if name.lower() in port.lower()] if name else ("",):
            self._ports.send(message, but, only=port)

    def restart(self) -> None:
        """Ends all sound after an engine's end, of whose notes no ends will come; what others hold sounds again."""
        kept, given = (*self._sounding.values(), *self._samples, *self._beats), dict(self._given)
        self.silence()
        self._given = given
        for one in [one for one in kept if not one.emitted]:
            heapq.heappush(self._beats if one.by_beat else self._samples, one)
        self._due()

    def close(self) -> None:
        self.silence()
        if self._timer is not None:
            self._timer.cancel()
