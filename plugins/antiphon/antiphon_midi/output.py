"""MIDI output: notes played by commands, and events of the node named in the patch's [midi]."""

from __future__ import annotations

import asyncio
import heapq
import weakref

from antiphon.api.backends.transports import (
    NODE_EVENTS,
    ClearSchedule,
    EmittedEvent,
    EngineEffect,
    NodeEvent,
    Now,
    OscRequest,
    Panic,
    RequestError,
    TransportServer,
    When,
)
from antiphon_midi import messages as midi
from antiphon_midi.ports import Ports

MAX_MESSAGES = 65536
"""Maximum messages in the queue."""
_Waiting = tuple[float, int, bytes, str, str]
"""Sample, order, message, excluded port, filter text of port names."""
_open: weakref.WeakSet[MidiOut] = weakref.WeakSet()


def send_out(request: OscRequest) -> None:
    """Handler of `/midi/out`: sends a message to the outputs whose names contain a text, at its time.

    Raises RequestError: it is no message of three bytes, or there is no such output.
    """
    name, *numbers = request.args
    status, number, value = (number for number in numbers if isinstance(number, int))
    if not (0x80 <= status < 0xF0 and 0 <= number < 128 and 0 <= value < 128):
        raise RequestError("/midi/out takes a status of 128 to 239 and two numbers of 0 to 127")
    message = bytes((status, number, value))
    # each transport and each plugin has its own server interface object
    for out in (one for one in _open if one.server.folder == request.server.folder):
        if out.send(request.when, message, str(name)):
            return
    raise RequestError(f"there is no MIDI output {str(name)[:64]!r}; --midi-out opens some")


class MidiOut:
    """Sends messages to all open ports.

    `source`: the port of the message being handled; its effects are not echoed to that port. Times are on the engine's
    clock; a timer keeps them to a millisecond.
    """

    def __init__(self, server: TransportServer, ports: Ports) -> None:
        self.server = self._server = server
        self._ports = ports
        _open.add(self)
        self._waiting: list[_Waiting] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        self._last: NodeEvent | None = None
        self._nodes: set[int] = set()
        self._sounding: set[tuple[int, int]] = set()
        self.source = ""
        self.echoed = 0
        self.sent = 0
        self.dropped = 0

    def effect(self, effect: EngineEffect) -> None:
        """Sends an event of a command to the engine."""
        if isinstance(effect, Panic):
            self.silence()
        elif isinstance(effect, ClearSchedule):
            self._waiting = [w for w in self._waiting if w[2][0] & 0xF0 == midi.NOTE_OFF]
            heapq.heapify(self._waiting)
        elif isinstance(effect, NODE_EVENTS) and self._ports.outputs and not self._again(effect):
            self._play(
                self._sample(effect), midi.encode(effect.kind, effect.number, effect.value, effect.channel), self.source
            )

    def send(self, when: When, message: bytes, name: str) -> bool:
        """Schedules a message to the outputs whose names contain a text; returns True if there are any."""
        if not any(name.lower() in port.lower() for port in self._ports.outputs):
            return False
        self._play(0.0 if isinstance(when, Now) else self._server.due(when), message, "", name)
        return True

    def played(self, event: EmittedEvent) -> None:
        """Sends an event that the named node emitted."""
        if self._ports.outputs and event.node == self.echoed:
            self._play(event.sample, midi.encode(event.kind, event.number, event.value, event.channel), "")

    def follow(self) -> None:
        """Looks up the node named by the present patch; `echoed` requests its events."""
        name = self._server.controls().get("out", "").partition(".")[0] if self._ports.outputs else ""
        node = self._server.nodes().get(name)
        number = node.id if node is not None else 0
        if number != self.echoed:
            self.echoed = number
            self.silence()

    def silence(self) -> None:
        """Ends sounding notes at all outputs, and clears the queue."""
        self._waiting.clear()
        for channel, note in sorted(self._sounding):
            self._ports.send(midi.encode("off", note, 0.0, channel))
        self._sounding.clear()
        if self.sent:
            for channel in range(1, 17):
                self._ports.send(midi.encode("control", 123, 0.0, channel))

    def _again(self, effect: NodeEvent) -> bool:
        """True if an event repeats the last one for another node."""
        last = self._last
        same = last is not None and (effect.kind, effect.number, effect.value, effect.channel, effect.when) == (
            last.kind,
            last.number,
            last.value,
            last.channel,
            last.when,
        )
        if same and effect.node not in self._nodes:
            self._nodes.add(effect.node)
            return True
        self._last, self._nodes = effect, {effect.node}
        return False

    def _sample(self, effect: NodeEvent) -> float:
        return 0.0 if isinstance(effect.when, Now) else self._server.due(effect.when)

    def _play(self, sample: float, message: bytes, but: str, name: str = "") -> None:
        if not message:
            return
        if len(self._waiting) >= MAX_MESSAGES:
            self.dropped += 1
            return
        self._serial += 1
        heapq.heappush(self._waiting, (sample, self._serial, message, but, name))
        self._due()

    def _due(self) -> None:
        """Sends due messages; sets the timer for the next."""
        now = self._server.moment().sample
        while self._waiting and self._waiting[0][0] <= now + 1:
            _, _, message, but, name = heapq.heappop(self._waiting)
            for port in [port for port in self._ports.outputs if name.lower() in port.lower()] if name else ("",):
                self._ports.send(message, but, only=port)
            self.sent += 1
            note = (message[0] & 0x0F) + 1, message[1]
            if message[0] & 0xF0 == midi.NOTE_ON:
                self._sounding.add(note)
            elif message[0] & 0xF0 == midi.NOTE_OFF:
                self._sounding.discard(note)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            delay = (self._waiting[0][0] - now) / self._server.rate
            self._timer = asyncio.get_running_loop().call_later(delay, self._due)

    def close(self) -> None:
        self.silence()
        if self._timer is not None:
            self._timer.cancel()
