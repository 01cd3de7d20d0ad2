"""Sends subscribers the newest value of every changed address, and events, bundled, sixty times a second."""

from collections.abc import Callable
from time import monotonic

from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.control.subscribers.clients import Surface, Surfaces
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.io.osc_peer import Level
from antiphon.kernel.wire.osc import IMMEDIATELY, Arg, encode, encode_bundle

PERIOD = 1 / 60
"""Minimum seconds between two flushes."""
BUNDLE_BYTES = 1400
"""Bytes of a bundle, so that it fits one network packet."""
LATE_SECONDS = 0.010
"""Lateness of commands that is reported."""
MAX_NORMS = 4096
"""Maximum addresses `/norm` at which values are sent."""
MAX_EVENTS = 256
"""Maximum events of one flush; further ones are dropped and counted."""

MAX_TOLD = 240
"""Maximum characters of the address, and of the reason, in a refusal that is sent."""
REASONED = frozenset({"/node/state", "/patch/failed", "/patch/warning", "/plugin/failed"})
"""Events with a sentence, from which file names are removed for surfaces that are not the owner's."""
Listener = Callable[[str, Value], None]


def osc_value_of(param: Param, value: Value) -> Arg:
    """Wire type of a parameter's value: float f, int and switch i, the rest s."""
    match param.kind:
        case "float":
            return float(value)
        case "int" | "switch" | "trigger":
            return int(value)
    return str(value)


def param_level(param: Param) -> Level:
    """Access level needed to set or read a parameter; a parameter that names files, or code to load, is for owners
    only.
    """
    return Level.OWNER if param.kind == "file" or param.owners else Level.SURFACE


