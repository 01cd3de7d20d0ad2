"""One HTTP connection: h11 parses, the guard decides, a route answers.

What arrives waits for the connection's turn, and a turn takes at most `TURN` pieces or one request,
so that no client, nor all together, keeps the event loop. Before its turn, while a handler works and
while the client does not read its answers, nothing more is read from it.
"""

from __future__ import annotations

import asyncio
import logging
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

import h11

from antiphon.io.http_message import HttpRequest, HttpRoute, Refusal, Response
from antiphon.web.guard import check_framing, check_size

if TYPE_CHECKING:
    from antiphon.web.server import HttpServer

log = logging.getLogger("antiphon.http")

TURN = 16
LINGER_SECONDS = 1.0
LINGER_BYTES = 4 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date", "content-type", "upgrade"})


class HttpConnection(asyncio.Protocol):
    """The server's end of one connection. It lives in `server.waiting` or `server.busy` until it is lost."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.opening: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport | None = None
        self.patience = server.limits.idle_seconds
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=server.limits.header)
        self._local = self._peer = ""
        self._begun = self._full = self._ending = self._turn_due = False
        self._request: HttpRequest | None = None
        self._route: HttpRoute | None = None
        self._body: list[bytes] = []
        self._held = self._chunks = self._served = self._discarded = self._unsent = 0
        self._work: asyncio.Task[None] | None = None
        self._linger: asyncio.TimerHandle | None = None

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._local = _address(transport.get_extra_info("sockname"))
        self._peer = _address(transport.get_extra_info("peername"))

    def data_received(self, data: bytes) -> None:
        if self._ending:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.drop()
            return
        if not self._begun:
            self._begin()
        self._h11.receive_data(data)
        self._soon()

    def eof_received(self) -> bool:
        if self._ending:
            return False
        self._h11.receive_data(b"")
        self._soon()
        return self.server.tls is None

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if not self._ending:
            self._soon()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = True
        self._release()
        if self._linger is not None:
            self._linger.cancel()
        if self._work is not None:
            self._work.cancel()
        self.server.gone(self)

    # what the server calls

    def drop(self) -> None:
        """Ends the connection at once."""
        self._ending = True
        self.server.gone(self)
        if self.transport is not None:
            self.transport.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def expire(self) -> None:
        """The client kept us waiting too long."""
        unsent = self.transport.get_write_buffer_size() if self.transport is not None else 0
        if 0 < unsent < self._unsent:  # it reads, slowly
            self._unsent = unsent
            self.server.wait(self)
        elif self.transport is not None and self._begun and not unsent and not self._ending:
            seconds = self.server.limits.request_seconds
            try:
                self._refuse(Refusal(408, f"a request is complete within {seconds:g} seconds"))
            except Exception as error:
                self._failed(error)
        else:
            self.drop()

    # a request

    def _begin(self) -> None:
        self._begun = True
        self.patience = self.server.limits.request_seconds
        self.server.wait(self)

    def turn(self) -> None:
        """Takes what h11 makes of the bytes so far."""
        self._turn_due = False
        try:
            for _ in range(TURN):
                if self._ending or self._full or self._work is not None:
                    break
                event = self._h11.next_event()
                if event is h11.NEED_DATA:
                    return self._reading(True)
                if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                    return self._close()
                if isinstance(event, h11.Request):
                    self._head(event)
                elif isinstance(event, h11.Data):
                    self._chunks += event.chunk_start
                    self._piece(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self._answer()
                    break
            if not self._ending and not self._full and self._work is None:
                self._soon()
        except Refusal as refusal:
            self._refuse(refusal)
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 431:
                self._refuse(Refusal(431, "the request header is too large"))
            else:
                self._refuse(Refusal(400, f"this is not an HTTP/1.1 request ({error})"))
        except Exception as error:
            self._failed(error)

    def _soon(self) -> None:
        self._reading(False)
        if not self._turn_due:
            self._turn_due = True
            self.server.queue(self)

    def _head(self, event: h11.Request) -> None:
        server, headers = self.server, list(event.headers)
        server.counters.requests += 1
        self._served += 1
        check_size(event.target, headers, server.limits)
        if event.http_version not in (b"1.0", b"1.1"):
            raise Refusal(505, "this server speaks HTTP/1.1")
        length = check_framing(headers, event.http_version, server.limits)
        server.site.check(headers, self._local)
        target = server.site.target(event.target, server.limits.target, self._local)
        method = event.method.decode("latin-1")
        route = server.route(method, target.path)
        joined: dict[str, str] = {}
        for name, value in headers:
            key, shown = name.decode("latin-1"), value.decode("latin-1")
            joined[key] = f"{joined[key]}, {shown}" if key in joined else shown
        request = HttpRequest(method, target.path, target.query, joined, self._peer, self._local)
        if server.authorise is not None:
            server.authorise(request, route.token)
        if server.body_bytes + length > server.limits.bodies:
            raise Refusal(429, "too much is being sent at once; try again", (("Retry-After", "1"),))
        self._request, self._route = request, route
        if self._h11.they_are_waiting_for_100_continue:
            self._write(self._h11.send(h11.InformationalResponse(status_code=100, headers=[])))

    def _piece(self, data: bytes) -> None:
        limits = self.server.limits
        if self._request is not None and self._request.method in ("GET", "HEAD"):
            raise Refusal(413, "a GET carries no body")
        if self._chunks > limits.chunks:
            raise Refusal(413, f"a request body has at most {limits.chunks} chunks")
        if self._held + len(data) > limits.body:
            raise Refusal(413, f"a request body has at most {limits.body} bytes")
        if self.server.body_bytes + len(data) > limits.bodies:
            raise Refusal(429, "too much is being sent at once; try again", (("Retry-After", "1"),))
        self._held += len(data)
        self.server.body_bytes += len(data)
        self._body.append(data)

    def _answer(self) -> None:
        assert self._request is not None
        assert self._route is not None
        head = self._request
        request = HttpRequest(
            head.method, head.path, head.query, head.headers, head.peer, head.local, b"".join(self._body)
        )  # fmt: skip
        self._body.clear()
        self.server.work(self)
        self._work = self.server.spawn(self._handle(self._route, request))

    async def _handle(self, route: HttpRoute, request: HttpRequest) -> None:
        response = await self.server.handle(route, request)
        self._work = None
        if self._ending:
            return
        try:
            self._respond(response, last=self._served >= self.server.limits.requests)
            self._release()
            if self._h11.our_state is h11.MUST_CLOSE:
                self._close()
            else:
                self._h11.start_next_cycle()
                self._next_request()
        except Exception as error:
            self._failed(error)

    def _next_request(self) -> None:
        self._request = self._route = None
        self._chunks = 0
        self._begun = bool(self._h11.trailing_data[0])
        self.patience = self.server.limits.idle_seconds
        self.server.wait(self)
        self._soon()

    def _failed(self, error: Exception) -> None:
        """Ours, not the peer's: said in one line, and only this connection ends."""
        self.server.counters.errors += 1
        log.error("an HTTP connection failed: %s: %s", type(error).__name__, " ".join(str(error).split())[:500])
        self.drop()

    # answering and ending

    def _respond(self, response: Response, last: bool) -> None:
        headers = [
            ("Date", formatdate(usegmt=True)),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
        ]
        bodiless = response.status in (204, 304)
        if not bodiless:
            headers += [("Content-Type", response.type), ("Content-Length", str(len(response.body)))]
        headers += [(name, value) for name, value in response.headers if name.lower() not in _OURS]
        if last:
            headers.append(("Connection", "close"))
        head = h11.Response(status_code=response.status, headers=headers, reason=_REASONS.get(response.status, ""))
        out = self._h11.send(head) or b""
        if not bodiless and response.body and not (self._request is not None and self._request.method == "HEAD"):
            out += self._h11.send(h11.Data(data=response.body)) or b""
        out += self._h11.send(h11.EndOfMessage()) or b""
        self._write(out)

    def _refuse(self, refusal: Refusal) -> None:
        """Answers what was not a request to act on, and ends: its rest cannot be trusted."""
        response = self.server.refused(refusal)
        self._release()
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._respond(response, last=True)
        self._close(unread=True)

    def _write(self, data: bytes | None) -> None:
        if data and self.transport is not None:
            self.transport.write(data)
            self._unsent = self.transport.get_write_buffer_size() + 1

    def _close(self, unread: bool = False) -> None:
        """Ends once what was written is sent.

        Closing with bytes unread would reset the connection, and the client might never see the
        answer: those are read away for a moment.
        """
        transport = self.transport
        if self._ending or transport is None:
            return
        self._ending = True
        self.server.wait(self)
        if not unread:
            transport.close()
            return
        self._reading(True)
        try:
            if transport.can_write_eof():
                transport.write_eof()
            self._linger = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.drop)
        except OSError:
            self.drop()  # the client has left already

    def _reading(self, on: bool) -> None:
        transport = self.transport
        if transport is None or transport.is_closing() or transport.is_reading() == on:
            return
        if on:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _release(self) -> None:
        self.server.body_bytes -= self._held
        self._held = 0
        self._body.clear()


def _address(name: object) -> str:
    return str(name[0]).removeprefix("::ffff:") if isinstance(name, tuple) and name else ""
