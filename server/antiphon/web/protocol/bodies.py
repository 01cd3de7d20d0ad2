"""Streamed bodies: a request's, read in pieces, and a response's, sent from a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable
from starlette.types import Receive, Scope

from antiphon.web.http_message import Refusal
from antiphon.web.protocol.connection import HttpConnection

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
