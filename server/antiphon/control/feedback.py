"""What subscribed surfaces are told: the newest value of everything that changed, bundled, sixty times a second."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from antiphon.control.clients import Surface, Surfaces
from antiphon.params import Param, Value
from antiphon.wire.osc import IMMEDIATELY, Arg, encode, encode_bundle

PERIOD = 1 / 60
BUNDLE_BYTES = 1400
"""A bundle fits one packet of the network."""
LATE_SECONDS = 0.010
"""Commands later than this are reported."""
MAX_EVENTS = 256
"""Events held for one flush; more are dropped and counted."""

Listener = Callable[[str, Value], None]


def wire_value(param: Param, value: Value) -> Arg:
    """A parameter's value as it is sent: float f, int and switch i, the rest s."""
    match param.kind:
        case "float":
            return float(value)
        case "int" | "switch" | "trigger":
            return int(value)
    return str(value)


class Feedback:
    """Gathers changes and events; `flush` sends them.

    Of many changes of one address within a flush the last is sent, to all but the one that made it.
    """

    def __init__(self, surfaces: Surfaces, clock: Callable[[], float] = monotonic) -> None:
        self._surfaces, self._clock = surfaces, clock
        self._changes: dict[str, tuple[Arg, object]] = {}
        self._events: list[bytes] = []
        self._late: dict[str, float] = {}
        self._meters: dict[str, tuple[float, float]] = {}
        self._flushed = 0.0
        self.listeners: list[Listener] = []
        self.sent = 0
        self.dropped = 0

    @property
    def pending(self) -> bool:
        return bool(self._changes or self._events or self._late or self._meters)

    @property
    def due(self) -> bool:
        """There is something to send and the last flush is a period ago."""
        return self.pending and self._clock() - self._flushed >= PERIOD

    def changed(self, address: str, value: Arg, source: object) -> None:
        if self._surfaces or self.listeners:
            self._changes.pop(address, None)
            self._changes[address] = (value, source)

    def event(self, address: str, *args: Arg) -> None:
        """Something happened; told to all, in order."""
        if not self._surfaces:
            return
        if len(self._events) >= MAX_EVENTS:
            self.dropped += 1
            return
        self._events.append(encode(address, *args))

    def late(self, address: str, seconds: float) -> None:
        """A command came too late; of one address the latest within a flush is told."""
        if self._surfaces and seconds > LATE_SECONDS and (address in self._late or len(self._late) < MAX_EVENTS):
            self._late[address] = max(seconds, self._late.get(address, 0.0))

    def meters(self, levels: dict[str, tuple[float, float]]) -> None:
        """Peak and RMS by node name; `in` and `out` are the server's own."""
        if self._surfaces:
            self._meters = levels

    def flush(self) -> None:
        self._flushed = self._clock()
        changes, self._changes = self._changes, {}
        events, self._events = self._events, []
        events += [encode("/late", address, seconds) for address, seconds in self._late.items()]
        events += [encode("/meter", name, peak, rms) for name, (peak, rms) in self._meters.items()]
        self._late, self._meters = {}, {}
        if self._surfaces:
            encoded = [(encode(address, value), source) for address, (value, source) in changes.items()]
            for surface in self._surfaces:
                if surface.quiet_until <= self._flushed:
                    self._tell(surface, [p for p, source in encoded if not surface.moved_by(source)] + events)
        # behind the surfaces: a plugin that listens may raise
        for listener in self.listeners:
            for address, (value, _) in changes.items():
                if isinstance(value, float | int | str):
                    listener(address, value)

    def _tell(self, surface: Surface, packets: list[bytes]) -> None:
        self.sent += len(packets)
        for group in grouped(packets):
            surface.peer.send(group[0] if len(group) == 1 else encode_bundle(IMMEDIATELY, group))


def grouped(packets: list[bytes]) -> list[list[bytes]]:
    """In order, in groups that each fit one network packet as a bundle."""
    groups: list[list[bytes]] = []
    size = BUNDLE_BYTES
    for packet in packets:
        if size + len(packet) + 4 > BUNDLE_BYTES:
            groups.append([])
            size = 16
        groups[-1].append(packet)
        size += len(packet) + 4
    return groups
