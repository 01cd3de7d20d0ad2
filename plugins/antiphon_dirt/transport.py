"""What the server knows of SuperDirt's clients: the port they send to, and how it begins."""

from __future__ import annotations

import socket

from antiphon.api import UsageError
from antiphon.api.transports import ServeSettings, Transport, TransportServer

HOST = "127.0.0.1"
"""Clients on this machine only: the protocol knows no approval."""


class DirtTransport(Transport):
    """`antiphon serve --dirt-port`."""

    options = ("dirt_port",)

    def check(self, settings: ServeSettings) -> None:
        bound(settings.dirt_port).close()

    def start(self, server: TransportServer) -> None:
        from antiphon_dirt.port import DirtPort

        DirtPort(server, bound(server.settings.dirt_port)).install()


def bound(port: int) -> socket.socket:
    """A non-blocking UDP socket at that port of this machine; `UsageError` where it is taken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sock.close()
        raise UsageError(
            f"UDP port {port} is taken ({error.strerror}); SuperCollider's language has 57120 while it runs: stop it, "
            "or choose another with --dirt-port and have the client send there"
        ) from None
    sock.setblocking(False)
    return sock
