"""What the server knows of SuperDirt's clients: the port they send to, and how it begins."""

from __future__ import annotations

import socket

from antiphon.api import UsageError
from antiphon.api.backends.runtime import ServeOption
from antiphon.api.backends.transports import ServeSettings, Transport, TransportServer

DIRT_PORT = ServeOption(
    "dirt-port", "UDP port for Tidal and other clients of SuperDirt, usually 57120; 0 is off.", default=0
)
HOST = "127.0.0.1"
"""Clients on this machine only: the protocol knows no approval."""


class DirtTransport(Transport):
    """`antiphon serve --dirt-port`."""

    options = (DIRT_PORT,)

    def check(self, settings: ServeSettings) -> None:
        port = settings.value(DIRT_PORT)
        if not 0 <= port <= 65535:
            raise UsageError(f"--dirt-port takes 0 to 65535, not {port}")
        if port == settings.osc_port:
            raise UsageError("--osc-port and --dirt-port must differ; both want UDP")
        bound(port).close()

    def start(self, server: TransportServer) -> None:
        from antiphon_dirt.port import DirtPort

        DirtPort(server, bound(server.settings.value(DIRT_PORT))).install()


def bound(port: int) -> socket.socket:
    """Opens a non-blocking UDP socket at that port of loopback; `UsageError` where it is taken."""
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
