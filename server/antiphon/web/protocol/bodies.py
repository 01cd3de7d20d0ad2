"""Bodies that are not held in memory: a request's, read in pieces, and a response's, sent from a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable
from starlette.types import Receive, Send

from antiphon.io.http_message import Refusal

PIECE = 256 * 1024
"""Bytes of a file that are read and sent at a time."""
PIECE_SECONDS = 30.0
"""Time in which a client must read a piece; after it the connection is closed."""
SLOWEST, AFTER = 16 * 1024, 10.0
"""Bytes a second that a client must send on average once so many seconds have passed: a few slow clients would hold all
the places for uploads otherwise."""
SLOWEST_LIVE = 1024
"""The same of sound that is sent as it is made: speech has 8 kbit/s at the least."""
LIVE_CHUNKS, LIVE_SECONDS = 1_000_000, 30.0
"""Chunks of such a body: 5 hours of 50 a second; and the time in which its next piece must come."""


class Disconnect(Exception):
    """The client disconnected before its request was complete."""


class StreamedBody:
    """The pieces of a request's body, by `async for`.

    Attributes:
        complete: Whether the last piece was read.
    """

    def __init__(
        self,
        receive: Receive,
        most: int,
        renew: Callable[[], None],
        work: Callable[[], None] = lambda: None,
        slowest: int | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            receive: Of ASGI.
            most: Bytes that the body may have.
            renew: Called when a piece is waited for: the client's time begins again.
            work: Called with each piece: the handler's time begins.
            slowest: Bytes a second that are expected; None for `SLOWEST`.
        """
        self._receive, self._most, self._renew, self._work = receive, most, renew, work
        self._slowest = SLOWEST if slowest is None else slowest
        self._received = 0
        self._began = asyncio.get_running_loop().time()
        self.complete = False

    def __aiter__(self) -> StreamedBody:
        return self

    async def __anext__(self) -> bytes:
        """The next piece, never empty; raises `Refusal` where the body is too long or too slow."""
        while not self.complete:
            self._renew()
            message = await self._receive()
            self._work()
            if message["type"] == "http.disconnect":
                raise Disconnect
            piece: bytes = message["body"]
            self.complete = not message["more_body"]
            self._received += len(piece)
            if self._received > self._most:
                raise Refusal(413, f"a request body has at most {self._most} bytes")
            if not self.complete:
                self._check_speed()
            if piece:
                return piece
        raise StopAsyncIteration

    def _check_speed(self) -> None:
        seconds = asyncio.get_running_loop().time() - self._began
        if seconds > AFTER and self._received < seconds * self._slowest:
            raise Refusal(408, f"a file must be sent with {self._slowest} bytes a second at least")


class FileBody(FileResponse):
    """A file as the body of a response, or the one range of it that a request asks for.

    Of several ranges, and of what is no range of bytes, the whole file is the answer, as RFC 9110 allows: no client of
    sound files asks for several.
    """

    chunk_size = PIECE
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


async def send_pieces(send: Send, pieces: AsyncIterator[bytes]) -> None:
    """Sends pieces as they come, as the body of a response whose head was sent."""
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
