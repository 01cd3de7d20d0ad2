"""Copies arriving packets to the senders of `/monitor 1`, at a bounded rate."""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import cast

from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.osc.arguments import OWNER, OnOff, OscCall, osc
from antiphon.kernel.control.osc.intake import Intake
from antiphon.kernel.errors import RequestError
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.wire.osc import MAX_DATAGRAM, encode

PER_SECOND = 500
HELD_PER_SECOND = 50
"""Maximum packets a second from unapproved addresses, so that their flood does not displace the others."""
MAX_WATCHERS = 8
SECRET = b"/live/eval\0"
"""Content of a packet that holds the owner's token."""
NAME = "monitor"
"""Name of the monitor among what has joined control."""


class Monitor:
    """Sends copies of packets to watchers."""

    def __init__(self, intake: Intake, clock: Callable[[], float] = monotonic) -> None:
        """Begins without watchers, which costs nothing: the tap of `intake` is None then."""
        self._intake, self._clock = intake, clock
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
        self._intake.tap = self._show if self._watchers else None

    def remove(self, key: str) -> None:
        """Removes a watcher that refuses datagrams or whose connection ended; another key is ignored."""
        if self._watchers.pop(key, None) is not None and not self._watchers:
            self._intake.tap = None

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


@osc("/monitor", OWNER, once=True)
def monitor(ask: OscCall, on: OnOff) -> None:
    """1 sends the sender a copy of every packet that arrives as `/packet s:from b:packet`, 500 a second at most; those
    of addresses without approval as `/packet/held`, 50 a second at most.
    """
    cast(Monitor, ask.server.joined[NAME]).set(ask.peer, bool(on))
    ask.reply("/done", "/monitor")


def join(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Has control show its packets; as of `Companions.control`."""
    shown = app.joined[NAME] = Monitor(app.intake)
    app.directory.add((monitor,))
    app.refusals.append(shown.remove)
