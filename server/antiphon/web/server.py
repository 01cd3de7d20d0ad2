"""An HTTP/1.1 server with routes and with limits for connections; uvicorn implements the protocol.

    server = HttpServer(authorise=keeper.check)
    server.add("GET", "/plugins/hello", lambda request: text("hello"))
    port = await server.start("127.0.0.1", 4401)
    ...
    await server.stop()

The time and memory that a client can use are bounded: `Limits` has the figures, `HttpConnection` enforces them.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from antiphon.errors import AntiphonError, EngineError, PluginError
from antiphon.io.http_message import (
    Authorise,
    Handler,
    HttpRequest,
    HttpRoute,
    Refusal,
    Response,
    StreamHandler,
    StreamRoute,
    answer,
    text,
)
from antiphon.web.access import with_offered_token
from antiphon.web.application import Guard, Routes, ServeWebSocket, admitted
from antiphon.web.bodies import Disconnect
from antiphon.web.connection import HttpConnection
from antiphon.web.control_link import ControlLink
from antiphon.web.counters import HttpCounters
from antiphon.web.guard import LOOPBACK, Limits, Site
from antiphon.web.oscquery.listeners import Listeners

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

log = logging.getLogger("antiphon.http")

ACCEPTED = 32
"""Connections that are taken in a turn of the event loop: where handlers are many, a turn is long."""
BUDGET = 0.002
"""Seconds of connections' turns before the event loop runs again."""


