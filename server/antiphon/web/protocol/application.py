"""ASGI application: `Guard`, which forwards allowed requests, around Starlette's router and its `Resource`s."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import ClientDisconnect, Request as BodyReader
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable, Response as BytesResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from antiphon.jobs.errors import InUse, Missing, StorageFull, TooMany, Unavailable, Unreadable, UnsupportedFormat
from antiphon.kernel.errors import AntiphonError
from antiphon.web.http_message import HttpRequest, Refusal, Response, answer
from antiphon.web.protocol.connection import HttpConnection
from antiphon.web.protocol.gate import RequestGate, count_failure

STATUSES: dict[type[AntiphonError], int] = {
    Missing: 404,
    InUse: 409,
    UnsupportedFormat: 415,
    Unreadable: 422,
    TooMany: 429,
    Unavailable: 503,
    StorageFull: 507,
}
"""Any other error is 400: the request's fault."""


def refusal_of(error: AntiphonError) -> Refusal:
    """Refusal sent to a client for an error."""
    if isinstance(error, Refusal):
        return error
    wait = (("Retry-After", str(error.retry_seconds)),) if isinstance(error, TooMany) else ()
    return Refusal(STATUSES.get(type(error), 400), str(error), wait)


SLOWEST, AFTER = 16 * 1024, 10.0
"""Minimum average upload speed in bytes a second, and the seconds after which it applies: a few slow clients would
occupy all upload slots otherwise."""
SLOWEST_LIVE = 1024
"""Minimum speed of live sound: speech has at least 8 kbit/s."""
LIVE_CHUNKS, LIVE_SECONDS = 1_000_000, 30.0
"""Maximum chunks of a live body: 5 hours of 50 a second; and timeout in seconds of its next piece."""


async def body_pieces(scope: Scope, receive: Receive, most: int, *, live: bool) -> AsyncIterator[bytes]:
    """The pieces of a request's body, none empty.

    `live` sound may be sent in real time: in small chunks, at a low bit rate. Raises Refusal: the body is too long or
    too slow, or its framing is wrong.
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
            raise Refusal(413, f"a request body has at most {most} bytes")
        seconds = loop.time() - began
        if not connection.complete and seconds > AFTER and received < seconds * slowest:
            raise Refusal(408, f"a file must be sent with {slowest} bytes a second at least")
        if piece:
            yield piece


class FileBody(FileResponse):
    """File as the body of a response, or the one range of it that a request asks for.

    For several ranges, or an invalid one, the whole file is the answer, as RFC 9110 allows: no client of sound files
    asks for several.
    """

    chunk_size = 256 * 1024
    max_ranges = 1

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable:
            headers = (("Content-Range", f"bytes */{file_size}"),)
            raise Refusal(416, f"the file has {file_size} bytes", headers) from None


_OURS = frozenset({"content-length", "transfer-encoding", "connection", "date", "content-type", "upgrade"})


class Guard:
    """ASGI middleware that forwards requests admitted by the gate, and answers refusals."""

    def __init__(self, app: ASGIApp, gate: RequestGate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forwards the request, or answers 4xx and closes the connection."""
        self._gate.counters.requests += 1
        try:
            scope["state"]["request"] = request = self._gate.admitted(scope)
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
            return self._gate.refused(refusal_of(error))
        late = isinstance(error, TimeoutError)
        why = "no answer in time" if late else error
        count_failure(self._gate.counters, f"{scope['method']} {scope['path']}", why)
        if late:
            return answer({"error": "this address did not answer in time"}, 503)
        return answer({"error": "this address failed; see the server's log"}, 500)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler with its request settings.

    `handler`: called with the request, and where `most` is set with the pieces of its body.
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
            raise Refusal(405, f"this address takes {allowed}", (("Allow", allowed),))
        request: HttpRequest = replace(scope["state"]["request"], parts=scope.get("path_params", {}))
        self._gate.check(request, scope, endpoint.token, endpoint.most)
        if endpoint.most:
            body = body_pieces(scope, receive, endpoint.most, live=endpoint.live)
            response = await self._called(endpoint, request, body)
        else:
            response = await self._with_body(endpoint, request, scope, receive)
        await respond(response, {**scope, "headers": []} if head else scope, receive, send)

    async def _with_body(self, endpoint: Endpoint, request: HttpRequest, scope: Scope, receive: Receive) -> Response:
        body = bytearray()
        try:
            async for piece in BodyReader(scope, receive).stream():
                if piece:
                    self._gate.hold(request, len(body), len(piece))
                    body += piece
            return await self._called(endpoint, replace(request, body=bytes(body)))
        finally:
            self._gate.body_bytes -= len(body)

    async def _called(self, endpoint: Endpoint, request: HttpRequest, *pieces: AsyncIterator[bytes]) -> Response:
        """Calls a handler; without a time limit if it streams its body: the client's speed is limited."""
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
        await FileBody(response.file, 200, headers, response.type)(scope, receive, send)
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
