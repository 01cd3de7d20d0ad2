"""HTTP connections: uvicorn's protocol on h11, with the limits for which it has no settings.

uvicorn reads as much as is sent, waits as long as a client likes, and resets a connection that is closed early. Here
received bytes are handled in turns of `TURN_BYTES`, so that one client cannot block the others; connections whose
client sends or reads too slowly are closed by a sweep, the one that has waited longest makes room for a new one; and
what a refused client still sends is read away for a moment, so that it sees the answer.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import h11
from starlette.types import ASGIApp, Scope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from antiphon.io.http_message import Refusal
from antiphon.web.protocol.gate import RequestGate, common_headers, count_failure
from antiphon.web.protocol.limits import LINGER_SECONDS, QUIET
from antiphon.web.protocol.uvicorn_parts import BoundedEvents, PacedTransport

if TYPE_CHECKING:
    from antiphon.web.protocol.websocket import ListenProtocol

TURN_BYTES = 4096
"""Bytes of heads and chunks that are handled in a turn: up to 700 chunks."""
BUDGET = 0.002
"""Seconds of connections' turns before the event loop handles sockets and timers."""
LINGER_BYTES = 4 * 1024 * 1024
"""Bytes that a refused client may still send, for `LINGER_SECONDS`, before it is disconnected; most read the answer
only once they have sent their request."""
SWEEP_SECONDS = 0.1
BACKLOG = 256
"""Connections that the system accepts before the server does."""


