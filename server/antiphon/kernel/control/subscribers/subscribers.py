"""Subscriptions across restarts of control, and their expiry."""

import socket
from time import monotonic
from typing import Any

from antiphon.kernel.control.state import StateSaver
from antiphon.kernel.control.subscribers.clients import MAX_SURFACES, Access, Surfaces
from antiphon.kernel.errors import RequestError
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.io.osc_tcp import TcpServer
from antiphon.kernel.io.osc_udp import UdpEndpoint
from antiphon.kernel.wire.osc import encode

KEEPALIVE = 30.0
"""Seconds between two `/ping`s to a subscriber, by which a closed port is detected."""


class Subscribers:
    """Adds and removes subscriptions, saves and restores them, and ends expired ones."""

    def __init__(self, surfaces: Surfaces, access: Access, udp: UdpEndpoint, tcp: TcpServer, saver: StateSaver) -> None:
        """Creates the manager; nothing is restored before `start`."""
        self._surfaces, self._access, self._udp, self._tcp, self._saver = surfaces, access, udp, tcp, saver
        access.on_change = self.update_access
        self._pinged: dict[str, float] = {}

    def start(self, given: tuple[tuple[str, int], ...], data: dict[str, Any]) -> None:
        """Subscribes (host, port) of each `--surface`, and an earlier process's subscribers, from its state `data`."""
        self._access.restore({}, data.get("forgotten", []))
        given = tuple(_resolved(address) for address in given)
        for address in given:
            if address[0] not in self._access.forgotten:
                peer = self._udp.peer(address)
                self._surfaces.add(peer, peer.key, fixed=True)
        for item in data.get("surfaces", [])[:MAX_SURFACES]:
            address = str(item["host"]), int(item["port"])
            self._surfaces.add(self._udp.peer(address), str(item["owner"]), address in given, int(item["id"]))

    def add(self, peer: Peer, port: int) -> int:
        """Subscribes a sender, or with `port` above 0 that port of its machine; returns the subscriber's number."""
        target = self._udp.peer((peer.host, port)) if port else peer
        number = self._surfaces.add(target, peer.key).id
        self._saver.soon()
        return number

    def remove(self, peer: Peer, port: int) -> int:
        """Ends a subscription, named as for `add`; returns its number, or raises `RequestError` without one."""
        removed = self._surfaces.remove(f"{peer.host}:{port}" if port else peer.key)
        if removed is None:
            raise RequestError("you are not subscribed; /notify 1 subscribes")
        self._saver.soon()
        return removed.id

    def update_access(self) -> None:
        """Applies changed access levels to all open connections, known UDP peers and subscriptions."""
        self._udp.update_levels()
        self._tcp.update_levels()
        self._surfaces.update_access(self._access)
        self._saver.soon()

    def expire(self) -> None:
        """Ends expired approvals and subscriptions, and pings UDP subscribers every `KEEPALIVE` seconds."""
        now = monotonic()
        self._access.lapse()
        known = {s.peer.key for s in self._surfaces}
        self._pinged = {key: at for key, at in self._pinged.items() if key in known}
        for surface in self._surfaces:
            if surface.peer.udp is not None and now - self._pinged.setdefault(surface.peer.key, now) > KEEPALIVE:
                self._pinged[surface.peer.key] = now
                surface.peer.send(encode("/ping"))

        def last_packet(key: str) -> float:
            peer = self._udp.known(key)
            return 0.0 if peer is None else peer.last_received

        if self._surfaces.expire(last_packet):
            self._saver.soon()

    def to_json(self) -> dict[str, Any]:
        """The subscriptions over UDP and the revoked approvals, for `start`."""
        return {
            "forgotten": sorted(self._access.forgotten),
            "surfaces": [
                {"host": s.peer.udp[0], "port": s.peer.udp[1], "owner": s.owner, "fixed": s.fixed, "id": s.id}
                for s in self._surfaces
                if s.peer.udp is not None
            ],
        }


def _resolved(address: tuple[str, int]) -> tuple[str, int]:
    """Address with the host name resolved, as approvals are by IP address."""
    try:
        return socket.gethostbyname(address[0]), address[1]
    except OSError:
        return address
