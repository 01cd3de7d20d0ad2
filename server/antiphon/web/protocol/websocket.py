"""The WebSocket protocol of the server: uvicorn's, on wsproto."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto import events

from antiphon.web.protocol.limits import LINGER_SECONDS, QUIET

PIECE = 1024
"""Bytes that are handled in a turn: up to 170 frames, which take 2 ms or so."""
MOST_PINGS = 50
"""Pings and pongs of a client in a second; one with more is disconnected."""


class ListenProtocol(WSProtocol):
    """uvicorn's protocol without log lines about clients' errors, and with a short wait for their close frames.

    What a client sends is handled in pieces, and one client's after another's: many who send much delay no other.
    """

    def __init__(self, queue: Callable[[ListenProtocol], None], *given: Any, **named: Any) -> None:
        """`queue` asks for a turn."""
        super().__init__(*given, **named)
        self.logger = QUIET
        self.close_timeout = LINGER_SECONDS
        self._queue, self._rest = queue, bytearray()
        self._asked = self._queued = False
        self._second = self._pings = 0

    def data_received(self, data: bytes) -> None:
        if not self._asked:  # the request, which was received already
            self._asked = True
            super().data_received(data)
            return
        self._rest += data
        if len(self._rest) > PIECE:
            self.transport.pause_reading()
        self._wait()

    def _wait(self) -> None:
        if not self._queued:
            self._queued = True
            self._queue(self)

    def turn(self) -> None:
        """Handles at most `PIECE` of what was received."""
        self._queued = False
        if self.disconnected or self.transport.is_closing():
            return
        piece = bytes(self._rest[:PIECE])
        del self._rest[:PIECE]
        super().data_received(piece)
        if self._rest:
            self._wait()
        elif not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def handle_ping(self, event: events.Ping) -> None:
        if self._may():
            super().handle_ping(event)

    def handle_pong(self, event: events.Pong) -> None:
        if self._may():
            super().handle_pong(event)

    def _may(self) -> bool:
        """Counts a ping or a pong; whether it may be handled."""
        second = int(self.loop.time())
        if second != self._second:
            self._second, self._pings = second, 0
        self._pings += 1
        if self._pings > MOST_PINGS:
            self._rest.clear()
            self.transport.abort()
        return self._pings <= MOST_PINGS and not self.transport.is_closing()
