"""What uvicorn's protocol is given in place of h11's connection and of asyncio's transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11


class BoundedEvents(h11.Connection):
    """h11's connection with a limit of chunks per body, and without an event that uvicorn does not handle.

    Attributes:
        chunk_limit: Of the request that is being received.
        chunked: Whether its body comes in chunks.
        ended: Whether the client sends no more.
    """

    def __init__(self, header: int, chunks: int) -> None:
        super().__init__(h11.SERVER, header)
        self._most, self.chunk_limit, self._chunks = chunks, chunks, 0
        self.chunked = self.ended = False

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks, self.chunk_limit = 0, self._most
            self.chunked = any(name == b"transfer-encoding" for name, _ in event.headers)
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            if self._chunks > self.chunk_limit:
                raise h11.RemoteProtocolError(f"a request body has at most {self.chunk_limit} chunks", 413)
        elif isinstance(event, h11.ConnectionClosed):
            self.ended = True
            return h11.NEED_DATA
        return event


class PacedTransport:
    """A transport with `resume_reading` and `close` replaced; all else is passed on to it."""

    def __init__(self, transport: asyncio.Transport, resume: Callable[[], None], close: Callable[[], None]) -> None:
        self._transport, self.resume_reading, self.close = transport, resume, close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
