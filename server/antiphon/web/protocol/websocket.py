"""WebSockets, on wsproto: received bytes are handled in turns, and sent messages have their own queue."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias
from urllib.parse import parse_qsl

import h11
from starlette.requests import ClientDisconnect
from wsproto import ConnectionType, WSConnection, events
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from antiphon.web.access import PROTOCOL

TURN_BYTES = 1024
"""Bytes handled per turn: up to 170 frames, which take about 2 ms."""
MAX_MESSAGE_BYTES = 4096
"""Maximum characters or bytes of a client's message."""
MAX_PINGS = 50
"""Maximum pings and pongs of a client in a second; beyond it is disconnected."""
SEND_SECONDS = 5.0
"""Seconds after which a client that does not read is disconnected."""


class WebSocket:
    """The server's end of one WebSocket.

    `turn`: lock held while bytes are handled, so that many busy clients do not delay the others.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, turn: asyncio.Lock, seconds: float
    ) -> None:
        self._reader, self._writer, self._turn, self._seconds = reader, writer, turn, seconds
        self._ws = WSConnection(ConnectionType.SERVER)
        self._messages: deque[str | bytes | None] = deque()
        self._parts: list[str | bytes] = []
        self._second = self._pings = 0
        self.query: dict[str, str] = {}

    def accept(self, request: h11.Request, early: bytes) -> None:
        """Answers the upgrade request; `early`: bytes received with it. wsproto's `RemoteProtocolError`: malformed."""
        target = request.target.decode("latin-1")
        self._ws.initiate_upgrade_connection(list(request.headers), target)
        (opening,) = self._ws.events()
        assert isinstance(opening, events.Request)
        self.query = dict(parse_qsl(target.partition("?")[2]))
        self._write(events.AcceptConnection(PROTOCOL if PROTOCOL in opening.subprotocols else None))
        self._handle(early)

    async def receive(self) -> str | bytes | None:
        """The client's next message; None if it has disconnected."""
        while not self._messages:
            data = await self._read()
            async with self._turn:
                self._handle(data or None)
                await asyncio.sleep(0)
        return self._messages.popleft()

    async def send(self, data: str | bytes) -> None:
        """Sends a message; `OSError` or `TimeoutError` if the client has disconnected, or does not read."""
        self._write(events.TextMessage(data) if isinstance(data, str) else events.BytesMessage(data))
        async with asyncio.timeout(SEND_SECONDS):
            await self._writer.drain()

    def close(self, code: int = CloseReason.NORMAL_CLOSURE, reason: str | None = None) -> None:
        """Sends a close frame, unless one was sent."""
        with contextlib.suppress(OSError):
            self._write(events.CloseConnection(code, reason))

    async def exchange(
        self,
        more: asyncio.Event,
        take: Callable[[], Iterable[str | bytes]],
        handle: Callable[[str | bytes], str] | None = None,
    ) -> None:
        """Sends the results of `take` whenever `more` is set, until the client disconnects or stops reading.

        `handle` is called with each message of the client and returns an answer, "" for none.
        """
        sending = asyncio.create_task(self._send_all(more, take))
        try:
            while not sending.done() and (message := await self.receive()) is not None:
                if handle is not None and (answer := handle(message)):
                    await self.send(answer)
        finally:
            sending.cancel()

    async def _send_all(self, more: asyncio.Event, take: Callable[[], Iterable[str | bytes]]) -> None:
        try:
            while True:
                await more.wait()
                more.clear()
                for data in take():
                    await self.send(data)
        except (TimeoutError, OSError):
            self._writer.transport.abort()

    async def _read(self) -> bytes:
        """Returns bytes from the client; empty if it has disconnected, or does not answer pings."""
        for _ in range(2):
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._reader.read(TURN_BYTES)
            except TimeoutError:
                self._write(events.Ping())
        return b""

    def _handle(self, data: bytes | None) -> None:
        self._ws.receive_data(data)
        for event in self._ws.events():
            if isinstance(event, events.Message):
                self._parts.append(event.data)
                if sum(map(len, self._parts)) > MAX_MESSAGE_BYTES:
                    self._end(CloseReason.MESSAGE_TOO_BIG)
                elif event.message_finished:
                    empty: str | bytes = "" if isinstance(event, events.TextMessage) else b""
                    self._messages.append(empty.join(self._parts))  # type: ignore[arg-type]
                    self._parts.clear()
            elif isinstance(event, events.CloseConnection):
                self._end(event.code)
            elif isinstance(event, events.Ping | events.Pong):
                self._count()
                if isinstance(event, events.Ping):
                    self._write(event.response())

    def _end(self, code: int) -> None:
        self.close(code)
        self._messages.append(None)

    def _count(self) -> None:
        """Counts a ping or pong; disconnects a client that sends too many."""
        second = int(asyncio.get_running_loop().time())
        self._pings = self._pings + 1 if second == self._second else 1
        self._second = second
        if self._pings > MAX_PINGS:
            self._writer.transport.abort()
            raise ClientDisconnect

    def _write(self, event: events.Event) -> None:
        try:
            data = self._ws.send(event)
        except LocalProtocolError as error:
            raise ConnectionResetError(str(error)) from None
        if self._writer.is_closing():
            raise ConnectionResetError("the client has disconnected")
        self._writer.write(data)


ServeWebSocket: TypeAlias = Callable[[WebSocket], Awaitable[None]]
"""Function that serves one WebSocket until it closes."""
