"""One HTTP connection: uvicorn's protocol on h11, with limits of time, size and count.

Received bytes are handled in turns of at most `TURN` pieces, so that one client cannot block the others. The connection
is in `Connections.waiting` while its client must send or read, and in `Connections.busy` while a handler runs; a sweep
closes connections that wait too long.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

import h11
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from antiphon.io.http_message import Refusal, Response
from antiphon.web.protocol.application import headers_of
from antiphon.web.protocol.counters import HttpCounters
from antiphon.web.protocol.guard import Limits
from antiphon.web.protocol.handler_calls import HandlerCalls
from antiphon.web.protocol.uvicorn_settings import LINGER_SECONDS, QUIET

if TYPE_CHECKING:
    import ssl

    from uvicorn.config import Config
    from uvicorn.server import ServerState

log = logging.getLogger("antiphon.http")
TURN = 16
"""Pieces of a request (head, chunk, end) that are handled in a turn."""
LINGER_BYTES = 4 * 1024 * 1024
"""Bytes that a refused client may still send, for `LINGER_SECONDS`, before it is disconnected; most read the answer
only once they have sent their request."""


class ConnectionTurns(Protocol):
    """What a connection uses of all connections; `Connections` says what each is."""

    def wait(self, connection: HttpConnection) -> None:
        """Starts the timeout of a connection that waits for its client."""

    def work(self, connection: HttpConnection) -> None:
        """Stops the timeout of a connection while a handler runs for it."""

    def queue(self, connection: HttpConnection) -> None:
        """Queues a connection that has received bytes for a turn."""

    def remove(self, connection: HttpConnection) -> None:
        """Forgets a connection that has ended or become a WebSocket."""


class ConnectionServer(Protocol):
    """The part of the server that a connection calls."""

    config: Config
    state: ServerState
    limits: Limits
    counters: HttpCounters
    tls: ssl.SSLContext | None

    @property
    def connections(self) -> ConnectionTurns:
        """All connections."""

    @property
    def calls(self) -> HandlerCalls:
        """Answers requests that are refused."""

    def may_listen(self, scope: MutableMapping[str, Any], state: dict[str, Any]) -> bool:
        """Whether a request for a WebSocket may have one."""


class _Events(h11.Connection):
    """h11's connection with a limit of events per turn and of chunks per body."""

    def __init__(self, owner: HttpConnection, header: int, chunks: int) -> None:
        super().__init__(h11.SERVER, header)
        self._owner, self._chunks, self.chunk_limit = owner, chunks, chunks
        self.left = self.chunks = 0
        self.exhausted = False

    def begin_turn(self) -> None:
        self.left, self.exhausted = TURN, False

    def next_event(self) -> Any:
        if self.left == 0:
            self.exhausted = True
            return h11.NEED_DATA
        self.left -= 1
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.chunks, self.chunk_limit = 0, self._chunks
            self._owner.asked(event.target)
        elif isinstance(event, h11.Data):
            self.chunks += event.chunk_start
            if self.chunks > self.chunk_limit:
                raise h11.RemoteProtocolError(f"a request body has at most {self.chunk_limit} chunks", 413)
        elif isinstance(event, h11.EndOfMessage):
            self._owner.complete()
        elif isinstance(event, h11.ConnectionClosed):
            self._owner.ended = True
            return h11.NEED_DATA  # uvicorn does not handle ConnectionClosed
        return event


