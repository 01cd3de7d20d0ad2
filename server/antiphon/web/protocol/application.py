"""ASGI application: `Guard`, which forwards allowed requests, wrapped around Starlette's router and its `Resource`s."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from stat import ST_SIZE
from typing import Any, TypeAlias

from anyio import AsyncFile
from starlette.requests import ClientDisconnect, Request as BodyReader
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable, Response as BytesResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from antiphon.jobs.job import (
    FileInUse,
    Missing,
    StorageFull,
    TooManyRequests,
    Unavailable,
    UnreadableFile,
    UnsupportedFormat,
)
from antiphon.kernel.errors import AntiphonError, PluginError
from antiphon.kernel.runtime.extras import advice
from antiphon.web.http_message import Handler, HttpRefusal, HttpRequest, Response, answer
from antiphon.web.protocol.connection import HttpConnection
from antiphon.web.protocol.guard import RequestGate, count_failure
from antiphon.web.protocol.lanes import LANE
from antiphon.web.protocol.websocket import ServeWebSocket

STATUSES: dict[type[AntiphonError], int] = {
    Missing: 404,
    FileInUse: 409,
    UnsupportedFormat: 415,
    UnreadableFile: 422,
    TooManyRequests: 429,
    Unavailable: 503,
    StorageFull: 507,
}
"""HTTP status by error; for any other error 400, the request's fault."""


def refusal_of(error: AntiphonError) -> HttpRefusal:
    """Converts an error to the refusal sent to a client."""
    if isinstance(error, HttpRefusal):
        return error
    wait = (("Retry-After", str(error.retry_seconds)),) if isinstance(error, TooManyRequests) else ()
    return HttpRefusal(STATUSES.get(type(error), 400), str(error), wait)


SLOWEST, AFTER = 16 * 1024, 10.0
"""Minimum average upload speed in bytes a second, and initial seconds that are not counted, since a busy machine may
need them. Without a minimum a few slow clients would occupy all upload slots."""
SLOWEST_LIVE = 1024
"""Minimum speed of live sound: speech has at least 8 kbit/s."""
LIVE_CHUNKS, LIVE_SECONDS = 1_000_000, 30.0
"""Maximum chunks of a live body: 5 hours of 50 a second; and timeout in seconds for its next piece."""


async def body_pieces(scope: Scope, receive: Receive, most: int, *, live: bool) -> AsyncIterator[bytes]:
    """Yields the non-empty pieces of a request's body.

    `live` sound may be sent in real time: in small chunks, at a low bit rate. Raises HttpRefusal: the body is too long
    or too slow, or its framing is wrong.
    """
    connection: HttpConnection = scope["state"]["connection"]
    connection.piece_seconds, slowest = connection.limits.request_seconds, SLOWEST
    if live:
        connection.piece_seconds, slowest, connection.chunks_left = LIVE_SECONDS, SLOWEST_LIVE, LIVE_CHUNKS
    loop, received = asyncio.get_running_loop(), 0
    began = loop.time()
    while not connection.complete:
        piece = (await receive())["body"]
        received += len(piece)
        if received > most:
            raise HttpRefusal(413, f"a request body has at most {most} bytes")
        seconds = loop.time() - began
        if not connection.complete and received < (seconds - AFTER) * slowest:
            raise HttpRefusal(408, f"a file must be sent with {slowest} bytes a second at least")
        if piece:
            yield piece


class _FileSnapshot:
    """The bytes that a file had at the request, without bytes appended since.

    `head`: bytes read in place of the first.
    """

    def __init__(self, file: AsyncFile[bytes], length: int, head: bytes) -> None:
        self._file, self._length, self._head, self._at = file, length, head, 0

    async def read(self, most: int) -> bytes:
        """Returns the next bytes; fewer only at the end."""
        at = self._at
        read = await self._file.read(max(0, min(most, self._length - at)))
        self._at += len(read)
        return (self._head[at:] + read[max(0, len(self._head) - at) :])[: len(read)]

    async def seek(self, at: int) -> None:
        """Moves to a position in bytes from the start."""
        self._at = await self._file.seek(at)