class Feedback:
    """Collects changes and events; `flush` sends them.

    Of several changes of one address, the last before a flush is sent, to all subscribers but its sender. `norms`:
    addresses `/norm` in use, at which their parameters are sent too.
    """

    def __init__(
        self, surfaces: Surfaces, hide_files: Callable[[str], str] = str, clock: Callable[[], float] = monotonic
    ) -> None:
        """Creates an empty feedback. `hide_files` removes file names from a sentence, `clock` gives seconds."""
        self.surfaces, self._hide_files, self._clock = surfaces, hide_files, clock
        self._changes: dict[str, tuple[Arg, object, Level]] = {}
        self._again: dict[str, tuple[tuple[str, Arg], ...]] = {}  # other addresses of what changed, with their values
        self.norms: set[str] = set()
        self._events: list[tuple[bytes, bytes, object]] = []  # for the owner; for surfaces, empty for none; who sent it
        self._notes: list[tuple[bytes, bytes]] = []
        self._late: dict[str, float] = {}
        self._meters: dict[str, tuple[float, float]] = {}
        self._flushed = 0.0
        self.listeners: list[Listener] = []
        self.sent = 0
        self.dropped = 0

    @property
    def pending(self) -> bool:
        """True if there is data to send."""
        return bool(self._changes or self._events or self._notes or self._late or self._meters)

    @property
    def is_due(self) -> bool:
        """True if there is data to send, and the last flush was `PERIOD` seconds ago."""
        return self.pending and self._clock() - self._flushed >= PERIOD

    def add_change(self, address: str, value: Arg, source: object, level: Level = Level.SURFACE) -> None:
        """Adds a changed value: `source` gets no echo, and subscribers below `level` are not sent it."""
        if self.surfaces or self.listeners:
            self._changes.pop(address, None)
            self._changes[address] = (value, source, level)

    def param_changed(self, node: str, param: Param, value: Value, source: object) -> None:
        """Adds a changed parameter, at all addresses that set it; `source` as for `add_change`."""
        address, wired = f"/node/{node}/{param.name}", osc_value_of(param, value)
        self.add_change(address, wired, source, param_level(param))
        if self.surfaces:
            short = ((f"/{MACRO}/{param.name}", wired),) if node == MACRO else ()
            norm = f"{address}/norm"
            self._again[address] = (*short, *(((norm, float(param.to_norm(value))),) if norm in self.norms else ()))

    def note_norm(self, norm: str) -> None:
        """Notes that a message came to an address `/norm`."""
        if len(self.norms) < MAX_NORMS:
            self.norms.add(norm)

    def add_refusal(self, address: str, reason: str, sender: str) -> None:
        """Adds a refusal, for the owner's other subscribers; the sender gets an answer of its own."""
        self.event("/refused", address[:MAX_TOLD], reason[:MAX_TOLD], sender, level=Level.OWNER, source=sender)

    def event(self, address: str, *args: Arg, level: Level = Level.SURFACE, source: object = None) -> None:
        """Adds an event for all subscribers of a level or above but `source`, sent in order."""
        if not self.surfaces:
            return
        if len(self._events) >= MAX_EVENTS:
            self.dropped += 1
            return
        packet = encode(address, *args)
        discreet = packet if level is not Level.OWNER else b""
        if address in REASONED:
            discreet = encode(address, *(self._hide_files(arg) if isinstance(arg, str) else arg for arg in args))
        self._events.append((packet, discreet, source))

    def note(self, packet: bytes, floats: bytes) -> None:
        """Adds a note for the owner's subscribers that enabled notes; at most `MAX_EVENTS` a flush.

        `floats`: the same without doubles, for those that read none.
        """
        if len(self._notes) >= MAX_EVENTS:
            self.dropped += 1
            return
        self._notes.append((packet, floats))

    def add_late(self, address: str, seconds: float) -> None:
        """Adds a late command, `seconds` after its time; the largest value per address before a flush is sent."""
        if self.surfaces and seconds > LATE_SECONDS and (address in self._late or len(self._late) < MAX_EVENTS):
            self._late[address] = max(seconds, self._late.get(address, 0.0))

    def meters(self, levels: dict[str, tuple[float, float]]) -> None:
        """Adds changed levels: (peak, RMS) by node name; `in` and `out` are the server's own."""
        if self.surfaces:
            self._meters = levels

    def flush(self) -> None:
        """Sends pending data to subscribers, then calls the listeners."""
        self._flushed = self._clock()
        changes, self._changes = self._changes, {}
        again, self._again = self._again, {}
        events, self._events = self._events, []
        notes, self._notes = self._notes, []
        late = [encode("/late", address, seconds) for address, seconds in self._late.items()]
        levels = [encode("/meter", name, peak, rms) for name, (peak, rms) in self._meters.items()]
        self._late, self._meters = {}, {}
        if self.surfaces:
            encoded = [
                (encode(name, wired), source, level)
                for address, (value, source, level) in changes.items()
                for name, wired in ((address, value), *again.get(address, ()))
            ]
            for surface in self.surfaces:
                if surface.quiet_until <= self._flushed and surface.may_receive_values:
                    owner = surface.peer.level is Level.OWNER
                    changed = [
                        p
                        for p, source, level in encoded
                        if (owner or level is not Level.OWNER) and not surface.is_origin_of(source)
                    ]
                    happened = [
                        p
                        for e, discreet, source in events
                        if (p := e if owner else discreet) and not (source and surface.is_origin_of(source))
                    ]
                    played = [pair[surface.floats] for pair in notes] if owner and surface.notes else []
                    self._send(surface, changed + happened + played + late + (levels if surface.meters else []))
        # after the surfaces, for a plugin's listener may raise
        for listener in self.listeners:
            for address, (value, _, _) in changes.items():
                if isinstance(value, float | int | str):
                    listener(address, value)

    def _send(self, surface: Surface, packets: list[bytes]) -> None:
        self.sent += len(packets)
        for group in group_packets(packets):
            surface.peer.send(group[0] if len(group) == 1 else encode_bundle(IMMEDIATELY, group))


def group_packets(packets: list[bytes]) -> list[list[bytes]]:
    """Splits packets, in order, into groups that each fit one network packet as a bundle."""
    groups: list[list[bytes]] = []
    size = BUNDLE_BYTES
    for packet in packets:
        if size + len(packet) + 4 > BUNDLE_BYTES:
            groups.append([])
            size = 16
        groups[-1].append(packet)
        size += len(packet) + 4
    return groups