@dataclass(slots=True)
class HttpServer:
    """Routes, connections and their limits.

    Attributes:
        control: Link to control, for handlers; None in tests without one.
        authorise: Called with every request before its body is read; raises `Refusal`.
        fallback: Answers GET for paths without a route.
        tls: Context for HTTPS; None for HTTP.
        hosts: Names that a Host header may have besides those of loopback.
        token: What every request needs with `--lan`, else "".
        limits: Limits for clients.
        counters: Since the start.
        port: The port that it listens on, after `start`.
        body_bytes: Bytes of all request bodies that are being received.
        site: The server's origin, after `start`.
        waiting: Connections for which no handler runs, with the time since when, longest first.
        busy: Connections for which a handler runs.
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
    fallback: Handler | None = None
    tls: ssl.SSLContext | None = None
    hosts: frozenset[str] = frozenset()
    token: str = ""
    limits: Limits = field(default_factory=Limits)
    counters: HttpCounters = field(default_factory=HttpCounters)
    port: int = 0
    body_bytes: int = 0
    site: Site = field(init=False)
    waiting: dict[HttpConnection, float] = field(default_factory=dict)
    busy: set[HttpConnection] = field(default_factory=set)
    config: Config = field(init=False)
    state: ServerState = field(default_factory=ServerState)
    listeners: Listeners = field(init=False)
    websockets: dict[str, ServeWebSocket] = field(default_factory=dict)
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    draining: list[Callable[[], int]] = field(default_factory=list)
    proxied: frozenset[str] = frozenset()
    counts: dict[str, Callable[[], int]] = field(default_factory=dict)
    name: Callable[[], str] = lambda: "Antiphon"
    _routes: dict[str, dict[str, HttpRoute | StreamRoute]] = field(default_factory=dict)
    _reserved: frozenset[str] | None = None
    _turns: deque[HttpConnection] = field(default_factory=deque)
    _listeners: list[socket.socket] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _sweep: asyncio.TimerHandle | None = None
    _accepting: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.config = Config(
            Guard(Routes(self), self), lifespan="off", log_config=None, access_log=False, proxy_headers=False,
            ws="none", ws_max_size=4096, ws_ping_interval=self.limits.idle_seconds,
            ws_ping_timeout=self.limits.idle_seconds, ws_per_message_deflate=False,
        )  # fmt: skip
        self.listeners = Listeners(self.control)

    def add(self, method: str, path: str, handler: Handler, *, token: bool = False) -> None:
        """Adds a route.

        Args:
            method: GET, POST, PUT, PATCH or DELETE. All but GET need the token; a GET route also answers HEAD.
            path: Such as /plugins/NAME/THING; "/*" at its end matches every path below. Below /plugins/ no path is
                reserved.
            handler: Called with each request; it returns a `Response` or an awaitable of one.
            token: Whether GET needs the token too.

        Raises:
            PluginError: The path is reserved, taken or malformed, or there is no such method.
        """
        self._add(method.upper(), path, HttpRoute(handler, token=token or method.upper() != "GET"))

    def add_stream(self, path: str, handler: StreamHandler, most: int, *, live: bool = False) -> None:
        """Adds a route for POST whose handler reads the body in pieces.

        Args:
            path: As in `add`.
            handler: Called with the request and its body's pieces.
            most: Bytes of a body, at most.
            live: Whether sound may be sent as it is made: in small chunks, at a low bit rate.

        Raises:
            PluginError: As `add`.
        """
        self._add("POST", path, StreamRoute(handler, most, live))

    def _add(self, method: str, path: str, route: HttpRoute | StreamRoute) -> None:
        if not path.startswith("/") or "//" in path or any(p in (".", "..") for p in path.split("/")):
            raise PluginError(f"{path!r} is not a route; write a path like /plugins/NAME/THING")
        if self._reserved is not None and path.split("/")[1] in self._reserved:
            raise PluginError(f"{path!r} is reserved; put the route below /plugins/")
        if method not in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            raise PluginError(f"{method!r} is not a method a route takes: GET, POST, PUT, PATCH or DELETE")
        methods = self._routes.setdefault(path, {})
        if method in methods:
            raise PluginError(f"{method} {path} is taken by another plugin; choose another path")
        methods[method] = route

    def paths(self) -> list[tuple[str, str]]:
        """Path and method of every route."""
        return [(path, method) for path, methods in self._routes.items() for method in methods]

    def reserve(self, names: frozenset[str]) -> None:
        """Makes `add` refuse "/" and paths whose first part is among `names`, from now on."""
        self._reserved = names | {"", "*"}

    def route(self, method: str, path: str) -> HttpRoute | StreamRoute:
        """The route of a request; `Refusal` 404 where there is none, 405 where it does not take the method."""
        asked = "GET" if method == "HEAD" else method
        methods = self._routes.get(path) or self._below(path)
        if methods is None and self.fallback is not None:
            methods = {"GET": HttpRoute(self.fallback, token=False)}
        if methods is None:
            raise Refusal(404, "there is nothing at this address")
        if asked not in methods:
            allowed = ", ".join(sorted(methods))
            raise Refusal(405, f"this address takes {allowed}", (("Allow", allowed),))
        return methods[asked]

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
            listener = _listen(host, port)
        listener.setblocking(False)
        self._listeners.append(listener)
        self.port = listener.getsockname()[1]
        self.site = Site("https" if self.tls else "http", self.port, LOOPBACK | self.hosts, self.proxied)
        self._accepting = self.spawn(self._accept(listener))
        if self._sweep is None:
            self._sweep_up()
        return self.port

    def close_port(self) -> None:
        """Takes no more connections; those that are open go on."""
        if self._accepting is not None:
            self._accepting.cancel()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def stop(self) -> None:
        """Closes every connection and the port, and cancels the handlers that still run."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        await self.listeners.stop()
        for close in self.closing:
            await close()
        for connection in [*self.waiting, *self.busy]:
            connection.drop()
        tasks = [*self._tasks, *self.state.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the dropped connections' sockets close
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def status(self) -> dict[str, int]:
        """Counters for `/api/status`."""
        counts = self.counters
        return {
            "http_requests": counts.requests,
            "http_refused": counts.refused,
            "http_errors": counts.errors,
            "http_timeouts": counts.timeouts,
            "http_dropped": counts.dropped,
            "http_connections": len(self.waiting) + len(self.busy),
            **{name: count() for name, count in self.counts.items()},
        }

    async def handle(self, route: HttpRoute, request: HttpRequest) -> Response:
        """Calls a route's handler; its exceptions are logged in one line and answered 500."""

        async def work() -> Response:
            result = route.handler(request)
            if isinstance(result, Response):
                return result
            async with asyncio.timeout(self.limits.handler_seconds):
                return await result

        return await self._checked(request, work())

    async def handle_stream(self, route: StreamRoute, request: HttpRequest, pieces: AsyncIterator[bytes]) -> Response:
        """Calls the handler of a route that reads the body in pieces; as `handle`, without a limit of its time: the
        client's speed is limited.
        """
        return await self._checked(request, route.handler(request, pieces))

    async def _checked(self, request: HttpRequest, work: Awaitable[Response]) -> Response:
        try:
            result = await work
            if not isinstance(result, Response):
                raise TypeError(f"a handler answers with a Response, not {type(result).__name__}")
            result.check()
            return result
        except Refusal as refusal:
            return self.refused(refusal)
        except Disconnect:
            raise
        except TimeoutError:
            self._failed(request, "no answer in time")
            return answer({"error": "this address did not answer in time"}, 503)
        except AntiphonError as error:
            return self.refused(Refusal(400, str(error)))
        except Exception as error:
            self._failed(request, f"{type(error).__name__}: {error}")
            return answer({"error": "this address failed; see the server's log"}, 500)

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

    def refused(self, refusal: Refusal) -> Response:
        """The response to a refused request: its page, or JSON with the reason."""
        self.counters.refused += 1
        if refusal.page:
            return Response(refusal.status, refusal.page.encode(), "text/html; charset=utf-8", refusal.headers)
        return answer({"error": str(refusal)}, refusal.status, refusal.headers)

    def wait(self, connection: HttpConnection) -> None:
        """Starts the timeout of a connection that waits for its client."""
        self.busy.discard(connection)
        self.waiting.pop(connection, None)
        self.waiting[connection] = asyncio.get_running_loop().time()

    def work(self, connection: HttpConnection) -> None:
        """Stops the timeout of a connection while a handler runs for it."""
        self.waiting.pop(connection, None)
        self.busy.add(connection)

    def queue(self, connection: HttpConnection) -> None:
        """Queues a connection that has received bytes for a turn."""
        self._turns.append(connection)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self._take_turns)

    def remove(self, connection: HttpConnection) -> None:
        """Forgets a connection that has ended or become a WebSocket."""
        self.waiting.pop(connection, None)
        self.busy.discard(connection)

    def _failed(self, request: HttpRequest, why: str) -> None:
        self.counters.errors += 1
        log.error("%s %s failed: %s", request.method, request.path, " ".join(why.split())[:500])

    def _below(self, path: str) -> dict[str, HttpRoute | StreamRoute] | None:
        parts = path.split("/")
        for depth in range(len(parts) - 1, 0, -1):
            methods = self._routes.get("/".join(parts[:depth]) + "/*")
            if methods is not None:
                return methods
        return None

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in itertools.count(1):
            if number % ACCEPTED == 0:
                await asyncio.sleep(0)
            try:
                peer, _ = await loop.sock_accept(listener)
            except OSError as error:
                # out of descriptors or memory: close the oldest and try again; other errors concern the peer alone
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._drop_oldest()
                    await asyncio.sleep(0.05)
                continue
            if len(self.waiting) + len(self.busy) >= self.limits.connections and not self._drop_oldest():
                self.counters.dropped += 1
                peer.close()
                continue
            connection = HttpConnection(self)
            self.wait(connection)
            connection.opening = self.spawn(self._open(connection, peer))

    async def _open(self, connection: HttpConnection, peer: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        seconds = self.limits.request_seconds
        try:
            if self.tls is None:
                await loop.connect_accepted_socket(lambda: connection, peer)
            else:
                await loop.connect_accepted_socket(
                    lambda: connection, peer, ssl=self.tls, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=1.0
                )
        except (OSError, TimeoutError):
            # the TLS handshake failed, or the client disconnected
            self.counters.refused += 1
            self.remove(connection)
        finally:
            connection.opening = None

    def _drop_oldest(self) -> bool:
        """Drops the connection that has waited longest; returns False where a handler runs for each."""
        oldest = next(iter(self.waiting), None)
        if oldest is None:
            return False
        self.counters.dropped += 1
        oldest.drop()
        return True

    def _sweep_up(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(0.1, self._sweep_up)
        now = loop.time()
        for connection, since in list(self.waiting.items()):
            if now - since < min(self.limits.request_seconds, self.limits.idle_seconds):
                break
            if now - since >= connection.patience:
                self.counters.timeouts += 1
                connection.expire()

    def _take_turns(self) -> None:
        """Runs turns for `BUDGET` seconds, then lets the event loop handle sockets and timers."""
        loop = asyncio.get_running_loop()
        end = loop.time() + BUDGET
        while self._turns and loop.time() < end:
            self._turns[0].turn()
            self._turns.popleft()
        if self._turns:
            loop.call_soon(self._take_turns)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` until it ends or the server stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _no_port(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"HTTP port {port} of {host} is taken by another program; choose another with --http-port"
    reason = error.strerror or str(error)
    return f"HTTP cannot listen on port {port} of {host} ({reason}); choose another with --http-port"


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise EngineError(_no_port(host, port, error)) from None
    return listener
