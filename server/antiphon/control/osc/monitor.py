"""Shows what arrives to whoever asked with `/monitor 1`: copies of packets, so many a second."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from antiphon.errors import WireError
from antiphon.io.osc_peer import Level, Peer
from antiphon.wire.osc import MAX_DATAGRAM, encode

PER_SECOND = 500
HELD_PER_SECOND = 50
"""Of addresses that nobody approved: a stranger's flood leaves the others' packets in view."""
MAX_WATCHERS = 8


class Monitor:
    """install: puts the tap in, or takes it out with None, so that unwatched packets cost nothing."""

    def __init__(
        self,
        install: Callable[[Callable[[bytes, Peer], None] | None], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._install, self._clock = install, clock
        self._watchers: dict[str, Peer] = {}
        self._start = -1.0
        self._count = self._held = self._skipped = 0

    def set(self, peer: Peer, on: bool) -> None:
        if on and peer.key not in self._watchers and len(self._watchers) >= MAX_WATCHERS:
            raise WireError(f"at most {MAX_WATCHERS} monitors can watch")
        if on:
            self._watchers[peer.key] = peer
        else:
            self._watchers.pop(peer.key, None)
        self._install(self._show if self._watchers else None)

    def gone(self, key: str) -> None:
        """A watcher refuses datagrams or has hung up."""
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
        self._send(encode("/packet/held" if held else "/packet", peer.key, data))

    def _send(self, packet: bytes) -> None:
        for key, watcher in list(self._watchers.items()):
            if watcher.link_lost:
                self.gone(key)
            else:
                watcher.send(packet)
