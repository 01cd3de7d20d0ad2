"""The ASGI application: `Guard`, a middleware that refuses requests, around `Routes`, which calls the handlers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Protocol, TypeAlias

from antiphon.io.http_message import Authorise, HttpRequest, HttpRoute, Refusal, Response, StreamRoute
from antiphon.web.access import PROTOCOL
from antiphon.web.protocol.asgi import Receive, Scope, Send
from antiphon.web.protocol.bodies import (
    LIVE_CHUNKS,
    LIVE_SECONDS,
    SLOWEST_LIVE,
    Disconnect,
    StreamedBody,
    send_file,
    send_pieces,
)
from antiphon.web.protocol.guard import Headers, Limits, Site, asks_health, check_framing, check_length, check_size
from antiphon.web.protocol.handler_calls import HandlerCalls
from antiphon.web.protocol.ranges import with_range
from antiphon.web.protocol.route_table import RouteTable

ServeWebSocket: TypeAlias = Callable[[str, Receive, Send, str | None], Awaitable[None]]
"""Serves one WebSocket: query, ASGI's receive and send, the subprotocol to accept."""
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date", "content-type", "upgrade"})


class RequestServer(Protocol):
    """What the application uses of the server; `HttpServer` says what each is."""

    limits: Limits
    site: Site
    authorise: Authorise | None
    body_bytes: int

    @property
    def routes(self) -> RouteTable:
        """Finds the handler of a request."""

    @property
    def calls(self) -> HandlerCalls:
        """Calls the handlers."""

    def hold(self, request: HttpRequest, received: int, size: int) -> None:
        """Counts a piece of a request's body against the limits; raises `Refusal` where it is too long."""

    async def serve_websocket(self, path: str, query: str, receive: Receive, send: Send, protocol: str | None) -> None:
        """Serves a WebSocket until it closes."""


class Guard:
    """ASGI middleware that passes on only requests that `admitted` allows.

    `app` finds the request in `scope["state"]["request"]` and its route in `scope["state"]["route"]`.
    """

    def __init__(self, app: App, server: RequestServer) -> None:
        self._app, self._server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 4xx and closes the connection, or passes the request on."""
        state = scope["state"]
        if scope["type"] == "http":
            try:
                state["request"], state["route"] = admitted(self._server, scope, state["target"])
            except Refusal as refusal:
                await respond(send, self._server.calls.refused(refusal), last=True)
                return
        await self._app(scope, receive, send)


class Routes:
    """The application itself: reads the body and calls the route's handler."""

    def __init__(self, server: RequestServer) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or serves a WebSocket."""
        state = scope["state"]
        if scope["type"] == "websocket":
            protocol = PROTOCOL if PROTOCOL in scope["subprotocols"] else None
            query = scope["query_string"].decode("latin-1")
            await self._server.serve_websocket(scope["path"], query, receive, send, protocol)
            return
        state["connection"].task = asyncio.current_task()
        route: HttpRoute | StreamRoute = state["route"]
        if isinstance(route, StreamRoute):
            await self._stream(route, scope, receive, send)
            return
        received = 0
        body: list[bytes] = []
        try:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                piece, more = message["body"], message["more_body"]
                if piece:
                    self._server.hold(state["request"], received, len(piece))
                    received += len(piece)
                    body.append(piece)
            request = with_body(state["request"], b"".join(body))
            body.clear()
            response = await self._server.calls.call(route, request)
            if response.file is not None and response.status == 200:
                response = with_range(response, request.headers if request.method == "GET" else {})
        except Refusal as refusal:
            await respond(send, self._server.calls.refused(refusal), last=True)
            return
        finally:
            self._server.body_bytes -= received
        await respond(send, response, last=state["last"], empty=scope["method"] == "HEAD")

    async def _stream(self, route: StreamRoute, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request whose handler reads the body in pieces."""
        state = scope["state"]
        connection = state["connection"]
        if route.live:
            connection.allow(LIVE_CHUNKS, LIVE_SECONDS)
        slowest = SLOWEST_LIVE if route.live else None
        body = StreamedBody(receive, route.most, connection.renew, connection.work, slowest)
        try:
            response = await self._server.calls.call_stream(route, state["request"], body)
        except Disconnect:
            return
        # what a handler has left unread would be taken for the next request
        with contextlib.suppress(Disconnect):  # while the answer is sent in pieces
            await respond(send, response, last=state["last"] or not body.complete or response.pieces is not None)


def admitted(server: RequestServer, scope: Scope, raw_target: bytes) -> tuple[HttpRequest, HttpRoute | StreamRoute]:
    """Checks a request's head.

    Args:
        server: Its limits, site, routes and authorisation.
        scope: Of ASGI.
        raw_target: The request target as it was sent.

    Returns:
        The request without its body, and its route.

    Raises:
        Refusal: It is malformed, too large, for another server, from another site, without the token, or has no route.
    """
    headers: Headers = scope["headers"]
    version = scope["http_version"]
    check_size(raw_target, headers, server.limits)
    if version not in ("1.0", "1.1"):
        raise Refusal(505, "this server speaks HTTP/1.1")
    length = check_framing(headers, version.encode())
    local, peer = _address(scope["server"]), _address(scope["client"])
    if not (health := asks_health(scope.get("method", "GET"), raw_target)):
        server.site.check(headers, local)
    target = server.site.target(raw_target, server.limits.target, local)
    route = server.routes.route(scope.get("method", "GET"), target.path)
    joined: dict[str, str] = {}
    for name, value in headers:
        key, shown = name.decode("latin-1"), value.decode("latin-1")
        joined[key] = f"{joined[key]}, {shown}" if key in joined else shown
    request = HttpRequest(scope.get("method", "GET"), target.path, target.query, joined, peer, local)
    if server.authorise is not None and not health:
        server.authorise(request, isinstance(route, StreamRoute) or route.token)
    check_length(length, route.most if isinstance(route, StreamRoute) else server.limits.body)
    if isinstance(route, HttpRoute) and server.body_bytes + length > server.limits.bodies:
        raise Refusal(429, "too much is being sent at once; try again", (("Retry-After", "1"),))
    return request, route


def with_body(head: HttpRequest, body: bytes) -> HttpRequest:
    """The request with its body."""
    return HttpRequest(head.method, head.path, head.query, head.headers, head.peer, head.local, body)


def headers_of(response: Response, *, last: bool) -> list[tuple[bytes, bytes]]:
    """A response's header fields: the server's own, then the handler's; with `last`, "Connection: close"."""
    headers = [
        ("Date", formatdate(usegmt=True)),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
    ]
    if response.status not in (204, 304):
        headers.append(("Content-Type", response.type))
        if response.pieces is None:
            length = len(response.body) if response.file is None else _length(response.file, response.part)
            headers.append(("Content-Length", str(length)))
    headers += [(name, value) for name, value in response.headers if name.lower() not in _OURS]
    if last:
        headers.append(("Connection", "close"))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def respond(send: Send, response: Response, *, last: bool, empty: bool = False) -> None:
    """Sends a response; with `last` the connection closes, with `empty` (HEAD) the file of a response is not read."""
    await send({"type": "http.response.start", "status": response.status, "headers": headers_of(response, last=last)})
    if response.file is not None and not empty:
        await send_file(send, response.file, response.part)
        return
    if response.pieces is not None:
        await send_pieces(send, response.pieces)
        return
    body = b"" if response.status in (204, 304) else response.body
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _length(file: Path, part: range | None) -> int:
    return file.stat().st_size if part is None else len(part)


def _address(end: tuple[str, int | None] | None) -> str:
    return end[0].removeprefix("::ffff:") if end else ""
