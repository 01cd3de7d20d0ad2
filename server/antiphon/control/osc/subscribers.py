"""Subscribing, and finding out who is gone."""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from antiphon.control.osc.clients import MAX_SURFACES
from antiphon.errors import WireError
from antiphon.io.osc_peer import Peer
from antiphon.wire.osc import encode

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp

KEEPALIVE = 30.0
"""Seconds between two `/ping`s to a subscriber, which show whether anybody is there."""


class Subscribers:
    def __init__(self, app: ControlApp) -> None:
        self._app = app
        self._pinged: dict[str, float] = {}

    def start(self, given: tuple[tuple[str, int], ...]) -> None:
        """Subscribes those that `--surface` names and those an earlier process had."""
        app = self._app
        data = app.folder.load() or {}
        app.access.restore({}, data.get("forgotten", []))
        given = tuple(_resolved(address) for address in given)
        for address in given:
            if address[0] not in app.access.forgotten:
                peer = app.udp.peer(address)
                app.surfaces.add(peer, peer.key, fixed=True)
        for item in data.get("surfaces", [])[:MAX_SURFACES]:
            address = str(item["host"]), int(item["port"])
            app.surfaces.add(app.udp.peer(address), str(item["owner"]), address in given, int(item["id"]))

    def add(self, peer: Peer, port: int) -> int:
        """Subscribes a sender, or another port of its machine; returns its number."""
        target = self._app.udp.peer((peer.host, port)) if port else peer
        number = self._app.surfaces.add(target, peer.key).id
        self._app.keep_soon()
        return number

    def remove(self, peer: Peer, port: int) -> int:
        gone = self._app.surfaces.remove(f"{peer.host}:{port}" if port else peer.key)
        if gone is None:
            raise WireError("you are not subscribed; /notify 1 subscribes")
        self._app.keep_soon()
        return gone.id

    def judge(self) -> None:
        """Somebody may do more or less than before: that holds at once, for all he has open."""
        app = self._app
        app.udp.judge()
        app.tcp.judge()
        app.surfaces.judge(app.access)
        app.keep_soon()

    def expire(self) -> None:
        """Ends approvals whose time is over, and finds the dead.

        Those not told anything for long are asked, those silent for longer than their lease are dropped.
        """
        app, now = self._app, monotonic()
        app.access.lapse()
        known = {s.peer.key for s in app.surfaces}
        self._pinged = {key: at for key, at in self._pinged.items() if key in known}
        for surface in app.surfaces:
            if surface.peer.udp is not None and now - self._pinged.setdefault(surface.peer.key, now) > KEEPALIVE:
                self._pinged[surface.peer.key] = now
                surface.peer.send(encode("/ping"))

        def heard(key: str) -> float:
            peer = app.udp.known(key)
            return 0.0 if peer is None else peer.heard

        if app.surfaces.expire(heard):
            app.keep_soon()

    def to_json(self) -> dict[str, Any]:
        return {
            "forgotten": sorted(self._app.access.forgotten),
            "surfaces": [
                {"host": s.peer.udp[0], "port": s.peer.udp[1], "owner": s.owner, "fixed": s.fixed, "id": s.id}
                for s in self._app.surfaces
                if s.peer.udp is not None
            ],
        }


def _resolved(address: tuple[str, int]) -> tuple[str, int]:
    """With the IP address of a machine given by its name: that is what it is approved and forgotten by."""
    try:
        return socket.gethostbyname(address[0]), address[1]
    except OSError:
        return address
