"""The server's listening sockets. The supervisor holds them, so that their queues survive a restart of control."""

from __future__ import annotations

import socket

from antiphon.errors import UsageError
from antiphon.runtime.settings import ServeSettings

_TRIES = 20


def open_sockets(settings: ServeSettings) -> tuple[socket.socket, socket.socket, socket.socket]:
    """(OSC UDP, OSC TCP, HTTP), bound and inheritable; `UsageError` says which port is taken."""
    for _ in range(0 if settings.osc_port else _TRIES):
        try:
            return _open(settings)
        except UsageError:
            continue  # the port that was free for UDP is in use for TCP
    return _open(settings)


def _open(settings: ServeSettings) -> tuple[socket.socket, socket.socket, socket.socket]:
    host = "0.0.0.0" if settings.lan else "127.0.0.1"
    udp, tcp, http = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(), socket.socket()
    try:
        _bind(udp, host, settings.osc_port, "UDP", "--osc-port")
        _bind(tcp, host, udp.getsockname()[1], "TCP", "--osc-port")
        _bind(http, host, settings.http_port, "TCP", "--http-port")
        tcp.listen(128)
        http.listen(512)
    except BaseException:
        for sock in (udp, tcp, http):
            sock.close()
        raise
    for sock in (udp, tcp, http):
        sock.setblocking(False)
        sock.set_inheritable(True)
    return udp, tcp, http


def _bind(sock: socket.socket, host: str, port: int, kind: str, option: str) -> None:
    if kind == "TCP":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        raise UsageError(f"{kind} port {port} is taken ({error.strerror}); choose another with {option}") from None
