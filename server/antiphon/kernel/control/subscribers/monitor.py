"""Copies arriving packets to the senders of `/monitor 1`, at a bounded rate."""

from collections.abc import Callable
from time import monotonic

from antiphon.kernel.control.subscribers.clients import Surfaces
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.engine.link import EVERY_NODE, PlayedNote
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import RequestError
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.wire.osc import MAX_DATAGRAM, encode

PER_SECOND = 500
HELD_PER_SECOND = 50
"""Maximum packets a second from unapproved addresses, so that their flood does not displace the others."""
MAX_WATCHERS = 8
SECRET = b"/live/eval\0"
"""Content of a packet that holds the owner's token."""


class Monitor:
    """Sends copies of packets to watchers."""

    def __init__(
        self, install: Callable[[Callable[[bytes, Peer], None] | None], None], clock: Callable[[], float] = monotonic
    ) -> None:
        """Begins without watchers. `install` sets the callback for each packet: None without watchers costs nothing."""
        self._install, self._clock = install, clock
        self._watchers: dict[str, Peer] = {}
        self._start = -1.0
        self._count = self._held = self._skipped = 0

    def set(self, peer: Peer, on: bool) -> None:
        """Adds or removes a watcher; `RequestError` beyond `MAX_WATCHERS`."""
        if on and peer.key not in self._watchers and len(self._watchers) >= MAX_WATCHERS:
            raise RequestError(f"at most {MAX_WATCHERS} monitors can watch")
        if on:
            self._watchers[peer.key] = peer
        else:
            self._watchers.pop(peer.key, None)
        self._install(self._show if self._watchers else None)

    def remove(self, key: str) -> None:
        """Removes a watcher that refuses datagrams or whose connection ended; another key is ignored."""
        if self._watchers.pop(key, None) is not None and not self._watchers:
            self._install(None)

    def _show(self, data: bytes, peer: Peer) -> None:
        now = self._clock()
        if now - self._start >= 1.0:
            if self._skipped:
                self._send(encode("/packet/skipped", self._skipped))
            self._start, self._count, self._held, self._skipped = now, 0, 0, 0
        held = peer.level is Level.HELD
        if self._count >= PER_SECOND or (held and self._held >= HELD_PER_SECOND) or len(data) > MAX_DATAGRAM - 256:
            self._skipped += 1
            return
        self._count += 1
        self._held += held
        if SECRET in data:
            data = encode("/live/eval", "not shown, for it has the token")
        self._send(encode("/packet/held" if held else "/packet", peer.key, data))

    def _send(self, packet: bytes) -> None:
        for key, watcher in list(self._watchers.items()):
            if watcher.link_lost:
                self.remove(key)
            else:
                watcher.send(packet)


class NotesOut:
    """Requests events from the engine: every node's while there are subscribers, else the `wanted` node's."""

    def __init__(
        self, link: RemoteEngine, state: GraphState, surfaces: Surfaces, feedback: Feedback, wanted: Callable[[], int]
    ) -> None:
        """Idle before `follow`. `wanted` returns the node whose events are always needed, 0 for none."""
        self._link, self._state, self._surfaces, self._feedback = link, state, surfaces, feedback
        self._wanted = wanted

    def follow(self) -> None:
        """Requests the events; called in every tick, as a restarted engine has lost the request."""
        self._link.echo(EVERY_NODE if self._surfaces else self._wanted())

    def played(self, note: PlayedNote) -> None:
        """Sends a node's note-on or note-off as a message the server itself accepts, with the node's name."""
        name = self._state.name_of(note.node)
        if not name or note.kind not in ("on", "off"):
            return
        velocity = max(1, min(127, round(127.0 * note.value))) if note.kind == "on" else 0
        self._feedback.event(f"/note/{note.kind}", note.number, velocity, note.channel, name)
