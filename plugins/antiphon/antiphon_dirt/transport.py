"""Transport `dirt`: settings and start of its ports, UDP and Strudel's WebSocket."""

import socket
from collections.abc import Mapping
from functools import partial
from typing import Any

from antiphon.api import UsageError
from antiphon.api.backends.runtime import ServeOption
from antiphon.api.backends.transports import ServeSettings, Transport, TransportServer
from antiphon.api.jobs import spell
from antiphon.kernel.io.listening import open_ipv6_loopback as beside_on_ipv6

DIRT_PORT = ServeOption(
    "dirt-port", "UDP port for Tidal and other clients of SuperDirt, usually 57120; 0 is off.", default=0
)
USUAL_PORT = 8080
"""Port to which Strudel's `.osc()` sends; a page cannot choose another."""
STRUDEL = ServeOption(
    "strudel", f"Take the events of Strudel's .osc(), at --strudel-port, else {USUAL_PORT}.", default=False
)
STRUDEL_PORT = ServeOption(
    "strudel-port", f"TCP port for --strudel, usually {USUAL_PORT}, to which Strudel sends.", default=0
)
TIDAL_PORT = 57120
"""UDP port to which Tidal sends by default."""
HOST = "127.0.0.1"
"""Address of loopback: only local clients are accepted, because the protocol has no approval."""


class DirtTransport(Transport):
    """`antiphon serve --dirt-port`, `--strudel`; without the first it reports that Tidal's events are not received."""

    options = (DIRT_PORT, STRUDEL, STRUDEL_PORT)
    always = True

    def check(self, settings: ServeSettings) -> None:
        port, strudel = settings.value(DIRT_PORT), strudel_port(settings)
        for option, given in ((DIRT_PORT, port), (STRUDEL_PORT, strudel)):
            if not 0 <= given <= 65535:
                raise UsageError(f"--{option.name} takes 0 to 65535, not {given}")
        if port and port == settings.osc_port:
            raise UsageError(f"{spell('osc_port')} and {spell('dirt_port')} must differ; both want UDP")
        if strudel and strudel in (settings.osc_port, settings.http_port):
            raise UsageError(
                f"{spell('strudel_port')} must differ from {spell('osc_port')} and {spell('http_port')}; all want TCP"
            )
        if port:
            bind_socket(port).close()
        if strudel:
            for sock in open_loopback_sockets(strudel):
                sock.close()

    def unasked(self) -> Mapping[str, Any]:
        try:
            for sock in open_loopback_sockets(USUAL_PORT):
                sock.close()
        except UsageError:
            return {}
        return {STRUDEL.name: True}

    def start(self, server: TransportServer) -> None:
        port, strudel = server.settings.value(DIRT_PORT), strudel_port(server.settings)
        if not port and not strudel:
            server.status(lambda: unheard_reason(server) or None)
            return
        from antiphon_dirt.player import DirtPlayer

        player = DirtPlayer(server)
        figures = [player.figures]
        if port:
            from antiphon_dirt.port import DirtPort

            udp = DirtPort(server, player, bind_socket(port))
            server.service(udp.run)
            figures.append(udp.figures)
        else:
            figures.append(partial(unheard_reason, server))
        if strudel:
            from antiphon_dirt.strudel import StrudelPort

            websocket = StrudelPort(server, player, open_loopback_sockets(strudel))
            server.service(websocket.run)
            figures.append(websocket.figures)
        server.status(lambda: {name: value for part in figures for name, value in part().items()})


def unheard_reason(server: TransportServer) -> dict[str, Any]:
    """Returns the status entry `reason`, if the patch has orbits and no port takes Tidal's events; otherwise {}."""
    if not any(name.startswith("orbit") and name.removeprefix("orbit").isdecimal() for name in server.nodes()):
        return {}
    where = f"it sends to UDP port {TIDAL_PORT}, where this server does not listen"
    return {"reason": f"Tidal is not heard: {where}; start the server with {spell('dirt_port')} {TIDAL_PORT}"}


def strudel_port(settings: ServeSettings) -> int:
    """Port of Strudel's WebSocket; 0 if it is not requested."""
    return settings.value(STRUDEL_PORT) or (USUAL_PORT if settings.value(STRUDEL) else 0)


def bind_socket(port: int) -> socket.socket:
    """Opens a non-blocking UDP socket at that loopback port. Raises `UsageError`: the port is taken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sock.close()
        raise UsageError(
            f"UDP port {port} is taken ({error.strerror}); SuperCollider's language has 57120 while it runs: stop it, "
            f"or choose another with {spell('dirt_port')} and have the client send there"
        ) from None
    sock.setblocking(False)
    return sock


def open_loopback_sockets(port: int) -> tuple[socket.socket, ...]:
    """Opens TCP sockets at that loopback port, IPv4 and IPv6. Raises `UsageError`: the port is taken."""
    try:
        sock = socket.create_server((HOST, port))
    except OSError as error:
        raise UsageError(
            f"TCP port {port} is taken ({error.strerror}); Strudel sends to {USUAL_PORT} and to no other: end the "
            "program that has it, its own OSC bridge perhaps"
        ) from None
    return (sock, *beside_on_ipv6(sock))