class FileBody(FileResponse):
    """A file as the body of a response, or the single range that a request asks for.

    A growing file is sent with its length at the request.

    For several ranges, or an invalid one, the whole file is the answer, as RFC 9110 allows: no client of sound files
    asks for several.
    """

    chunk_size = 256 * 1024
    max_ranges = 1

    @classmethod
    async def of(cls, response: Response, path: Path, headers: dict[str, str]) -> "FileBody":
        """Body of the response with that file; the stated length limits later reads."""
        stat = await asyncio.to_thread(os.stat, path)
        length = stat.st_size if response.length < 0 else response.length
        stat = os.stat_result((*stat[:ST_SIZE], length, *stat[ST_SIZE + 1 :]))
        made = cls(path, 200, headers, response.type, stat_result=stat)
        made._length, made._head = length, response.head
        return made

    _length, _head = 0, b""

    @contextlib.asynccontextmanager
    async def _open_file(self) -> AsyncIterator[Any]:
        async with super()._open_file() as file:
            yield _FileSnapshot(file, self._length, self._head)

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable:
            headers = (("Content-Range", f"bytes */{file_size}"),)
            raise HttpRefusal(416, f"the file has {file_size} bytes", headers) from None


_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date", "content-type", "upgrade"})


class Guard:
    """ASGI middleware that forwards requests admitted by the gate, and answers refusals."""

    def __init__(self, app: ASGIApp, gate: RequestGate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forwards the request, or answers 4xx and closes the connection."""
        self._gate.counters.requests += 1
        try:
            scope["state"]["request"] = request = self._gate.checked_request(scope)
            scope["path"] = request.path
            await self._app(scope, receive, send)
        except ClientDisconnect:
            raise
        except Exception as error:
            if scope["state"]["connection"].started:
                raise
            await respond(self._failed(scope, error), scope, receive, send)

    def _failed(self, scope: Scope, error: Exception) -> Response:
        if isinstance(error, AntiphonError):
            return self._gate.refuse(refusal_of(error))
        late = isinstance(error, TimeoutError)
        why = "no answer in time" if late else error
        count_failure(self._gate.counters, f"{scope['method']} {scope['path']}", why)
        if late:
            return answer({"error": "this address did not answer in time"}, 503)
        return answer({"error": "this address failed; see the server's log"}, 500)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler with its request settings.

    `handler`: called with the request and, if `most` is set, with the pieces of its body.
    """

    handler: Callable[..., Response | Awaitable[Response]]
    token: bool
    most: int = 0  # bytes of a body that it reads in pieces; 0 for one that is read before
    live: bool = False  # whether sound may be sent as it is made: in small chunks, at a low bit rate


class Resource:
    """The ASGI application of one path: an endpoint for each method."""

    def __init__(self, gate: RequestGate) -> None:
        self._gate = gate
        self.endpoints: dict[str, Endpoint] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks the token, reads the body, calls the handler and answers."""
        head = scope["method"] == "HEAD"
        endpoint = self.endpoints.get("GET" if head else scope["method"])
        if endpoint is None:
            allowed = ", ".join(sorted(self.endpoints))
            raise HttpRefusal(405, f"this address takes {allowed}", (("Allow", allowed),))
        request: HttpRequest = replace(scope["state"]["request"], parts=scope.get("path_params", {}))
        self._gate.check(request, scope, endpoint.token, endpoint.most)
        if endpoint.most:
            body = body_pieces(scope, receive, endpoint.most, live=endpoint.live)
            response = await self._call_handler(endpoint, request, body)
        else:
            response = await self._answer_with_body(endpoint, request, scope, receive)
        await respond(response, {**scope, "headers": []} if head else scope, receive, send)

    async def _answer_with_body(
        self, endpoint: Endpoint, request: HttpRequest, scope: Scope, receive: Receive
    ) -> Response:
        body = bytearray()
        try:
            async for piece in BodyReader(scope, receive).stream():
                if piece:
                    self._gate.hold(request, len(body), len(piece))
                    body += piece
            return await self._call_handler(endpoint, replace(request, body=bytes(body)))
        finally:
            self._gate.body_bytes -= len(body)

    async def _call_handler(self, endpoint: Endpoint, request: HttpRequest, *pieces: AsyncIterator[bytes]) -> Response:
        """Calls a handler, without a time limit if it streams its body, since the client's speed is limited."""
        LANE.set(endpoint)
        async with asyncio.timeout(None if pieces else self._gate.limits.handler_seconds):
            result = endpoint.handler(request, *pieces)
            if isinstance(result, Awaitable):
                result = await result
        if not isinstance(result, Response):
            raise TypeError(f"a handler answers with a Response, not {type(result).__name__}")
        result.check()
        return result


async def respond(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends a handler's response."""
    headers: dict[str, Any] = {name: value for name, value in response.headers if name.lower() not in _OURS}
    if response.file is not None and response.status == 200:
        await (await FileBody.of(response, response.file, headers))(scope, receive, send)
        return
    empty = response.status in (204, 304)
    sent = BytesResponse(b"" if empty else response.body, response.status, headers, None if empty else response.type)
    if response.pieces is None:
        await sent(scope, receive, send)
        return
    # not by StreamingResponse, which would read the request's body, as its handler does, to see a disconnect
    raw = [(name, value) for name, value in sent.raw_headers if name != b"content-length"]
    await send({"type": "http.response.start", "status": response.status, "headers": raw})
    async for piece in response.pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


Owner: TypeAlias = Callable[[HttpRequest], None]
"""Check that raises `HttpRefusal` if a request with the token is still not allowed."""

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Routes:
    """Routes of a server, an ASGI application.

    `fallback`: answers GET for paths without a route; `websockets`: handler and check of token requests, by path.
    """

    def __init__(self, gate: RequestGate) -> None:
        self._gate = gate
        self._routers: dict[str, Router] = {}  # by the first part of the path
        self._resources: dict[str, Resource] = {}
        self.websockets: dict[str, tuple[ServeWebSocket, Owner | None]] = {}
        self._reserved: frozenset[str] | None = None
        self.fallback: Handler | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        await self._routers.get(scope["path"][1:].partition("/")[0], self._unknown)(scope, receive, send)

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        """Adds a route; of several matches, one without "*" has priority, then the one with the fewest {parts}.

        A path has the form /plugins/NAME/THING/{part}; "/*" at its end matches every path below. A GET route also
        answers HEAD. Raises PluginError: the path is reserved, taken or malformed, or there is no such method.
        """
        _, first, *more = *path.split("/"), ""
        if not path.startswith("/") or "//" in path or "{" in first or any(p in (".", "..") for p in more):
            raise PluginError(f"{path!r} is not a route; write a path like /plugins/NAME/THING")
        if self._reserved is not None:
            own_api = first == "api" and not (more and _NAME.fullmatch(more[0]))
            if own_api or first in self._reserved or "/".join((first, *more[:1])) in self._reserved:
                raise PluginError(f"{path!r} is reserved; put the route below /plugins/ or /api/NAME")
        if method not in _METHODS:
            raise PluginError(f"{method!r} is not a method a route takes: GET, POST, PUT, PATCH or DELETE")
        if path not in self._resources:
            resource = Resource(self._gate)
            pattern = path.removesuffix("*") + "{rest:path}" if path.endswith("/*") else path
            try:
                route = Route(pattern, resource)
            except (ValueError, AssertionError) as error:
                raise PluginError(f"{path!r} is not a route ({error}); write a path like /plugins/NAME/THING") from None
            self._resources[path] = resource
            router = self._routers.setdefault(first, Router(redirect_slashes=False, default=self._unknown))
            router.routes.append(route)
            router.routes.sort(key=lambda one: _order(one.path))  # type: ignore[attr-defined]
        if method in self._resources[path].endpoints:
            raise PluginError(f"{method} {path} is taken by another plugin; choose another path")
        self._resources[path].endpoints[method] = endpoint

    def add_websocket(self, path: str, serve: ServeWebSocket, owner: Owner | None = None) -> None:
        """Serves the WebSockets of a path by `serve`; the server answers a plain request with 426.

        `owner`: if given, the token is required, and the server calls `owner` with the request, which may raise
        `HttpRefusal`. None: no token is needed, unless the server needs one for everything. Pages of other sites are
        always refused.
        """
        self.websockets[path] = serve, owner

        def upgrade(request: HttpRequest) -> Response:
            if owner is not None:
                owner(request)
            raise HttpRefusal(426, "this address is for WebSockets")

        self.add("GET", path, Endpoint(upgrade, owner is not None))

    def paths(self) -> list[tuple[str, str]]:
        """Path and method of every route."""
        return [(path, method) for path, one in self._resources.items() for method in one.endpoints]

    def reserve(self, names: frozenset[str]) -> None:
        """From now on makes `add` refuse "/" and paths whose first part, or first two, are among `names`."""
        self._reserved = names | {"", "*"}

    async def _unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        api = scope["path"].startswith("/api/")
        lacking = advice("plugin", scope["path"].split("/")[2]) if api else ""
        if lacking or self.fallback is None or (api and scope["method"] not in ("GET", "HEAD")):
            raise HttpRefusal(404, lacking or "there is nothing at this address")
        resource = Resource(self._gate)
        resource.endpoints["GET"] = Endpoint(self.fallback, False)
        await resource(scope, receive, send)


def _order(path: str) -> tuple[bool, int, int]:
    return "{rest:path}" in path, path.count("{"), -len(path)
