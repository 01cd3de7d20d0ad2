"""WebSocket port of Strudel's `.osc()`: each text message is one event as JSON, played at its time stamp.

    {"address": "/dirt/play", "args": ["s", "bd", "cps", 0.5], "timestamp": 1795641644621.9}

Pages may connect from strudel.cc, or from a server on this machine; programs other than browsers send no Origin.
"""

import asyncio
import contextlib
import socket
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
from wsproto import ConnectionType, WSConnection, events
from wsproto.connection import ConnectionState
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from antiphon.api.backends.transports import NOW, RequestError, TransportServer, WireError, timetag_of
from antiphon_dirt.player import PLAY, DirtPlayer

STRUDEL = frozenset({"strudel.cc", "www.strudel.cc"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PIECE = 4096
"""Bytes handled before the event loop runs again: about twenty events, which take about 2 ms."""
MAX_BYTES = 32 * 1024
"""Maximum bytes of a message: four times an event of 128 fields."""
MAX_CLIENTS = 16
OPENING_SECONDS = 5.0
"""Seconds within which a client must request the WebSocket."""
MAX_TIMESTAMP_MS = 1e15
"""Maximum time stamp in ms: beyond it the arithmetic of time tags is not exact."""


class StrudelEvent(msgspec.Struct, frozen=True):
    """A client's message."""

    address: str
    args: list[Any] = []  # names and values in turn
    timestamp: float | None = None  # milliseconds since 1970; None for now


class StrudelPort:
    """WebSocket server of Strudel, on loopback."""

    def __init__(self, server: TransportServer, player: DirtPlayer, sockets: tuple[socket.socket, ...]) -> None:
        """Takes ownership of bound sockets."""
        self._server, self._player, self._sockets = server, player, sockets
        self._clients: set[asyncio.StreamWriter] = set()
        self.turned_away = 0
        self._turn = asyncio.Lock()
        self._read = msgspec.json.Decoder(StrudelEvent).decode

    async def run(self) -> None:
        """Serves until the server ends."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._close)
            for sock in self._sockets:
                await stack.enter_async_context(await asyncio.start_server(self._serve, sock=sock))
            await asyncio.get_running_loop().create_future()

    def figures(self) -> dict[str, Any]:
        """Figures for `/api/status`."""
        port = self._sockets[0].getsockname()[1] if self._sockets[0].fileno() >= 0 else 0
        return {"strudel_port": port, "strudel_clients": len(self._clients), "turned_away": self.turned_away}

    def _close(self) -> None:
        for writer in self._clients:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            self.turned_away += 1
            writer.transport.abort()
            return
        self._clients.add(writer)
        connection = Connection(writer)
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                while not connection.open:
                    await self._handle(connection, await reader.read(PIECE))
            while not connection.ended:
                await self._handle(connection, await reader.read(PIECE))
        except (TimeoutError, OSError, RemoteProtocolError, LocalProtocolError):
            pass  # the client has gone, or speaks no WebSocket
        finally:
            self.turned_away += not connection.open
            self._clients.discard(writer)
            writer.close()

    async def _handle(self, connection: "Connection", data: bytes) -> None:
        """Plays what a piece completes. All clients together handle one piece between two turns of the event loop."""
        async with self._turn:
            self._play(connection.take(data))
            await asyncio.sleep(0)  # a read of bytes that have come already gives no turn away

    def _play(self, texts: list[str]) -> None:
        if not texts:
            return
        with self._server.turn():
            self._player.find_orbits()
            for text in texts:
                self._player.attempt(partial(self._event, text))

    def _event(self, text: str) -> None:
        try:
            event = self._read(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise WireError(f"an event of Strudel is JSON with address, args and timestamp: {error}") from None
        if event.address not in PLAY:
            self._player.count(event.address[:64])
            return
        if event.timestamp is None:
            self._player.play(event.args, NOW)
            return
        if not 0.0 <= event.timestamp <= MAX_TIMESTAMP_MS:
            raise RequestError("an event of Strudel has a timestamp in milliseconds since 1970")
        self._player.play(event.args, self._server.when(timetag_of(round(event.timestamp * 1e6))))


class Connection:
    """One WebSocket: converts bytes to texts. `ended`: whether it is closed; nothing more may be read then."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._ws = WSConnection(ConnectionType.SERVER)
        self._parts: list[str] = []
        self.open = self.ended = False  # whether the client's request was accepted

    def take(self, data: bytes) -> list[str]:
        """Handles received bytes, empty at the client's end; returns the texts they complete.

        Raises OSError: the connection ended before it was open. Raises RemoteProtocolError: the bytes are not a
        WebSocket's.
        """
        texts: list[str] = []
        try:
            self._ws.receive_data(data or None)
        except RemoteProtocolError as error:
            if error.event_hint is not None:
                self._send(error.event_hint)
            raise
        for event in self._ws.events():
            self._event(event, texts)
        if self.ended and not self.open:
            raise ConnectionResetError
        return texts

    def _event(self, event: events.Event, texts: list[str]) -> None:
        match event:
            case events.Request():
                self._answer(event)
            case events.TextMessage():
                self._parts.append(event.data)
                if sum(map(len, self._parts)) > MAX_BYTES:
                    self._end(CloseReason.MESSAGE_TOO_BIG)
                elif event.message_finished:
                    texts.append("".join(self._parts))
                    self._parts.clear()
            case events.BytesMessage():
                self._end(CloseReason.UNSUPPORTED_DATA)
            case events.Ping():
                self._send(event.response())
            case events.CloseConnection():
                if not self.ended and self._ws.state is ConnectionState.REMOTE_CLOSING:
                    self._send(event.response())
                self.ended = True

    def _answer(self, request: events.Request) -> None:
        origin = next((value for name, value in request.extra_headers if name.lower() == b"origin"), b"")
        self.open = may_connect(origin.decode("latin-1"))
        if self.open:
            self._send(events.AcceptConnection())
            return
        body = b"pages of strudel.cc and of this machine may connect, no others\n"
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
        self._send(events.RejectConnection(status_code=403, headers=headers, has_body=True))
        self._send(events.RejectData(data=body))
        self.ended = True

    def _end(self, reason: CloseReason) -> None:
        if not self.ended:
            self._send(events.CloseConnection(reason))
        self.ended = True

    def _send(self, event: events.Event) -> None:
        # a client that reads none of its answers is not waited for
        if self._writer.transport.get_write_buffer_size() > MAX_BYTES:
            raise ConnectionResetError
        self._writer.write(self._ws.send(event))


def may_connect(origin: str) -> bool:
    """True for no origin, a page of strudel.cc, or one of this machine."""
    if not origin:
        return True
    try:
        parts = urlsplit(origin)
        host = parts.hostname
    except ValueError:
        return False
    return (parts.scheme == "https" and host in STRUDEL) or (parts.scheme in ("http", "https") and host in LOOPBACK)
