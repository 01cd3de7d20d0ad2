"""OSC over TCP, length-prefixed or SLIP, answered in kind. Everything a connection can grow is bounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from time import monotonic

from antiphon.control.clients import Level, Peer
from antiphon.control.lanes import Lane
from antiphon.errors import WireError
from antiphon.wire.frames import Framer

MAX_CONNECTIONS = 256
PATIENCE = 5.0
"""Seconds for the rest of a frame, and for a reader that does not read. Who is silent between frames may stay."""
MAX_UNSENT = 256 << 10
MAX_WAITING = 256
"""Packets of one connection that wait to be handled before it is read no further."""
MAX_WAITING_BYTES = 4 << 20


class TcpServer:
    """Listens on a bound socket.

    handle: a connection's lane has packets.  fail: a frame that cannot be read, to its sender.
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
        self.connections: dict[Connection, None] = {}
        self.paused: set[Connection] = set()
        self.refused = self.dropped_silent = self.dropped = self.timed_out = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._sock.setblocking(False)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), sock=self._sock, backlog=128)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.end()

    def make_room(self) -> bool:
        """Whether one more fits; one that never said anything gives up its place."""
        if len(self.connections) < MAX_CONNECTIONS:
            return True
        silent = next((c for c in self.connections if c.silent), None)
        if silent is None:
            return False
        self.dropped_silent += 1
        silent.end()
        self.connections.pop(silent, None)
        return True

    def judge(self) -> None:
        for connection in self.connections:
            connection.peer.level = self.level(connection.peer.host)

    def resume(self) -> None:
        """Reads on where packets waited and were handled meanwhile."""
        for connection in list(self.paused):
            connection.resume()

    def sweep(self) -> None:
        """Closes those that left a frame unfinished or do not read."""
        now = self.clock()
        for connection in list(self.connections):
            if now - connection.stuck_since(now) > PATIENCE:
                self.timed_out += 1
                connection.end()


class Connection(asyncio.Protocol):
    """One client. Its peer lives as long as it does."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._framer = Framer()
        self.peer = Peer("", "", Level.HELD, self._send)
        self.lane = self.peer.lane
        self._frame_began = self._blocked = 0.0
        self._full = False
        self._reading = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._server.make_room():
            self._server.refused += 1
            transport.abort()
            return
        transport.set_write_buffer_limits(high=MAX_UNSENT)
        host, port = transport.get_extra_info("peername")[:2]
        self.peer.key, self.peer.host = f"tcp:{host}:{port}", host
        self.peer.level = self._server.level(host)
        self._server.connections[self] = None

    def data_received(self, data: bytes) -> None:
        bad = []
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
        elif self._overfull() and self._reading and self._transport is not None:
            self._reading = False
            self._server.paused.add(self)
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client will say no more. What it said is handled and answered before the connection closes."""
        if not self.lane.waiting:
            return False
        self._reading = False
        asyncio.get_running_loop().call_later(1.0, self.end)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.peer.link_lost = True
        self._server.connections.pop(self, None)
        self._server.paused.discard(self)

    def pause_writing(self) -> None:
        self._full, self._blocked = True, self._server.clock()

    def resume_writing(self) -> None:
        self._full = False

    def resume(self) -> None:
        if not self._reading and not self._overfull() and self._transport is not None:
            self._reading = True
            self._server.paused.discard(self)
            if not self._transport.is_closing():
                self._transport.resume_reading()

    @property
    def silent(self) -> bool:
        """It has not said anything yet."""
        return not self._framer.framing

    def stuck_since(self, now: float) -> float:
        """Since when this connection has kept us waiting; `now` when it does not."""
        since = self._frame_began if self._framer.partial and self._reading else now
        return min(since, self._blocked) if self._full else since

    def end(self) -> None:
        """Sends what is still unsent to those that read, then closes."""
        self.peer.link_lost = True
        if self._transport is None or self._transport.is_closing():
            return
        if self._full:
            self._transport.abort()
        else:
            self._transport.close()

    def _overfull(self) -> bool:
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