class HttpConnection(H11Protocol):
    """The server's end of one connection, also during its TLS handshake."""

    conn: BoundedEvents

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections.config, connections.state, {"connection": self})
        self._connections, self._gate, self.logger = connections, connections.gate, QUIET
        limits = self._gate.limits
        self.conn = BoundedEvents(limits.header, limits.chunks)
        self.access_log = False
        self._opening: asyncio.Task[None] | None = None
        self.task: asyncio.Task[Any] | None = None
        self.patience = limits.idle_seconds
        self.served = 0
        self.receiving = False
        self._raw: asyncio.Transport | None = None
        self._rest = bytearray()
        self._ending = self._upgraded = self._queued = self._eof = False
        self._discarded = self._unsent = 0
        self._linger: asyncio.TimerHandle | None = None

    # what the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._raw = transport
        if not self._connections.admit(self):
            transport.abort()
        elif self._connections.tls is None:
            self._open(transport)
        else:
            transport.pause_reading()
            self._opening = self.loop.create_task(self._secure(transport, self._connections.tls))

    async def _secure(self, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        """Does the TLS handshake."""
        seconds = self._gate.limits.request_seconds
        try:
            secured = await self.loop.start_tls(
                transport, self, tls, server_side=True, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=1.0
            )
        except (OSError, TimeoutError):  # it failed, or the client disconnected
            self._gate.counters.refused += 1
            self._connections.remove(self)
            return
        self._opening = None
        assert secured is not None
        self._open(secured)

    def _open(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._raw = transport
        self.transport = PacedTransport(transport, self.queue, self.finish)  # type: ignore[assignment]
        self.flow = FlowControl(self.transport)
        if self._rest:  # came with the end of the handshake
            self.queue()

    def data_received(self, data: bytes) -> None:
        if self._ending:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.drop()
            return
        if not self.receiving:
            self._begin()
        self._rest += data
        self.queue()

    def eof_received(self) -> bool:  # type: ignore[override]
        self._eof = True
        self.queue()
        return not self._ending and self._connections.tls is None  # TLS closes both ways at once

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.receiving:  # its answer is read, so its next request is handled
            self.queue()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = True
        if self._linger is not None:
            self._linger.cancel()
        super().connection_lost(exc)
        if self.task is not None:
            self.task.cancel()
        self._connections.remove(self)

    # what the server calls

    def queue(self) -> None:
        """Takes a turn soon, and reads no more before it."""
        if self.transport is not None and not (self._queued or self._ending or self._upgraded):
            self._queued = True
            self.transport.pause_reading()
            self._connections.queue(self)

    def turn(self) -> None:
        """Handles at most `TURN_BYTES` of what was received, unless uvicorn waits for a handler or a client."""
        self._queued = False
        if self._ending or self._upgraded or self.flow.read_paused or (self.flow.write_paused and not self.receiving):
            return
        assert self._raw is not None
        try:
            if self.conn.our_state is h11.DONE and self.conn.their_state is h11.DONE:
                self.conn.start_next_cycle()
                if self._rest or self.conn.trailing_data[0]:
                    self._begin()
            if self._rest:
                plain = self.conn.their_state is h11.SEND_BODY and not self.conn.chunked
                size = len(self._rest) if plain else TURN_BYTES
                self.conn.receive_data(bytes(self._rest[:size]))
                del self._rest[:size]
            elif self._eof:
                self.conn.receive_data(b"")
            self.handle_events()
        except Exception as error:
            self._failed(error)
            return
        if self._ending or self._upgraded:
            return
        if self.conn.their_state in (h11.DONE, h11.MUST_CLOSE) and self.receiving:
            self._connections.work(self)  # from here on the handler's time limit applies, not the client's
        if self.conn.ended and self.conn.our_state not in (h11.SEND_RESPONSE, h11.SEND_BODY):
            self.finish()
        elif self._rest and not self.flow.read_paused:
            self.queue()
        elif not self._rest and not self.flow.read_paused:
            self._raw.resume_reading()

    def body_time(self, *, client: bool) -> None:
        """Says whose time runs while a body is read in pieces: the client's, which must send the next one, or no one's,
        as the handler works.
        """
        if not self._ending and self.conn.their_state is h11.SEND_BODY:
            (self._connections.wait if client else self._connections.work)(self)

    @property
    def idle(self) -> bool:
        """Whether no request is being received and no answer being sent."""
        unsent = self._raw is not None and self._raw.get_write_buffer_size() > 0
        return self._opening is None and not self.receiving and not self._ending and not unsent

    def drop(self) -> None:
        """Aborts the connection."""
        self._ending = True
        self._connections.remove(self)
        if self._raw is not None:
            self._raw.abort()

    def expire(self) -> None:
        """Handles a client's timeout: answers 408, drops the connection, or waits on while it reads an answer."""
        unsent = self._raw.get_write_buffer_size() if self._raw is not None else 0
        if 0 < unsent < self._unsent:  # it reads, slowly
            self._unsent = unsent
            self._connections.wait(self)
        elif self.transport is not None and self.receiving and not unsent and not self._ending:
            seconds = self._gate.limits.request_seconds
            self.refuse(Refusal(408, f"a request must be complete within {seconds:g} seconds"))
        else:
            self.drop()

    def refuse(self, refusal: Refusal) -> None:
        """Answers a request that is not acted on, and closes: its framing may be wrong, so no other can follow."""
        try:
            if self.cycle is not None:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            response = self._gate.refused(refusal)
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                head = [("Content-Type", response.type), ("Content-Length", str(len(response.body))), *response.headers]
                fields = [*common_headers(True), *((name.encode(), value.encode()) for name, value in head)]
                reason = STATUS_PHRASES[response.status]
                sent = h11.Response(status_code=response.status, headers=fields, reason=reason)
                silent = self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD"
                body = [] if silent else [h11.Data(data=response.body)]
                for event in (sent, *body, h11.EndOfMessage()):
                    self.transport.write(self.conn.send(event) or b"")
            self.finish()
        except Exception as error:
            self._failed(error)

    def finish(self) -> None:
        """Closes the connection once what was written is sent.

        Closing with bytes unread would reset the connection, and the client might never see the answer; so they are
        discarded for up to `LINGER_SECONDS` before.
        """
        raw = self._raw
        if self._ending or raw is None:
            return
        self._ending = True
        self._connections.wait(self)
        if self.conn.ended or self._eof or (not self._rest and self.conn.their_state in (h11.MUST_CLOSE, h11.CLOSED)):
            raw.close()
            return
        raw.resume_reading()
        try:
            if raw.can_write_eof():
                raw.write_eof()
            self._linger = self.loop.call_later(LINGER_SECONDS, self.drop)
        except OSError:
            self.drop()  # the client has disconnected

    # what uvicorn calls

    def on_response_complete(self) -> None:
        """Called by uvicorn when a request is answered."""
        if self._ending or self.transport.is_closing():
            return
        assert self._raw is not None
        self._unsent = self._raw.get_write_buffer_size() + 1
        self.receiving, self.task, self.patience = False, None, self._gate.limits.idle_seconds
        self._connections.wait(self)
        self.flow.resume_reading()
        self.queue()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn where h11 refused the bytes received."""
        error = sys.exception()
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        known = {413: str(error), 431: "the request header is too large"}
        status = hint if hint in known else 400
        self.refuse(Refusal(status, known.get(status, f"this is not an HTTP/1.1 request ({error or msg})")))

    def _should_upgrade(self) -> bool:
        return self._get_upgrade() == b"websocket" and self._connections.may_upgrade(dict(self.scope))

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Turns the connection into a WebSocket."""
        from antiphon.web.protocol.websocket import ListenProtocol  # a fifth of the process's memory: only where needed

        assert self._raw is not None
        self._upgraded = True
        self._raw.resume_reading()
        self._connections.remove(self)
        self.transport = self._raw
        self.ws_protocol_class = partial(ListenProtocol, self._connections.queue)  # type: ignore[assignment]
        super().handle_websocket_upgrade(event)

    def _begin(self) -> None:
        self.receiving = True
        self.patience = self._gate.limits.request_seconds
        self._connections.wait(self)

    def _failed(self, error: Exception) -> None:
        """Logs an error of our own code in one line, and drops only this connection."""
        count_failure(self._gate.counters, "an HTTP connection", error)
        self.drop()


class Connections:
    """All connections of a server.

    Args:
        app: The ASGI application.
        gate: Their limits and counters.
        may_upgrade: Whether a request for a WebSocket may have one; otherwise it is answered as a plain request.

    Attributes:
        waiting: Connections for which no handler runs, with the time since when, longest first.
        busy: Connections for which a handler runs.
        tls: Context for HTTPS; None for HTTP.
        config, state: Of uvicorn.
    """

    def __init__(self, app: ASGIApp, gate: RequestGate, may_upgrade: Callable[[Scope], bool]) -> None:
        self.gate, self.may_upgrade = gate, may_upgrade
        self.tls: ssl.SSLContext | None = None
        self.state = ServerState()
        seconds = gate.limits.idle_seconds
        settings: dict[str, Any] = {"lifespan": "off", "log_config": None, "access_log": False, "proxy_headers": False}
        websockets: dict[str, Any] = {"ws": "none", "ws_max_size": 4096, "ws_per_message_deflate": False}
        websockets |= {"ws_ping_interval": seconds, "ws_ping_timeout": seconds}
        self.config = Config(app, **settings, **websockets)
        self.waiting: dict[HttpConnection, float] = {}
        self.busy: set[HttpConnection] = set()
        # half of the descriptors, where there are few: the rest is for what handlers open, and for what is accepted
        self._most = min(gate.limits.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._turns: deque[HttpConnection | ListenProtocol] = deque()
        self._servers: list[asyncio.Server] = []
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """Number of open connections."""
        return len(self.waiting) + len(self.busy)

    async def accept(self, listener: socket.socket) -> None:
        """Accepts connections from now on, by a socket that `close_port` closes."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: HttpConnection(self), sock=listener, backlog=BACKLOG)
        self._servers.append(server)
        if self._sweep is None:
            self._sweep_up()

    def close_port(self) -> None:
        """Accepts no more connections; open ones continue."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def stop(self) -> None:
        """Closes every connection and the port, and cancels the handlers that still run."""
        self.close_port()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in [*self.waiting, *self.busy]:
            connection.drop()
        tasks = list(self.state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the dropped connections' sockets close

    # what a connection calls

    def admit(self, connection: HttpConnection) -> bool:
        """Takes a new connection, in place of the one that has waited longest; False where a handler runs for each."""
        if self.count >= self._most:
            self.gate.counters.dropped += 1
            if not self.waiting:
                return False
            next(iter(self.waiting)).drop()
        self.wait(connection)
        return True

    def wait(self, connection: HttpConnection) -> None:
        """Starts the timeout of a connection that waits for its client."""
        self.remove(connection)
        self.waiting[connection] = asyncio.get_running_loop().time()

    def work(self, connection: HttpConnection) -> None:
        """Stops the timeout of a connection while a handler runs for it."""
        self.waiting.pop(connection, None)
        self.busy.add(connection)

    def queue(self, connection: HttpConnection | ListenProtocol) -> None:
        """Queues a connection that has received bytes for a turn."""
        self._turns.append(connection)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self._take_turns)

    def remove(self, connection: HttpConnection) -> None:
        """Forgets a connection that has ended or become a WebSocket."""
        self.waiting.pop(connection, None)
        self.busy.discard(connection)

    def _sweep_up(self) -> None:
        loop, limits = asyncio.get_running_loop(), self.gate.limits
        self._sweep = loop.call_later(SWEEP_SECONDS, self._sweep_up)
        now = loop.time()
        for connection, since in list(self.waiting.items()):
            if now - since < min(limits.request_seconds, limits.idle_seconds):
                break
            if now - since >= connection.patience:
                self.gate.counters.timeouts += 1
                connection.expire()

    def _take_turns(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + BUDGET
        try:
            while self._turns and loop.time() < end:
                try:
                    self._turns[0].turn()
                finally:
                    self._turns.popleft()
        finally:
            if self._turns:
                loop.call_soon(self._take_turns)
