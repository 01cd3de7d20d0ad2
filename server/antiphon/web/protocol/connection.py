"""One HTTP connection: uvicorn's protocol on h11, with the limits for which it has no settings.

uvicorn reads as much as is sent, waits as long as a client likes, and resets a connection that is closed early. Here
received bytes are handled in turns of `TURN_BYTES`, so that one client cannot block the others; the connection is in
`Connections.waiting` while its client must send or read, and in `Connections.busy` while a handler runs; and what a
refused client still sends is read away for a moment, so that it sees the answer.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

import h11
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from antiphon.io.http_message import Refusal
from antiphon.web.protocol.application import Gate, common_headers, failed
from antiphon.web.protocol.uvicorn_settings import LINGER_SECONDS, QUIET

if TYPE_CHECKING:
    import ssl

    from uvicorn.config import Config
    from uvicorn.server import ServerState

TURN_BYTES = 4096
"""Bytes that are handled in a turn of the event loop: up to 700 chunks."""
LINGER_BYTES = 4 * 1024 * 1024
"""Bytes that a refused client may still send, for `LINGER_SECONDS`, before it is disconnected; most read the answer
only once they have sent their request."""


class ConnectionTurns(Protocol):
    """What a connection uses of all connections; `Connections` says what each is."""

    gate: Gate
    config: Config
    state: ServerState
    tls: ssl.SSLContext | None

    def wait(self, connection: HttpConnection) -> None:
        """Starts the timeout of a connection that waits for its client."""

    def work(self, connection: HttpConnection) -> None:
        """Stops the timeout of a connection while a handler runs for it."""

    def queue(self, connection: HttpConnection) -> None:
        """Queues a connection that has received bytes for a turn."""

    def remove(self, connection: HttpConnection) -> None:
        """Forgets a connection that has ended or become a WebSocket."""

    def may_upgrade(self, scope: MutableMapping[str, Any]) -> bool:
        """Whether a request for a WebSocket may have one; otherwise it is answered as a plain request."""


class _Events(h11.Connection):
    """h11's connection with a limit of chunks per body, and without an event that uvicorn does not handle."""

    def __init__(self, header: int, chunks: int) -> None:
        super().__init__(h11.SERVER, header)
        self._chunks, self.chunk_limit, self.chunks = chunks, chunks, 0
        self.ended = False

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.chunks, self.chunk_limit = 0, self._chunks
        elif isinstance(event, h11.Data):
            self.chunks += event.chunk_start
            if self.chunks > self.chunk_limit:
                raise h11.RemoteProtocolError(f"a request body has at most {self.chunk_limit} chunks", 413)
        elif isinstance(event, h11.ConnectionClosed):
            self.ended = True
            return h11.NEED_DATA
        return event


class _Transport:
    """uvicorn's view of the transport: reading goes on by turns, and `close` first discards what still comes."""

    def __init__(self, transport: asyncio.Transport, owner: HttpConnection) -> None:
        self._transport, self._owner = transport, owner

    def resume_reading(self) -> None:
        self._owner.queue()

    def close(self) -> None:
        self._owner.finish()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class HttpConnection(H11Protocol):
    """The server's end of one connection, also during its TLS handshake."""

    conn: _Events

    def __init__(self, connections: ConnectionTurns) -> None:
        super().__init__(connections.config, connections.state, {"connection": self})
        self._connections, self._gate, self.logger = connections, connections.gate, QUIET
        limits = self._gate.limits
        self.conn = _Events(limits.header, limits.chunks)
        self.access_log = False
        self.opening: asyncio.Task[None] | None = None
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
        super().connection_made(transport)
        self._raw = transport
        self.transport = _Transport(transport, self)  # type: ignore[assignment]
        self.flow = FlowControl(self.transport)

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
        if self._raw is not None and not (self._queued or self._ending or self._upgraded):
            self._queued = True
            self._raw.pause_reading()
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
                self.conn.receive_data(bytes(self._rest[:TURN_BYTES]))
                del self._rest[:TURN_BYTES]
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

    def renew(self) -> None:
        """Begins the client's time anew: a handler that reads its body in pieces needs the next one."""
        if not self._ending and self.conn.their_state is h11.SEND_BODY:
            self._connections.wait(self)

    def work(self) -> None:
        """Stops the client's time: a handler works on a piece of its body."""
        if not self._ending and self.conn.their_state is h11.SEND_BODY:
            self._connections.work(self)

    def allow(self, chunks: int, seconds: float) -> None:
        """Sets limits of the request that is being received: its chunks, and the time between its pieces."""
        self.conn.chunk_limit, self.patience = chunks, seconds

    @property
    def idle(self) -> bool:
        """Whether no request is being received and no answer being sent."""
        unsent = self._raw is not None and self._raw.get_write_buffer_size() > 0
        return self.opening is None and not self.receiving and not self._ending and not unsent

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
        elif self._raw is not None and self.receiving and not unsent and not self._ending:
            self.refuse(
                Refusal(408, f"a request must be complete within {self._gate.limits.request_seconds:g} seconds")
            )
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
        """uvicorn answered a request."""
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
        self.ws_protocol_class = ListenProtocol
        super().handle_websocket_upgrade(event)

    def _begin(self) -> None:
        self.receiving = True
        self.patience = self._gate.limits.request_seconds
        self._connections.wait(self)

    def _failed(self, error: Exception) -> None:
        """Logs an error of our own code in one line, and drops only this connection."""
        failed(self._gate.counters, "an HTTP connection", error)
        self.drop()
