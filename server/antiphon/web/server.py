"""An HTTP/1.1 server with routes and with limits for connections; uvicorn implements the protocol.

    server = HttpServer(authorise=keeper.check)
    server.add("GET", "/plugins/hello", lambda request: text("hello"))
    port = await server.start("127.0.0.1", 4401)
    ...
    await server.stop()

The time and memory that a client can use are bounded: `Limits` has the figures, `HttpConnection` enforces them.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from antiphon.io.http_message import (
    Authorise,
    Handler,
    HttpRequest,
    Refusal,
    Response,
    StreamHandler,
    answer,
    text,
)
from antiphon.web.access import with_offered_token
from antiphon.web.control_link import ControlLink
from antiphon.web.oscquery.listeners import Listeners
from antiphon.web.protocol.application import Guard, Routes, ServeWebSocket, admitted
from antiphon.web.protocol.asgi import Receive, Send
from antiphon.web.protocol.connections import Connections, listen
from antiphon.web.protocol.counters import HttpCounters
from antiphon.web.protocol.guard import LOOPBACK, Limits, Site
from antiphon.web.protocol.handler_calls import HandlerCalls
from antiphon.web.protocol.route_table import RouteTable

__all__ = [
    "Authorise",
    "Handler",
    "HttpCounters",
    "HttpRequest",
    "HttpServer",
    "Limits",
    "Refusal",
    "Response",
    "answer",
    "text",
]


@dataclass(slots=True)
class HttpServer:
    """Routes, connections and their limits.

    Attributes:
        control: Link to control, for handlers; None in tests without one.
        authorise: Called with every request before its body is read; raises `Refusal`.
        tls: Context for HTTPS; None for HTTP.
        hosts: Names that a Host header may have besides those of loopback.
        token: What every request needs with `--lan`, else "".
        limits: Limits for clients.
        counters: Since the start.
        routes: Which handler answers a request.
        calls: Calls the handlers.
        connections: Those that are open.
        port: The port that it listens on, after `start`.
        body_bytes: Bytes of all request bodies that are being received.
        site: The server's origin, after `start`.
        config, state: Of uvicorn.
        listeners: The WebSocket clients of OSCQuery.
        websockets: What serves the WebSockets of other paths.
        closing: Called when the server stops.
        draining: Called again and again while it drains; each begins nothing new, and returns how much still runs.
        proxied: Names under which a reverse proxy forwards requests.
        counts: Further counters for `/api/status`, by name.
        name: The server's name in HOST_INFO, that of its announcement where there is one.
    """

    control: ControlLink | None = None
    authorise: Authorise | None = None
    tls: ssl.SSLContext | None = None
    hosts: frozenset[str] = frozenset()
    token: str = ""
    limits: Limits = field(default_factory=Limits)
    counters: HttpCounters = field(default_factory=HttpCounters)
    routes: RouteTable = field(default_factory=RouteTable)
    calls: HandlerCalls = field(init=False)
    connections: Connections = field(init=False)
    port: int = 0
    body_bytes: int = 0
    site: Site = field(init=False)
    config: Config = field(init=False)
    state: ServerState = field(default_factory=ServerState)
    listeners: Listeners = field(init=False)
    websockets: dict[str, ServeWebSocket] = field(default_factory=dict)
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    draining: list[Callable[[], int]] = field(default_factory=list)
    proxied: frozenset[str] = frozenset()
    counts: dict[str, Callable[[], int]] = field(default_factory=dict)
    name: Callable[[], str] = lambda: "Antiphon"

    def __post_init__(self) -> None:
        self.config = Config(
            Guard(Routes(self), self), lifespan="off", log_config=None, access_log=False, proxy_headers=False,
            ws="none", ws_max_size=4096, ws_ping_interval=self.limits.idle_seconds,
            ws_ping_timeout=self.limits.idle_seconds, ws_per_message_deflate=False,
        )  # fmt: skip
        self.listeners = Listeners(self.control)
        self.calls = HandlerCalls(self.counters, self.limits.handler_seconds)
        self.connections = Connections(self)

    def add(self, method: str, path: str, handler: Handler, *, token: bool = False) -> None:
        """Adds a route: `RouteTable.add`."""
        self.routes.add(method, path, handler, token=token)

    def add_stream(self, path: str, handler: StreamHandler, most: int, *, live: bool = False) -> None:
        """Adds a route for POST whose handler reads the body in pieces: `RouteTable.add_stream`."""
        self.routes.add_stream(path, handler, most, live=live)

    async def start(self, host: str = "127.0.0.1", port: int = 0, listener: socket.socket | None = None) -> int:
        """Listens and serves.

        Args:
            host: Address to listen on.
            port: 0 takes any.
            listener: A socket that listens already, in place of host and port.

        Returns:
            The port.

        Raises:
            EngineError: The port cannot be used.
        """
        if listener is None:
            listener = listen(host, port)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self.site = Site("https" if self.tls else "http", self.port, LOOPBACK | self.hosts, self.proxied)
        self.connections.accept(listener)
        return self.port

    async def stop(self) -> None:
        """Closes every connection and the port, and cancels the handlers that still run."""
        await self.listeners.stop()
        for close in self.closing:
            await close()
        await self.connections.stop()

    def status(self) -> dict[str, int]:
        """Counters for `/api/status`."""
        counts = self.counters
        return {
            "http_requests": counts.requests,
            "http_refused": counts.refused,
            "http_errors": counts.errors,
            "http_timeouts": counts.timeouts,
            "http_dropped": counts.dropped,
            "http_connections": self.connections.count,
            **{name: count() for name, count in self.counts.items()},
        }

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
        if received + size > self.limits.body:
            raise Refusal(413, f"a request body has at most {self.limits.body} bytes")
        if self.body_bytes + size > self.limits.bodies:
            raise Refusal(429, "too much is being sent at once; try again", (("Retry-After", "1"),))
        self.body_bytes += size

    def may_listen(self, scope: MutableMapping[str, Any], state: dict[str, Any]) -> bool:
        """Whether a request for a WebSocket may have one; otherwise it is answered as a plain request."""
        try:
            given = {**scope, "headers": with_offered_token(scope["headers"])}
            request, _ = admitted(self, given, state["target"])
        except Refusal:
            return False
        return request.method == "GET" and (request.path in self.websockets or self.listeners.room)

    async def serve_websocket(self, path: str, query: str, receive: Receive, send: Send, protocol: str | None) -> None:
        """Serves a WebSocket until it closes: what its path has, or OSCQuery's.

        Args:
            path: Path of its request.
            query: What follows the path's "?".
            receive: Of ASGI.
            send: Of ASGI.
            protocol: The subprotocol to accept.
        """
        serve = self.websockets.get(path)
        if serve is None:
            await self.listeners.serve(receive, send, protocol)
        else:
            await serve(query, receive, send, protocol)
