"""An HTTP/1.1 server with routes and with limits for clients: Starlette's router behind a guard, on h11.

server = HttpServer(authorise=keeper.check)
server.add("GET", "/plugins/hello", lambda request: text("hello"))
port = await server.start("127.0.0.1", 4401)
...
await server.stop()
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from antiphon.kernel.wire.osc import Arg
from antiphon.operations.shared import OperationCaller, SharedOperation
from antiphon.web.access import CodeGuard, add_offered_token
from antiphon.web.control_link import ControlLink
from antiphon.web.http_message import Authorise, Handler, HttpRefusal, HttpRequest, Response, answer, text
from antiphon.web.operations import Operation, TokenLevel, operations_of
from antiphon.web.osc_socket import OscRefusals
from antiphon.web.oscquery.listeners import Listeners
from antiphon.web.protocol.application import Endpoint, Guard, Routes
from antiphon.web.protocol.connection import BACKLOG, Connections
from antiphon.web.protocol.guard import LOOPBACK, HttpCounters, Limits, RequestGate, Site
from antiphon.web.protocol.lanes import LANE, LanePool
from antiphon.web.protocol.websocket import ServeWebSocket

__all__ = [
    "Authorise", "Handler", "HttpCounters", "HttpRefusal", "HttpRequest", "HttpServer", "Limits", "Response", "answer",
    "text",
]  # fmt: skip


Found = TypeVar("Found")
ASKED, MAX_ASKED = 2, 64
"""Maximum operations of plugins that run at a time, and maximum running or waiting ones."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """Files that clients have sent."""

    folder: Path  # folder in which files of clients wait, for what has a subfolder of its own in it
    path: Callable[[str], Path]  # gives the path of a file by its identifier; `HttpRefusal` without one


class HttpServer:
    """HTTP server: routes, connections and limits.

    `token`: the token that every request needs with `--lan`, else "". `operations`: operations added by `serve`, in
    order. `uploads`: files that clients have sent; None without file operations. `live`: the performer of live scripts,
    and who may evaluate; None until the routes of live scripts are added. `port`: its port, after `start`. `draining`:
    functions called repeatedly while it drains; each starts nothing new, and returns the number of running tasks.
    `counts`: further counters for `/api/status`, by name.
    """

    def __init__(
        self, control: ControlLink | None = None, authorise: Authorise | None = None, limits: Limits | None = None
    ) -> None:
        self.control = control
        self.gate = RequestGate(limits or Limits(), authorise=authorise)
        self.listeners = Listeners(control)
        self.routes = Routes(self.gate)
        self.connections = Connections(Guard(self.routes, self.gate), self.gate, self._websocket_of)
        self.hosts: frozenset[str] = frozenset()
        self.proxied: frozenset[str] = frozenset()
        self.token, self.port = "", 0
        self.operations: list[Operation] = []
        self.uploads: Uploads | None = None
        self.live: tuple[Any, CodeGuard] | None = None  # a PerformerLink, which knows the page, which knows this
        self._messages: OscRefusals | None = None
        self._threads, self._asked = ThreadPoolExecutor(ASKED, "operations"), 0
        self.closing: list[Callable[[], Awaitable[None]]] = []
        self.draining: list[Callable[[], int]] = []
        self.counts: dict[str, Callable[[], int]] = {}
        self.name: Callable[[], str] = lambda: "Antiphon"

    @property
    def tls(self) -> ssl.SSLContext | None:
        """TLS context for HTTPS; None for HTTP."""
        return self.connections.tls

    def add(self, method: str, path: str, handler: Handler, *, token: bool = False) -> None:
        """Adds a route.

        `method`: GET, POST, PUT, PATCH or DELETE. All but GET need the token; a GET route also answers HEAD. `path`:
        such as /plugins/NAME/THING; "/*" at its end matches every path below, and {part} one part of the path, which
        `request.parts` then holds. Below /plugins/ no path is reserved. `handler`: called with each request; it returns
        a `Response` or an awaitable of one. Raises PluginError: the path is reserved, taken or malformed, or there is
        no such method.
        """
        self.routes.add(method.upper(), path, Endpoint(handler, token or method.upper() != "GET"))

    def serve(self, owner: object) -> None:
        """Adds the operations that an object's class declares, also to the OpenAPI document."""
        for one in operations_of(type(owner)):
            self._put(one, one.bind(owner))

    def offer(self, operation: SharedOperation) -> None:
        """Adds the route of an operation, which is done in a thread."""

        async def handler(request: HttpRequest, body: Any) -> Any:
            loop = asyncio.get_running_loop()

            def ask(address: str, *args: Arg) -> tuple[Arg, ...]:
                return asyncio.run_coroutine_threadsafe(self.ask(address, f"{address}.reply", *args), loop).result()

            return await self.in_thread(operation.answer, body, OperationCaller(ask))

        handler.__doc__ = operation.doc
        level, example = TokenLevel.OWNER, {"body": dict(operation.example)}
        path, answers = f"/api{operation.path}", operation.answers
        one = Operation("POST", path, handler, answers, body=operation.body, level=level, example=example)
        self._put(one, partial(one.call, handler))

    async def in_thread(self, work: Callable[..., Found], *given: Any) -> Found:
        """Runs work in a thread, separate from those in which routes read files; returns the result.

        Raises HttpRefusal 503: too much work is waiting.
        """
        if self._asked >= MAX_ASKED:
            raise HttpRefusal(503, f"{MAX_ASKED} questions wait already; try again", (("Retry-After", "5"),))
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)
        finally:
            self._asked -= 1

    def _put(self, one: Operation, handler: Handler) -> None:
        endpoint = Endpoint(handler, one.level is TokenLevel.OWNER, one.upload, one.live)
        self.routes.add(one.method, one.path, endpoint)
        self.operations.append(one)

    async def ask(self, address: str, answer: str, *args: Arg) -> tuple[Arg, ...]:
        """Sends an OSC message, and returns the arguments of its answer at the address `answer`.

        Raises HttpRefusal: the message is refused, or not answered in time. Raises WireError: it cannot be encoded.
        """
        if self.control is None:
            raise HttpRefusal(503, "no server is here to be asked")
        if self._messages is None:
            self._messages = OscRefusals(self.control.osc)
            self.closing.append(self._messages.close)
        return await self._messages.ask(address, answer, *args)

    async def start(self, host: str = "127.0.0.1", port: int = 0, listener: socket.socket | None = None) -> int:
        """Listens and serves. Raises OSError: the port cannot be used."""
        asyncio.get_running_loop().set_default_executor(LanePool())
        listener = listener or socket.create_server((host, port), backlog=BACKLOG)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self.gate.site = Site("https" if self.tls else "http", self.port, LOOPBACK | self.hosts, self.proxied)
        await self.connections.accept(listener)
        return self.port

    async def stop(self) -> None:
        """Closes every connection and the port, and cancels the handlers that still run."""
        await self.listeners.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for close in self.closing:
            await close()
        await self.connections.stop()

    def status(self) -> dict[str, int]:
        """Returns counters for `/api/status`."""
        counts = self.gate.counters
        return {
            "http_requests": counts.requests,
            "http_refused": counts.refused,
            "http_errors": counts.errors,
            "http_timeouts": counts.timeouts,
            "http_dropped": counts.dropped,
            "http_connections": self.connections.count,
            **{name: count() for name, count in self.counts.items()},
        }

    def _websocket_of(self, scope: MutableMapping[str, Any]) -> ServeWebSocket | None:
        """WebSocket handler of a request; None if it is answered as a plain request."""
        given = {**scope, "headers": add_offered_token(scope["headers"]), "state": {}}
        try:
            request = self.gate.checked_request(given)
            serve, owner = self.routes.websockets.get(request.path, (self.listeners.serve, None))
            self.gate.check(request, given, owner is not None)
            if owner is not None:
                owner(request)
        except HttpRefusal:
            return None
        if request.method != "GET" or (request.path not in self.routes.websockets and not self.listeners.has_room):
            return None
        self.gate.counters.requests += 1
        LANE.set(request.path)
        return serve


TURN_SECONDS = 0.05
"""Poll interval in seconds of running requests."""


async def drain(server: HttpServer, seconds: float) -> bool:
    """Closes the port, and returns once all requests and jobs are finished, or after `seconds`.

    Idle connections are closed at once, others after their answer. It does not wait for WebSockets. Returns True if
    everything has finished.
    """
    connections = server.connections
    connections.close_port()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        for connection in list(connections.waiting):
            if connection.idle:
                connection.drop()
        left = connections.count + sum(hold() for hold in server.draining)
        if left == 0:
            return True
        if loop.time() >= end:
            return False
        await asyncio.sleep(TURN_SECONDS)
