"""The ASGI application: `Guard`, which passes on what is allowed, around Starlette's router and its `Resource`s."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any, Protocol

from starlette.responses import Response as BytesResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from antiphon.errors import AntiphonError
from antiphon.io.http_message import Authorise, HttpRequest, Refusal, Response, answer
from antiphon.web.protocol.bodies import (
    LIVE_CHUNKS,
    LIVE_SECONDS,
    PIECE_SECONDS,
    SLOWEST_LIVE,
    Disconnect,
    FileBody,
    StreamedBody,
    send_pieces,
)
from antiphon.web.protocol.guard import Headers, Site, asks_health, check_framing, check_size
from antiphon.web.protocol.limits import HttpCounters, Limits
from antiphon.web.statuses import refusal_of

log = logging.getLogger("antiphon.http")
COMMON = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)
"""Header fields of every response."""
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date", "content-type", "upgrade"})
_BUSY = "too much is being sent at once; try again"


class Connection(Protocol):
    """What the application uses of a connection, which is in a request's state; `HttpConnection` says what each is."""

    task: asyncio.Task[Any] | None
    served: int

    def renew(self) -> None:
        """Begins the client's time anew."""

    def work(self) -> None:
        """Stops the client's time."""

    def allow(self, chunks: int, seconds: float) -> None:
        """Sets limits of the request that is being received."""

    def drop(self) -> None:
        """Aborts the connection."""


@dataclass(slots=True)
class Gate:
    """What requests are admitted by, and what they share.

    Attributes:
        limits: For clients.
        site: The server's origin.
        counters: Since the start.
        authorise: Called with every request before its body is read; raises `Refusal`.
        body_bytes: Bytes of all request bodies that are being received.
    """

    limits: Limits
    site: Site = field(default_factory=lambda: Site("http", 0))
    counters: HttpCounters = field(default_factory=HttpCounters)
    authorise: Authorise | None = None
    body_bytes: int = 0

    def admitted(self, scope: Scope) -> HttpRequest:
        """Checks a request's head.

        Args:
            scope: Of ASGI.

        Returns:
            The request without its body.

        Raises:
            Refusal: It is malformed, too large, for another server, or from another site.
        """
        headers: Headers = scope["headers"]
        version, method = scope["http_version"], scope.get("method", "GET")
        query = scope["query_string"]
        raw_target = scope["raw_path"] + (b"?" + query if query else b"")
        check_size(raw_target, headers, self.limits)
        if version not in ("1.0", "1.1"):
            raise Refusal(505, "this server speaks HTTP/1.1")
        length = check_framing(headers, version.encode())
        local, peer = _address(scope["server"]), _address(scope["client"])
        health = asks_health(method, raw_target)
        if not health:
            self.site.check(headers, local)
        target = self.site.target(raw_target, self.limits.target, local)
        joined: dict[str, str] = {}
        for name, value in headers:
            key, shown = name.decode("latin-1"), value.decode("latin-1")
            joined[key] = f"{joined[key]}, {shown}" if key in joined else shown
        scope["state"].update(health=health, length=length)
        return HttpRequest(method, target.path, target.query, joined, peer, local)

    def check_token(self, request: HttpRequest, scope: Scope, needed: bool) -> None:
        """Raises `Refusal` for a request without the token, where it needs that."""
        if self.authorise is not None and not scope["state"]["health"]:
            self.authorise(request, needed)

    def hold(self, request: HttpRequest, received: int, size: int) -> None:
        """Counts a piece of a request's body against the limits.

        Args:
            request: Its head.
            received: Bytes of the body so far.
            size: Bytes of the piece.

        Raises:
            Refusal: The body, or all bodies together, would be too long, or the method allows none.
        """
        if request.method in ("GET", "HEAD"):
            raise Refusal(413, "a GET must not have a body")
        self.check_length(received + size, self.limits.body)
        if self.body_bytes + size > self.limits.bodies:
            raise Refusal(429, _BUSY, (("Retry-After", "1"),))
        self.body_bytes += size

    def check_length(self, length: int, most: int) -> None:
        """Raises `Refusal` for a body of more than `most` bytes."""
        if length > most:
            raise Refusal(413, f"a request body has at most {most} bytes")

    def refused(self, refusal: Refusal) -> Response:
        """The response to a refused request: its page, or JSON with the reason."""
        self.counters.refused += 1
        if refusal.page:
            return Response(refusal.status, refusal.page.encode(), "text/html; charset=utf-8", refusal.headers)
        return answer({"error": str(refusal)}, refusal.status, refusal.headers)


