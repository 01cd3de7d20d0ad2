"""Subscribing, and finding out who is gone."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from antiphon.control.clients import MAX_SURFACES, Peer
from antiphon.errors import WireError
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
        for address in given:
            peer = app.udp.peer(address)
            app.surfaces.add(peer, peer.key, fixed=True)
        data = app.folder.load() or {}
        for item in data.get("surfaces", [])[:MAX_SURFACES]:
            peer = app.udp.peer((str(item["host"]), int(item["port"])))
            app.surfaces.add(peer, str(item["owner"]), bool(item["fixed"]), int(item["id"]))

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

    def expire(self) -> None:
        """Finds the dead: asks those not told anything for long, drops those silent for longer than their lease."""
        app, now = self._app, monotonic()
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
            "surfaces": [
                {"host": s.peer.udp[0], "port": s.peer.udp[1], "owner": s.owner, "fixed": s.fixed, "id": s.id}
                for s in self._app.surfaces
                if s.peer.udp is not None
            ]
        }
