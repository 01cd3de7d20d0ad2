"""OSC over TCP, length-prefixed or SLIP, with replies in the same framing. All queues and buffers are bounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from time import monotonic

from antiphon.kernel.errors import WireError
from antiphon.kernel.io.listening import open_ipv6_loopback
from antiphon.kernel.io.osc_peer import Lane, Level, Peer
from antiphon.kernel.wire.frames import Framer

MAX_CONNECTIONS = 256
MAX_HELD = 32
"""Maximum connections from addresses without approval."""
IDLE, INTERVAL, PROBES = 60, 15, 4
"""Seconds of silence until the kernel probes a client, seconds between two probes, and number of unanswered probes
after which it is gone: the connection of a telephone that left the network is closed in two minutes.
"""
TIMEOUT_SECONDS = 5.0
"""Timeout in s for the rest of a frame, and for a client that does not read. Silence between frames is allowed."""
MAX_UNSENT = 256 << 10
MAX_WAITING = 256
"""Queued packets of one connection above which it is not read."""
MAX_WAITING_BYTES = 4 << 20


class TcpServer:
    """Listens on a bound socket, and on the same port of ::1.

    `handle`: called when a connection's lane has packets. `fail`: called with the sender of a frame that cannot be
    read. `refused`, `displaced`: connections refused without a free place, or closed to make room for another. `left`:
    called with the sender of a connection that has ended.
    """

    def __init__(
        self,
        sock: socket.socket,
        level: Callable[[str], Level],
        handle: Callable[[Lane], None],
        fail: Callable[[Peer, WireError], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._sock = sock
        self.level, self.handle, self.fail, self.clock = level, handle, fail, clock
        # A dictionary keeps the order of arrival.
        self.connections: dict[TcpConnection, None] = {}
        self.paused: set[TcpConnection] = set()
        self.refused = self.displaced = self.dropped = self.timed_out = 0
        self.left: Callable[[Peer], None] = lambda peer: None
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in (self._sock, *open_ipv6_loopback(self._sock)):
            sock.setblocking(False)
            self._servers.append(await loop.create_server(lambda: TcpConnection(self), sock=sock, backlog=128))

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.end()

    def make_room(self, level: Level) -> bool:
        """Makes room for a connection of `level`, if there is none, by closing one of that level or below: the oldest
        unapproved, else the most silent. Returns whether there is room.
        """
        held = self.held_connections
        if level is Level.HELD and len(held) >= MAX_HELD:
            leaving: TcpConnection | None = held[0]
        elif len(self.connections) < MAX_CONNECTIONS:
            return True
        else:
            below = [c for c in self.connections if c.peer.level <= level]
            leaving = (
                held[0]
                if held
                else min(below, key=lambda c: (c.peer.level, not c.silent, c.last_received), default=None)
            )
        if leaving is None:
            return False
        self.displaced += 1
        leaving.end()
        self.connections.pop(leaving, None)
        return True

    @property
    def held_connections(self) -> list[TcpConnection]:
        """Connections from addresses without approval, oldest first."""
        return [c for c in self.connections if c.peer.level is Level.HELD]

    def update_levels(self) -> None:
        """Updates the level of every connection; closes those whose approval was revoked or has expired."""
        for connection in list(self.connections):
            peer = connection.peer
            before, peer.level = peer.level, self.level(peer.host)
            if peer.level < before:
                connection.end()

    def resume(self) -> None:
        """Continues to read connections whose queued packets have been handled."""
        for connection in list(self.paused):
            connection.resume()

    def sweep(self) -> None:
        """Closes connections that left a frame unfinished or do not read."""
        now = self.clock()
        for connection in list(self.connections):
            if now - connection.stuck_since(now) > TIMEOUT_SECONDS:
                self.timed_out += 1
                connection.end()


class TcpConnection(asyncio.Protocol):
    """One client, and its peer. `last_received`: when it last sent bytes; for one that is held, when it connected."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._framer = Framer()
        self.peer = Peer("", "", Level.HELD, self._send)
        self.lane = self.peer.lane
        self.last_received = self._frame_began = self._blocked = 0.0
        self._full = False
        self._reading = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        level = self._server.level(host)
        if not self._server.make_room(level):
            self._server.refused += 1
            transport.abort()
            return
        transport.set_write_buffer_limits(high=MAX_UNSENT)
        keep_alive(transport.get_extra_info("socket"))
        self.peer.key, self.peer.host, self.peer.level = f"tcp:{host}:{port}", host, level
        self.last_received = self._server.clock()
        self._server.connections[self] = None

    def data_received(self, data: bytes) -> None:
        bad = []
        if self.peer.level is not Level.HELD:
            self.last_received = self._server.clock()
        was_partial = self._framer.partial
        packets = self._framer.feed(data)
        if packets or not was_partial:
            self._frame_began = self._server.clock()
        for packet in packets:
            if isinstance(packet, WireError):
                bad.append(packet)
            else:
                self.lane.put(packet, self.peer)
        if self.lane.queue:
            self._server.handle(self.lane)
        for error in bad:
            self._server.fail(self.peer, error)
        if self._framer.broken:
            self.end()
        elif self._is_overfull() and self._reading and self._transport is not None:
            self._reading = False
            self._server.paused.add(self)
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client has closed its side: queued packets are handled and answered before the connection is closed."""
        if not self.lane.waiting:
            return False
        self._reading = False
        asyncio.get_running_loop().call_later(1.0, self.end)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.peer.link_lost = True
        self._server.connections.pop(self, None)
        self._server.paused.discard(self)
        if self.peer.key:
            self._server.left(self.peer)

    def pause_writing(self) -> None:
        self._full, self._blocked = True, self._server.clock()

    def resume_writing(self) -> None:
        self._full = False

    def resume(self) -> None:
        if not self._reading and not self._is_overfull() and self._transport is not None:
            self._reading = True
            self._server.paused.discard(self)
            if not self._transport.is_closing():
                self._transport.resume_reading()

    @property
    def silent(self) -> bool:
        """Whether the client has not sent anything yet."""
        return not self._framer.framing

    def stuck_since(self, now: float) -> float:
        """Time since which the connection has an unfinished frame or unread replies; `now` when it has neither."""
        since = self._frame_began if self._framer.partial and self._reading else now
        return min(since, self._blocked) if self._full else since

    def end(self) -> None:
        """Sends the remaining replies to clients that read, then closes all connections."""
        self.peer.link_lost = True
        if self._transport is None or self._transport.is_closing():
            return
        if self._full:
            self._transport.abort()
        else:
            self._transport.close()

    def _is_overfull(self) -> bool:
        lane, room = self.lane, self.lane.room
        if room.packets > MAX_WAITING or len(lane.rest) > MAX_WAITING:
            return True
        return room.packets > 4 and room.bytes > MAX_WAITING_BYTES

    def _send(self, packet: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self._full:
            self._server.dropped += 1
            return
        transport.write(self._framer.wrap(packet))


def keep_alive(sock: socket.socket) -> None:
    """Makes the kernel detect a lost client, whether there are replies for it or not."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    unsent = (IDLE + INTERVAL * PROBES) * 1000  # ms; while something is unsent the kernel asks no such questions
    for option, number in (
        ("TCP_KEEPIDLE", IDLE),
        ("TCP_KEEPINTVL", INTERVAL),
        ("TCP_KEEPCNT", PROBES),
        ("TCP_USER_TIMEOUT", unsent),
    ):
        if hasattr(socket, option):  # the last is Linux's own
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), number)