class Guard:
    """ASGI middleware that passes on only requests that the gate admits, and answers what the application refuses."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 4xx and closes the connection, or passes the request on."""
        if scope["type"] == "websocket":  # it was admitted before its upgrade
            await self._app(scope, receive, send)
            return
        state, gate = scope["state"], self._gate
        connection: Connection = state["connection"]
        connection.task = asyncio.current_task()
        connection.served += 1
        gate.counters.requests += 1
        state["last"] = connection.served >= gate.limits.requests
        started = False

        async def within_time(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*common_headers(state["last"]), *message["headers"]]
            async with asyncio.timeout(PIECE_SECONDS):
                await send(message)

        try:
            state["request"] = request = gate.admitted(scope)
            scope["path"] = request.path
            await self._app(scope, receive, within_time)
        except Disconnect:
            pass
        except TimeoutError:
            connection.drop()
        except Exception as error:
            if started:
                raise
            if not isinstance(error, AntiphonError):
                failed(gate.counters, f"{scope['method']} {scope['path']}", error)
                error = Refusal(500, "this address failed; see the server's log")
            state["last"] = True
            await respond(gate.refused(refusal_of(error)), scope, receive, within_time)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler.

    Attributes:
        handler: Called with the request, and where `most` is set with the pieces of its body.
        token: Whether it needs the token: whatever may change something does.
        most: Bytes of a body that it reads in pieces; 0 for one that is read before. It then always needs the token.
        live: Whether sound may be sent as it is made: in small chunks, at a low bit rate.
    """

    handler: Callable[..., Response | Awaitable[Response]]
    token: bool
    most: int = 0
    live: bool = False


class Resource:
    """The ASGI application of one path: an endpoint for each method."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.endpoints: dict[str, Endpoint] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks the token, reads the body, calls the handler and answers."""
        state, gate = scope["state"], self._gate
        head = scope["method"] == "HEAD"
        endpoint = self.endpoints.get("GET" if head else scope["method"])
        if endpoint is None:
            allowed = ", ".join(sorted(self.endpoints))
            raise Refusal(405, f"this address takes {allowed}", (("Allow", allowed),))
        request: HttpRequest = replace(state["request"], parts=scope.get("path_params", {}))
        gate.check_token(request, scope, endpoint.token)
        gate.check_length(state["length"], endpoint.most or gate.limits.body)
        if endpoint.most:
            connection: Connection = state["connection"]
            if endpoint.live:
                connection.allow(LIVE_CHUNKS, LIVE_SECONDS)
            slowest = SLOWEST_LIVE if endpoint.live else None
            body = StreamedBody(receive, endpoint.most, connection.renew, connection.work, slowest)
            response = await self._called(endpoint, request, body)
            # what a handler has left unread would be taken for the next request
            state["last"] |= not body.complete or response.pieces is not None
        else:
            if gate.body_bytes + state["length"] > gate.limits.bodies:
                raise Refusal(429, _BUSY, (("Retry-After", "1"),))
            response = await self._with_body(endpoint, request, receive)
        await respond(response, {**scope, "headers": []} if head else scope, receive, send)

    async def _with_body(self, endpoint: Endpoint, request: HttpRequest, receive: Receive) -> Response:
        """Reads the body, and counts it for as long as the handler works."""
        body: list[bytes] = []
        try:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnect
                piece, more = message["body"], message["more_body"]
                if piece:
                    self._gate.hold(request, sum(map(len, body)), len(piece))
                    body.append(piece)
            return await self._called(endpoint, replace(request, body=b"".join(body)))
        finally:
            self._gate.body_bytes -= sum(map(len, body))

    async def _called(self, endpoint: Endpoint, request: HttpRequest, *pieces: AsyncIterator[bytes]) -> Response:
        """Calls a handler; what it raises becomes an answer, a counter and a line of the log.

        The time of one that reads its body in pieces is not limited: the client's speed is.
        """
        gate, asked = self._gate, f"{request.method} {request.path}"
        try:
            async with asyncio.timeout(None if pieces else gate.limits.handler_seconds):
                result = endpoint.handler(request, *pieces)
                if isinstance(result, Awaitable):
                    result = await result
            if not isinstance(result, Response):
                raise TypeError(f"a handler answers with a Response, not {type(result).__name__}")
            result.check()
            return result
        except Disconnect:
            raise
        except AntiphonError as error:
            return gate.refused(refusal_of(error))
        except TimeoutError:
            failed(gate.counters, asked, "no answer in time")
            return answer({"error": "this address did not answer in time"}, 503)
        except Exception as error:
            failed(gate.counters, asked, error)
            return answer({"error": "this address failed; see the server's log"}, 500)


def failed(counters: HttpCounters, what: str, why: object) -> None:
    """Counts an error of our own code, and logs it in one line."""
    counters.errors += 1
    shown = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why)
    log.error("%s failed: %s", what, " ".join(shown.split())[:500])


def common_headers(last: bool) -> list[tuple[bytes, bytes]]:
    """The header fields of every response; with `last`, "Connection: close"."""
    shown = [("Date", formatdate(usegmt=True)), *COMMON, *([("Connection", "close")] if last else [])]
    return [(name.encode(), value.encode()) for name, value in shown]


async def respond(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends a handler's response."""
    headers: dict[str, Any] = {name: value for name, value in response.headers if name.lower() not in _OURS}
    if response.file is not None and response.status == 200:
        await FileBody(response.file, 200, headers, response.type)(scope, receive, send)
        return
    empty = response.status in (204, 304)
    body = b"" if empty else response.body
    sent = BytesResponse(body, response.status, headers, None if empty else response.type)
    if response.pieces is None:
        await sent(scope, receive, send)
        return
    raw = [(name, value) for name, value in sent.raw_headers if name != b"content-length"]
    await send({"type": "http.response.start", "status": response.status, "headers": raw})
    await send_pieces(send, response.pieces)


def _address(end: tuple[str, int | None] | None) -> str:
    return end[0].removeprefix("::ffff:") if end else ""