class _Lingering:
    """A transport whose `close` first discards what the client still sends; everything else is the transport's."""

    def __init__(self, transport: asyncio.Transport, owner: HttpConnection) -> None:
        self._transport, self._owner = transport, owner

    def close(self) -> None:
        self._owner.finish()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class HttpConnection(H11Protocol):
    """The server's end of one connection, also during its TLS handshake."""

    conn: _Events

    def __init__(self, server: ConnectionServer) -> None:
        super().__init__(server.config, server.state, {"connection": self})
        self._server, self._connections, self.logger = server, server.connections, QUIET
        self.conn = _Events(self, server.limits.header, server.limits.chunks)
        self.opening: asyncio.Task[None] | None = None
        self.task: asyncio.Task[Any] | None = None
        self.patience = server.limits.idle_seconds
        self.served = 0
        self.ended = self.upgraded = False
        self._raw: asyncio.Transport | None = None
        self._receiving = self._ending = self._queued = self._answered_full = False
        self._discarded = self._unsent = 0
        self._linger: asyncio.TimerHandle | None = None

    # what the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._raw = transport
        self.transport = _Lingering(transport, self)  # type: ignore[assignment]
        self.access_log = False

    def data_received(self, data: bytes) -> None:
        if self._ending:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.drop()
            return
        if not self._receiving:
            self._begin()
        self.conn.receive_data(data)
        self._soon()

    def eof_received(self) -> bool:  # type: ignore[override]
        if self._ending:
            return False
        self.conn.receive_data(b"")
        self._soon()
        return self._server.tls is None  # TLS closes both ways at once

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._answered_full and not self._ending:
            self._answered_full = False
            self._next_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = True
        if self._linger is not None:
            self._linger.cancel()
        super().connection_lost(exc)
        if self.task is not None:
            self.task.cancel()
        self._connections.remove(self)

    # what the server calls

    def turn(self) -> None:
        """Handles at most `TURN` events of the bytes received so far."""
        self._queued = False
        if self._ending or self.upgraded:
            return
        self.conn.begin_turn()
        try:
            self.handle_events()
        except Exception as error:
            self._failed(error)
            return
        if self._ending or self.upgraded:
            return
        if self.ended:
            self.finish()
        elif self.conn.exhausted:
            self._soon()
        elif self.conn.their_state is not h11.DONE and not self._full():
            self.flow.resume_reading()

    def renew(self) -> None:
        """Begins the client's time anew: a handler that reads its body in pieces needs the next one."""
        if not self._ending and self.conn.their_state is h11.SEND_BODY:
            self._connections.wait(self)

    @property
    def idle(self) -> bool:
        """Whether no request is being received and no answer being sent."""
        unsent = self._raw is not None and self._raw.get_write_buffer_size() > 0
        return self.opening is None and not self._receiving and not self._ending and not unsent

    def work(self) -> None:
        """Stops the client's time: a handler works on a piece of its body."""
        if not self._ending and self.conn.their_state is h11.SEND_BODY:
            self._connections.work(self)

    def allow(self, chunks: int, seconds: float) -> None:
        """Sets limits of the request that is being received: its chunks, and the time between its pieces."""
        self.conn.chunk_limit, self.patience = chunks, seconds

    def drop(self) -> None:
        """Aborts the connection."""
        self._ending = True
        self._connections.remove(self)
        if self._raw is not None:
            self._raw.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def expire(self) -> None:
        """Handles a client's timeout: answers 408, drops the connection, or waits on while it reads an answer."""
        unsent = self._raw.get_write_buffer_size() if self._raw is not None else 0
        if 0 < unsent < self._unsent:  # it reads, slowly
            self._unsent = unsent
            self._connections.wait(self)
        elif self._raw is not None and self._receiving and not unsent and not self._ending:
            seconds = self._server.limits.request_seconds
            self.refuse(Refusal(408, f"a request must be complete within {seconds:g} seconds"))
        else:
            self.drop()

    # a request

    def asked(self, target: bytes) -> None:
        """A request's head was received; keeps its whole target for the guard, for uvicorn cuts it at the first "?"."""
        self._server.counters.requests += 1
        self.served += 1
        self.app_state["target"] = target
        self.app_state["last"] = self.served >= self._server.limits.requests

    def complete(self) -> None:
        """A request was received in full: from here on the handler's time limit applies, not the client's."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE, h11.SEND_BODY):
            self._connections.work(self)

    def on_response_complete(self) -> None:
        """uvicorn answered a request."""
        if self._ending or self.transport.is_closing():
            return
        assert self._raw is not None
        self._unsent = self._raw.get_write_buffer_size() + 1
        self._receiving = False
        self.patience = self._server.limits.idle_seconds
        self._connections.wait(self)
        self.task = None
        if self.flow.write_paused:
            self._answered_full = True  # the client must read this answer before its next request is handled
        else:
            self._next_request()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn where h11 refused the bytes received."""
        error = sys.exception()
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
            self.refuse(Refusal(431, "the request header is too large"))
        elif isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 413:
            self.refuse(Refusal(413, str(error)))
        else:
            self.refuse(Refusal(400, f"this is not an HTTP/1.1 request ({error or msg})"))

    def _should_upgrade(self) -> bool:
        return self._get_upgrade() == b"websocket" and self._server.may_listen(dict(self.scope), self.app_state)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Turns the connection into a WebSocket."""
        from antiphon.web.protocol.websocket import ListenProtocol  # a fifth of the process's memory: only where needed

        assert self._raw is not None
        self.upgraded = True
        self.flow.resume_reading()
        self._connections.remove(self)
        self.transport = self._raw
        self.ws_protocol_class = ListenProtocol
        super().handle_websocket_upgrade(event)

    def refuse(self, refusal: Refusal) -> None:
        """Answers a request that is not acted on, and closes: its framing may be wrong, so no other can follow."""
        try:
            if self.cycle is not None:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            response = self._server.calls.refused(refusal)
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                self._respond(response)
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
        if self.ended or self.conn.their_state in (h11.MUST_CLOSE, h11.CLOSED):
            raw.close()
            return
        self.flow.resume_reading()
        try:
            if raw.can_write_eof():
                raw.write_eof()
            self._linger = self.loop.call_later(LINGER_SECONDS, self.drop)
        except OSError:
            self.drop()  # the client has disconnected

    def _full(self) -> bool:
        """Whether a handler has yet to take pieces of the body; uvicorn reads on when it does."""
        return self.cycle is not None and len(self.cycle.body) > HIGH_WATER_LIMIT

    def _begin(self) -> None:
        self._receiving = True
        self.patience = self._server.limits.request_seconds
        self._connections.wait(self)

    def _next_request(self) -> None:
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.DONE:
            self.conn.start_next_cycle()
        if self.conn.trailing_data[0]:
            self._begin()
        self._soon()

    def _soon(self) -> None:
        self.flow.pause_reading()
        if not self._queued:
            self._queued = True
            self._connections.queue(self)

    def _respond(self, response: Response) -> None:
        assert self._raw is not None
        silent = self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD"
        head = self.conn.send(
            h11.Response(
                status_code=response.status,
                headers=headers_of(response, last=True),
                reason=STATUS_PHRASES[response.status],
            )
        ) or b""  # fmt: skip
        body = b"" if silent or not response.body else self.conn.send(h11.Data(data=response.body)) or b""
        self._raw.write(head + body + (self.conn.send(h11.EndOfMessage()) or b""))

    def _failed(self, error: Exception) -> None:
        """Logs an error of our own code in one line, and drops only this connection."""
        self._server.counters.errors += 1
        log.error("an HTTP connection failed: %s: %s", type(error).__name__, " ".join(str(error).split())[:500])
        self.drop()
