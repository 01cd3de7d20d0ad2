"""An HTTP/1.1 server: routes, and connections within bounds. uvicorn reads and writes the protocol.

    server = HttpServer(authorise=keeper.check)
    server.add("GET", "/plugins/hello", lambda request: text("hello"))
    port = await server.start("127.0.0.1", 4401)
    ...
    await server.stop()

A client can cost a bounded time and memory: `Limits` has the figures, `HttpConnection` keeps them.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections import deque
from collections.abc import Coroutine, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from antiphon.errors import AntiphonError, EngineError, PluginError
from antiphon.io.http_message import Authorise, Handler, HttpRequest, HttpRoute, Refusal, Response, answer, text
from antiphon.web.application import Guard, Routes, admitted
from antiphon.web.connection import HttpConnection
from antiphon.web.control_link import ControlLink
from antiphon.web.guard import LOOPBACK, Limits, Site
from antiphon.web.listeners import Listeners

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

BUDGET = 0.002
"""Seconds of turns in a row."""


@dataclass(slots=True)
class HttpCounters:
    """What happened since the start. refused: answered 4xx. errors: handlers that raised."""

    requests: int = 0
    refused: int = 0
    errors: int = 0
    timeouts: int = 0
    dropped: int = 0


@dataclass(slots=True)
class HttpServer:
    """Routes, connections and their limits.

    control: what a handler asks of the server; None in tests without one.
    authorise: asked for every request before its body is read.  fallback: answers GET for paths no
    route has.  tls: serves HTTPS.  hosts: names beyond the loopback ones a Host header may give.
    """

    control: ControlLink | None = None
    authorise: Authorise | None = None
    fallback: Handler | None = None
    tls: ssl.SSLContext | None = None
    hosts: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    counters: HttpCounters = field(default_factory=HttpCounters)
    port: int = 0
    body_bytes: int = 0
    site: Site = field(init=False)
    waiting: dict[HttpConnection, float] = field(default_factory=dict)
    """Connections nobody is working for, with the time they began to wait, longest first."""
    busy: set[HttpConnection] = field(default_factory=set)
    config: Config = field(init=False)
    state: ServerState = field(default_factory=ServerState)
    listeners: Listeners = field(init=False)
    _routes: dict[str, dict[str, HttpRoute]] = field(default_factory=dict)
    _reserved: frozenset[str] | None = None
    _turns: deque[HttpConnection] = field(default_factory=deque)
    _listeners: list[socket.socket] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _sweep: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self.config = Config(
            Guard(Routes(self), self), lifespan="off", log_config=None, access_log=False, proxy_headers=False,
            ws="none", ws_max_size=4096, ws_ping_interval=self.limits.idle_seconds,
            ws_ping_timeout=self.limits.idle_seconds, ws_per_message_deflate=False,
        )  # fmt: skip
        self.listeners = Listeners(self.control)

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Adds a route; "/*" at the end of `path` takes everything below. GET also answers HEAD.

        Any method but GET needs the token. Raises `PluginError` for a path that is reserved, taken
        or malformed; below /plugins/ nothing is reserved.
        """
        method = method.upper()
        if not path.startswith("/") or "//" in path or any(p in (".", "..") for p in path.split("/")):
            raise PluginError(f"{path!r} is not a route; write a path like /plugins/NAME/THING")
        if self._reserved is not None and path.split("/")[1] in self._reserved:
            raise PluginError(f"{path!r} is reserved; put the route below /plugins/")
        if method not in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            raise PluginError(f"{method!r} is not a method a route takes: GET, POST, PUT, PATCH or DELETE")
        methods = self._routes.setdefault(path, {})
        if method in methods:
            raise PluginError(f"{method} {path} is taken by another plugin; choose another path")
        methods[method] = HttpRoute(handler, token=method != "GET")

    def reserve(self, names: frozenset[str]) -> None:
        """From here on `add` refuses paths whose first part is among `names`, and "/" itself."""
        self._reserved = names | {"", "*"}

    def route(self, method: str, path: str) -> HttpRoute:
        """What answers, or `Refusal` 404 or 405."""
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
        """Listens and serves; returns the port. Raises `EngineError` where the port is not to be had.

        listener: a socket that listens already, instead of host and port.
        """
        if listener is None:
            listener = _listen(host, port)
        listener.setblocking(False)
        self._listeners.append(listener)
        self.port = listener.getsockname()[1]
        self.site = Site("https" if self.tls else "http", self.port, LOOPBACK | self.hosts)
        self.spawn(self._accept(listener))
        if self._sweep is None:
            self._sweep_up()
        return self.port

    async def stop(self) -> None:
        """Closes every connection and the port. Handlers still at work are cancelled."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        await self.listeners.stop()
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
        }

    async def handle(self, route: HttpRoute, request: HttpRequest) -> Response:
        """What the route answers; its exceptions become one line and a 500."""
        try:
            result = route.handler(request)
            if not isinstance(result, Response):
                async with asyncio.timeout(self.limits.handler_seconds):
                    result = await result
            if not isinstance(result, Response):
                raise TypeError(f"a handler answers with a Response, not {type(result).__name__}")
            result.check()
            return result
        except Refusal as refusal:
            return self.refused(refusal)
        except TimeoutError:
            self._failed(request, "no answer in time")
            return answer({"error": "this address did not answer in time"}, 503)
        except AntiphonError as error:
            return self.refused(Refusal(400, str(error)))
        except Exception as error:
            self._failed(request, f"{type(error).__name__}: {error}")
            return answer({"error": "this address failed; the server's log says how"}, 500)

    def hold(self, request: HttpRequest, held: int, size: int) -> None:
        """Takes a piece of a request's body into account.

        Args:
            request: Its head.
            held: Bytes of the body so far.
            size: Bytes of the piece.

        Raises:
            Refusal: The body is too long, there are too many at once, or the request may have none.
        """
        if request.method in ("GET", "HEAD"):
            raise Refusal(413, "a GET carries no body")
        if held + size > self.limits.body:
            raise Refusal(413, f"a request body has at most {self.limits.body} bytes")
        if self.body_bytes + size > self.limits.bodies:
            raise Refusal(429, "too much is being sent at once; try again", (("Retry-After", "1"),))
        self.body_bytes += size

    def may_listen(self, scope: MutableMapping[str, Any], state: dict[str, Any]) -> bool:
        """Whether a request for a WebSocket gets one; what is refused is answered as a request without it."""
        try:
            request, _ = admitted(self, scope, state["target"])
        except Refusal:
            return False
        return request.method == "GET" and self.listeners.room

    def refused(self, refusal: Refusal) -> Response:
        """The response to a request that is not acted on."""
        self.counters.refused += 1
        if refusal.page:
            return Response(refusal.status, refusal.page.encode(), "text/html; charset=utf-8", refusal.headers)
        return answer({"error": str(refusal)}, refusal.status, refusal.headers)

    def wait(self, connection: HttpConnection) -> None:
        """The connection waits for its client, from now."""
        self.busy.discard(connection)
        self.waiting.pop(connection, None)
        self.waiting[connection] = asyncio.get_running_loop().time()

    def work(self, connection: HttpConnection) -> None:
        """A handler works for the connection; its client has no deadline meanwhile."""
        self.waiting.pop(connection, None)
        self.busy.add(connection)

    def queue(self, connection: HttpConnection) -> None:
        """The connection has bytes to make sense of: it gets a turn after those that came before."""
        self._turns.append(connection)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self._take_turns)

    def gone(self, connection: HttpConnection) -> None:
        self.waiting.pop(connection, None)
        self.busy.discard(connection)

    def _failed(self, request: HttpRequest, why: str) -> None:
        self.counters.errors += 1
        log.error("%s %s failed: %s", request.method, request.path, " ".join(why.split())[:500])

    def _below(self, path: str) -> dict[str, HttpRoute] | None:
        parts = path.split("/")
        for depth in range(len(parts) - 1, 0, -1):
            methods = self._routes.get("/".join(parts[:depth]) + "/*")
            if methods is not None:
                return methods
        return None

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                peer, _ = await loop.sock_accept(listener)
            except OSError as error:
                # Out of descriptors: room is made, and tried again; a peer gone already is nothing.
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
            await asyncio.sleep(0)

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
            # No TLS from the other side, or it left: nothing was asked.
            self.counters.refused += 1
            self.gone(connection)
        finally:
            connection.opening = None

    def _drop_oldest(self) -> bool:
        """Closes the connection that has waited longest; False where all are being worked for."""
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
        """Gives turns for `BUDGET` seconds, then the sockets and the timers have theirs."""
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
