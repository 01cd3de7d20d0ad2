"""The server's listening sockets. The supervisor holds them, so that their queues survive a restart of control."""

import contextlib
import errno
import logging
import socket
import struct

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.settings import ServeSettings

log = logging.getLogger("antiphon.control")
_TRIES = 20
_SIOCGIFADDR = 0x8915


def open_sockets(settings: ServeSettings) -> tuple[socket.socket, socket.socket, socket.socket]:
    """Opens the sockets (OSC UDP, OSC TCP, HTTP), bound and inheritable. Raises UsageError: a port is taken."""
    host = "0.0.0.0" if settings.lan else "127.0.0.1"
    with contextlib.ExitStack() as opened:
        http = opened.enter_context(socket.socket())
        _bind(http, "0.0.0.0" if settings.proxy else host, settings.http_port, "TCP", "--http-port")
        udp, tcp = (opened.enter_context(sock) for sock in _osc_pair(host, settings.osc_port))
        tcp.listen(128)
        http.listen(512)
        for sock in (udp, tcp, http):
            sock.setblocking(False)
        opened.pop_all()
    return udp, tcp, http


def _osc_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Sockets of one port for OSC over UDP and over TCP. A port that is free for UDP may be in use for TCP: where any
    port will do, others are tried."""
    for _ in range(0 if port else _TRIES):
        with contextlib.suppress(UsageError):
            return _bind_pair(host, port)
    return _bind_pair(host, port)


def _bind_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
    try:
        _bind(udp, host, port, "UDP", "--osc-port")
        _bind(tcp, host, udp.getsockname()[1], "TCP", "--osc-port")
    except BaseException:
        udp.close()
        tcp.close()
        raise
    return udp, tcp


def _bind(sock: socket.socket, host: str, port: int, kind: str, option: str) -> None:
    if kind == "TCP":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        raise UsageError(f"{kind} port {port} is taken ({error.strerror}); choose another with {option}") from None


def open_ipv6_loopback(sock: socket.socket) -> tuple[socket.socket, ...]:
    """Opens the same port of ::1, which is `localhost` to many programs; nothing without IPv6, or if it is taken."""
    port, kind = sock.getsockname()[1], sock.type
    with contextlib.ExitStack() as opened:
        try:
            made = opened.enter_context(socket.socket(socket.AF_INET6, kind))
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(("::1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                log.warning("port %d of ::1 is taken by another program: send to 127.0.0.1, not to localhost", port)
            return ()
        made.setblocking(False)
        opened.pop_all()
    return (made,)


def local_addresses() -> tuple[str, ...]:
    """This machine's IPv4 addresses, loopback included, sorted."""
    addresses = {"127.0.0.1"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            address = _interface_address(probe, name)
            if address is not None:
                addresses.add(address)
        try:
            probe.connect(("192.0.2.1", 9))  # UDP: sends nothing, only selects the source address
            addresses.add(probe.getsockname()[0])
        except OSError:
            pass  # no route to other networks
    return tuple(sorted(addresses))


def _interface_address(probe: socket.socket, name: str) -> str | None:
    try:
        import fcntl

        request = struct.pack("256s", name.encode()[:15])
        return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)[20:24])
    except (ImportError, OSError):
        return None  # an interface without an address, or a system without this ioctl


def lan_address() -> str:
    """The address by which other machines of the network reach this one; loopback where there is no network."""
    others = [address for address in local_addresses() if not address.startswith("127.")]
    return others[0] if others else "127.0.0.1"
