"""UDP port of SuperDirt's protocol: answers handshakes, and plays events at the sample of their time tag."""

import asyncio
import socket
import struct
from functools import partial
from typing import Any

from antiphon.api.backends.transports import (
    IMMEDIATELY,
    NOW,
    Bundle,
    Message,
    Now,
    Packet,
    Panic,
    Sample,
    TransportServer,
    decode,
    encode,
)
from antiphon.kernel.io.listening import open_ipv6_loopback as beside_on_ipv6
from antiphon_dirt.player import PLAY, SOURCE, DirtPlayer

MAX_BYTES = 65_507
"""Maximum bytes of a UDP datagram over IPv4."""
PER_TURN = 256
"""Maximum datagrams handled before the event loop runs again; Tidal sends 10 to 40 in a row."""
RECEIVE_BUFFER = 4 << 20
BUSES = tuple(range(128))
"""Control buses announced by the handshake. None exist here, and values sent to them are ignored, but a client accepts
the answer only with at least one."""
SCSYNTH_PORT = 57110
TIDAL = ("127.0.0.1", 6010)
"""Address at which Tidal listens: notified at the start, it repeats the handshake."""
_SO_MEMINFO, _MEMINFO_DROPS = 55, 8


class DirtPort:
    """UDP server for SuperDirt's clients, such as Tidal."""

    def __init__(self, server: TransportServer, player: DirtPlayer, sock: socket.socket) -> None:
        """Takes ownership of a bound, non-blocking socket, and opens the same port of ::1."""
        self._server, self._player, self._sock = server, player, sock
        self._socks = (sock, *beside_on_ipv6(sock))
        for one in self._socks:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    async def run(self) -> None:
        """Reads until the server ends."""
        loop = asyncio.get_running_loop()
        for sock in self._socks:
            loop.add_reader(sock, self.drain)
        # a client that shook hands with an earlier server would not do so again by itself
        self._answer(("/dirt/hello",), TIDAL)
        try:
            await loop.create_future()
        finally:
            for sock in self._socks:
                loop.remove_reader(sock)
                sock.close()

    def figures(self) -> dict[str, Any]:
        """Figures for `/api/status`."""
        port = self._sock.getsockname()[1] if self._sock.fileno() >= 0 else 0
        return {"port": port, "dropped": self._dropped()}

    def drain(self) -> None:
        """Handles the arrived packets, in one turn of the server."""
        with self._server.turn():
            self._player.find_orbits()
            for sock in self._socks:
                self._read(sock)

    def _read(self, sock: socket.socket) -> None:
        for _ in range(PER_TURN):
            try:
                data, peer = sock.recvfrom(MAX_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # the error of an answer to a port that is closed
            self._player.attempt(partial(self._datagram, data, peer))

    def _datagram(self, data: bytes, peer: tuple[str, int]) -> None:
        self._packet(decode(data), peer, NOW)

    def _packet(self, packet: Packet, peer: tuple[str, int], when: Now | Sample) -> None:
        if isinstance(packet, Bundle):
            at = NOW if packet.timetag <= IMMEDIATELY else self._server.when(packet.timetag)
            for item in packet.items:
                self._packet(item, peer, at)
        elif isinstance(packet, Message):
            self._message(packet, peer, when)
        else:
            raise packet

    def _message(self, message: Message, peer: tuple[str, int], when: Now | Sample) -> None:
        match message.address.decode("utf-8", "replace"):
            case address if address in PLAY:
                self._player.play(message.args, when)
            case "/dirt/handshake":
                self._answer(
                    (
                        "/dirt/handshake/reply",
                        "&serverHostname",
                        peer[0],
                        "&serverPort",
                        SCSYNTH_PORT,
                        "&controlBusIndices",
                        *BUSES,
                    ),
                    peer,
                )
            case "/dirt/hello":
                self._answer(("/dirt/hello/reply",), peer)
            case "/panic":
                self._server.do(Panic(), SOURCE)
            case address:
                self._player.count(address[:64])

    def _answer(self, message: tuple[Any, ...], peer: tuple[str, int]) -> None:
        try:
            sock = self._socks[-1] if ":" in peer[0] else self._sock
            sock.sendto(encode(*message), peer)
        except OSError:
            pass  # the port is closed

    def _dropped(self) -> int:
        """Datagrams dropped by the kernel."""
        try:
            info = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
            return int(struct.unpack_from("=I", info, 4 * _MEMINFO_DROPS)[0])
        except (OSError, struct.error):
            return 0
