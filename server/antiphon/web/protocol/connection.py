"""HTTP/1.1 connections on h11: each is a coroutine that receives a request, calls the application and repeats.

Received bytes are parsed in turns of `TURN_BYTES`, one turn in a pass of the event loop, so that no client blocks the
others. Every wait for a client has a timeout; the longest waiting connection is dropped for a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Scope
from wsproto.utilities import RemoteProtocolError

from antiphon.kernel.runtime.platform import most_open_files
from antiphon.web.http_message import HttpRefusal
from antiphon.web.protocol.guard import RequestGate, common_headers, count_failure, fields
from antiphon.web.protocol.websocket import ServeWebSocket, WebSocket

TURN_BYTES = 4096
"""Bytes of a head, or of a chunked body, parsed in a turn: up to 700 chunks."""
PIECE_BYTES = 64 * 1024
"""Bytes of a body of known length read in a turn."""
SEND_SECONDS = 30.0
"""Timeout in seconds for a client to read a piece of a response."""
_PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port takes HTTPS: begin the address with https://\n"
)
LINGER_SECONDS = 1.0
"""Seconds in which a client may still send after its answer: most clients read it only after sending everything."""
BACKLOG = 256
"""Connections accepted by the system before the server does."""


class HttpConnection(asyncio.StreamReaderProtocol):
    """The server's end of one connection, also during its TLS handshake.

    `piece_seconds`: timeout for each piece of its body; 0 if `Limits.request_seconds` applies to the whole body.
    """

    transport: asyncio.Transport

    def __init__(self, connections: Connections) -> None:
        self._received = asyncio.StreamReader(PIECE_BYTES)
        super().__init__(self._received, self._open)
        self._connections, self._gate, self.limits = connections, connections.gate, connections.gate.limits
        self._conn = h11.Connection(h11.SERVER, self.limits.header)
        self.task: asyncio.Task[Any] | None = None
        self.receiving = True
        self.started = self.complete = self._chunked = self._silent = False
        self.chunks_left = self._served = 0
        self.piece_seconds = self._until = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(1, 0)  # so that `drain` waits until the system has taken all
        if self._connections.admit(self):
            self._wait(self.limits.idle_seconds)
            super().connection_made(transport)
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._connections.remove(self)
        if self.task is not None:
            self.task.cancel()

    def drop(self) -> None:
        """Aborts the connection and its running handler."""
        self._connections.remove(self)
        self.transport.abort()

    def _open(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.task = asyncio.get_running_loop().create_task(self._serve())
        self._connections.tasks.add(self.task)
        self.task.add_done_callback(self._connections.tasks.discard)

    async def _serve(self) -> None:
        try:
            if await self._secure():
                while await self._request():
                    self._conn.start_next_cycle()
                await self._finish()
        except (ClientDisconnect, OSError):
            pass
        except Exception as error:  # of our own code: it ends this connection alone
            count_failure(self._gate.counters, "an HTTP connection", error)
        finally:
            self.drop()

    async def _secure(self) -> bool:
        """Performs the TLS handshake, if there is TLS; True if it succeeded."""
        if self._connections.tls is not None:
            # a duplicate, since the transport is closed if the handshake fails
            with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as plain:
                try:
                    seconds = self.limits.request_seconds
                    await self._writer.start_tls(self._connections.tls, ssl_handshake_timeout=seconds)
                except (OSError, TimeoutError) as error:
                    self._gate.counters.refused += 1
                    if getattr(error, "reason", "") == "HTTP_REQUEST":
                        plain.send(_PLAIN_HTTP)
                    return False
            self.transport = self._writer.transport  # type: ignore[assignment]
            self.transport.set_write_buffer_limits(1, 0)
        return True

    async def _request(self) -> bool:
        """Receives and answers a request; True if another may follow."""
        limits = self.limits
        self.started = self.complete = self._silent = False
        self.chunks_left, self.piece_seconds = limits.chunks, 0.0
        self.receiving = bool(self._conn.trailing_data[0])  # sent before the last request was answered
        self._wait(limits.request_seconds if self.receiving else limits.idle_seconds)
        try:
            head = await self._next()
            if not isinstance(head, h11.Request):
                return False
        except HttpRefusal as refusal:  # its framing may be wrong, so no other can follow
            await self._refuse(refusal)
            return False
        self._served += 1
        self._silent = head.method == b"HEAD"
        self._chunked = any(name == b"transfer-encoding" for name, _ in head.headers)
        scope = self._scope(head)
        if _asks_websocket(head) and (serve := self._connections.websocket_of(scope)) is not None:
            await self._serve_websocket(head, serve)
            return False
        await self._connections.app(scope, self._receive, self._send)
        return self._conn.our_state is h11.DONE and self._conn.their_state is h11.DONE

    def _scope(self, head: h11.Request) -> Scope:
        path, _, query = head.target.partition(b"?")
        return {
            "type": "http",
            # by older versions a file's handler would listen for the client's end, in the time of the next request
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": head.http_version.decode(),
            "method": head.method.decode(),
            "scheme": "https" if self._connections.tls else "http",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(head.headers),
            "server": self.transport.get_extra_info("sockname")[:2],
            "client": self.transport.get_extra_info("peername")[:2],
            "state": {"connection": self},
        }

    async def _serve_websocket(self, head: h11.Request, serve: ServeWebSocket) -> None:
        one = WebSocket(self._received, self._writer, self._connections.turn, self.limits.idle_seconds)
        try:
            one.accept(head, self._conn.trailing_data[0])
        except RemoteProtocolError as error:
            await self._refuse(HttpRefusal(400, f"this is not a request for a WebSocket ({error})"))
            return
        self._connections.remove(self)
        await serve(one)
        one.close()

    # what is received

    async def _receive(self) -> Message:
        """ASGI receive: the next piece of the body. The client's timeout applies meanwhile, then the handler's."""
        if self._conn.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
        if self.piece_seconds:
            self._wait(self.piece_seconds)
        body = await self._next()
        if self.complete or self.piece_seconds:
            self._connections.work(self)
        return {"type": "http.request", "body": body, "more_body": not self.complete}

    async def _next(self) -> h11.Request | bytes | None:
        """A request's head, or a piece of its body; None if no further request comes.

        Raises HttpRefusal: it is malformed or too late. Raises ClientDisconnect: the client is silent, or its body ends
        too early.
        """
        try:
            while True:
                async with self._connections.turn:
                    found = self._parse_event()
                    await asyncio.sleep(0)
                if not isinstance(found, type):
                    return found
                plain = self._conn.their_state is h11.SEND_BODY and not self._chunked
                async with asyncio.timeout_at(self._until):
                    data = await self._received.read(PIECE_BYTES if plain else TURN_BYTES)
                if not self.receiving and data:
                    self.receiving = True
                    self._wait(self.limits.request_seconds)
                if not data and self._conn.their_state is h11.SEND_BODY:
                    raise ClientDisconnect
                self._conn.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise _malformed(error) from None
        except TimeoutError:
            self._gate.counters.timeouts += 1
            if not self.receiving:
                raise ClientDisconnect from None
            seconds = self.limits.request_seconds
            raise HttpRefusal(408, f"a request must be complete within {seconds:g} seconds") from None

    def _parse_event(self) -> h11.Request | bytes | type[h11.NEED_DATA] | None:
        """Next parsed event of `_next`, from the buffered bytes; `h11.NEED_DATA` if they are incomplete."""
        body = bytearray()
        while True:
            event = self._conn.next_event()
            if isinstance(event, h11.Data):
                self.chunks_left -= event.chunk_start
                if self.chunks_left < 0:
                    raise h11.RemoteProtocolError("a request body has too many chunks", 413)
                body += event.data
            elif isinstance(event, h11.Request):
                return event
            elif event is h11.NEED_DATA:
                return bytes(body) or h11.NEED_DATA
            else:
                self.complete = isinstance(event, h11.EndOfMessage)
                return bytes(body) if self.complete else None

    # what is sent

    async def _send(self, message: Message) -> None:
        """ASGI send: sends a part of the response, and waits until the system has taken it."""
        last = False
        if message["type"] == "http.response.start":
            self.started = True
            # the unread rest of a body would be parsed as the next request
            closes = self._served >= self.limits.requests or not self.complete
            header = [*common_headers(closes), *message["headers"]]
            phrase = HTTPStatus(message["status"]).phrase.encode()
            self._write(h11.Response(status_code=message["status"], headers=header, reason=phrase))
        else:
            last = not message.get("more_body", False)
            if not self._silent:
                self._write(h11.Data(data=message.get("body", b"")))
            if last:
                self._write(h11.EndOfMessage())
        await self._wait_until_sent(last)

    def _write(self, event: Any) -> None:
        data = self._conn.send(event)
        if self.transport.is_closing():
            raise ClientDisconnect
        self._writer.write(data or b"")

    async def _wait_until_sent(self, last: bool) -> None:
        """Waits until the system has taken the sent bytes; after the `last` piece the handler counts as finished."""
        if last:
            self._connections.wait(self)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._writer.drain()
        except TimeoutError:
            self._gate.counters.timeouts += 1
            raise ClientDisconnect from None

    async def _refuse(self, refusal: HttpRefusal) -> None:
        response = self._gate.refuse(refusal)
        head = [("Content-Type", response.type), ("Content-Length", str(len(response.body))), *response.headers]
        header = [(name.encode(), value.encode()) for name, value in head]
        await self._send({"type": "http.response.start", "status": response.status, "headers": header})
        await self._send({"type": "http.response.body", "body": response.body})

    async def _finish(self) -> None:
        """Closes the connection.

        Closing with bytes unread would reset it, and the client might never see the answer; so the rest is read and
        discarded for up to `LINGER_SECONDS` before. A TLS client that has stopped sending recognises the end only by
        the close.
        """
        self._connections.wait(self)
        if self._conn.their_state is not h11.MUST_CLOSE or self._writer.can_write_eof():
            if self._writer.can_write_eof():
                self._writer.write_eof()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):
                    while await self._received.read(PIECE_BYTES):
                        pass
        self._writer.close()
        await asyncio.sleep(LINGER_SECONDS)  # `connection_lost` ends it

    @property
    def idle(self) -> bool:
        """True if no request is being received and no answer being sent."""
        return self.task is not None and not self.receiving

    def _wait(self, seconds: float) -> None:
        self._until = asyncio.get_running_loop().time() + seconds
        self._connections.wait(self)


class Connections:
    """All connections of a server.

    `websocket_of`: returns the handler of a request's WebSocket; None if it is answered as a plain request.
    """

    def __init__(self, app: ASGIApp, gate: RequestGate, websocket_of: Callable[[Scope], ServeWebSocket | None]) -> None:
        self.app, self.gate, self.websocket_of = app, gate, websocket_of
        self.tls: ssl.SSLContext | None = None  # context for HTTPS; None for HTTP
        self.turn = asyncio.Lock()
        self.waiting: dict[HttpConnection, None] = {}
        self.busy: set[HttpConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        # a third of the descriptors, where there are few: a TLS handshake holds two, and handlers open others
        self._most = min(gate.limits.connections, most_open_files() // 3)
        self._servers: list[asyncio.Server] = []

    @property
    def count(self) -> int:
        """Number of open connections without WebSockets."""
        return len(self.waiting) + len(self.busy)

    async def accept(self, listener: socket.socket) -> None:
        """Accepts connections from now on, on a socket that `close_port` closes."""
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(lambda: HttpConnection(self), sock=listener, backlog=BACKLOG))

    def close_port(self) -> None:
        """Stops accepting connections; open ones continue."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def stop(self) -> None:
        """Closes every connection and the port, and cancels the handlers that still run."""
        self.close_port()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # what a connection calls

    def admit(self, connection: HttpConnection) -> bool:
        """Admits a new connection, in place of the longest waiting one; False if all have a running handler."""
        if self.count >= self._most:
            self.gate.counters.dropped += 1
            if not self.waiting:
                return False
            next(iter(self.waiting)).drop()
        return True

    def wait(self, connection: HttpConnection) -> None:
        """Marks a connection as waiting for its client."""
        self.remove(connection)
        self.waiting[connection] = None

    def work(self, connection: HttpConnection) -> None:
        """Marks a connection as having a running handler."""
        self.remove(connection)
        self.busy.add(connection)

    def remove(self, connection: HttpConnection) -> None:
        """Removes an ended connection."""
        self.waiting.pop(connection, None)
        self.busy.discard(connection)


def _asks_websocket(head: h11.Request) -> bool:
    upgrades, options = fields(head.headers, b"upgrade"), ",".join(fields(head.headers, b"connection"))
    return "upgrade" in options.lower() and [one.lower() for one in upgrades] == ["websocket"]


def _malformed(error: h11.RemoteProtocolError) -> HttpRefusal:
    known = {413: str(error), 431: "the request header is too large"}
    status = error.error_status_hint if error.error_status_hint in known else 400
    return HttpRefusal(status, known.get(status, f"this is not an HTTP/1.1 request ({error})"))
