"""Clients of the page's WebSockets without a browser: one that measures, and nine that load the server."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import wsproto
from wsproto import events

from antiphon.web.page.node_sound import HEADER

CLIENTS = 9
"""Of scripted clients; each has the feed and one stream."""
MOVES = 20
"""Moves a second of each client."""
ONSET = 0.02
"""Of full scale: what is more is sound."""


class WebSocketClient:
    """One WebSocket to a server of this machine, read by a thread of its own until it is closed."""

    def __init__(self, port: int, path: str) -> None:
        """Connects.

        Raises:
            OSError: Nothing listens there.
            RuntimeError: The server refuses the WebSocket.
        """
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=30.0)
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        host = f"127.0.0.1:{port}"
        self._sock.sendall(self._protocol.send(events.Request(host=host, target=path, subprotocols=["antiphon"])))
        self._messages = self._events()
        if not isinstance(next(self._messages, None), events.AcceptConnection):
            raise RuntimeError(f"{path} was refused")

    def messages(self) -> Iterator[tuple[float, bytes | str]]:
        """Each message with the time of its arrival, in seconds of the wall clock."""
        held: list[bytes | str] = []
        for event in self._messages:
            if isinstance(event, events.Message):
                held.append(event.data if isinstance(event.data, str) else bytes(event.data))
                if event.message_finished:
                    yield time.time(), held[0] if len(held) == 1 else type(held[0])().join(held)  # type: ignore[arg-type]
                    held = []

    def send(self, text: str) -> None:
        self._sock.sendall(self._protocol.send(events.TextMessage(text)))

    def close(self) -> None:
        """Ends the connection, and the iteration of `messages`."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _events(self) -> Iterator[events.Event]:
        while True:
            try:
                data = self._sock.recv(65536)
            except OSError:
                return
            if not data:
                return
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                if isinstance(event, events.Ping):
                    self._sock.sendall(self._protocol.send(event.response()))
                else:
                    yield event


class Witness:
    """A client that notes when a node's sound and its meter rise: what a browser could show and play at the earliest.

    Attributes:
        sound: When the message with the first sound arrived since `arm`, 0 before.
        meter: When the meter's.
    """

    def __init__(self, port: int, node: str) -> None:
        """Listens to `node` of the server at `port`."""
        self.sound = self.meter = 0.0
        self._node = node
        self._clients = [WebSocketClient(port, f"/api/sound?node={node}"), WebSocketClient(port, "/api/feed")]
        for client, work in zip(self._clients, (self._hear, self._see), strict=True):
            threading.Thread(target=work, args=(client,), daemon=True).start()

    def arm(self) -> None:
        """Begins to wait for the next rise."""
        self.sound = self.meter = 0.0

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _hear(self, client: WebSocketClient) -> None:
        for at, data in client.messages():
            if not self.sound and isinstance(data, bytes):
                samples = np.frombuffer(data, np.float32, offset=HEADER.size)
                if len(samples) and np.abs(samples).max() > ONSET:
                    self.sound = at

    def _see(self, client: WebSocketClient) -> None:
        for at, text in client.messages():
            levels = json.loads(text).get("meters", {}).get(self._node)
            if not self.meter and levels and levels[0] > ONSET:
                self.meter = at


@contextlib.contextmanager
def load(port: int, node: str) -> Iterator[Callable[[], int]]:
    """`CLIENTS` clients in a process of their own that read everything and move the frequency of `node`.

    Yields:
        How many of their connections the server has closed so far, as too slow; they connect again.
    """
    context = multiprocessing.get_context("spawn")
    started, closed = context.Event(), context.Value("i", 0)
    process = context.Process(target=_clients, args=(port, node, started, closed), daemon=True)
    process.start()
    try:
        if not started.wait(60.0):
            raise RuntimeError("the clients could not connect")
        yield lambda: int(closed.value)
    finally:
        process.terminate()
        process.join()


def _clients(port: int, node: str, started: threading.Event, closed: Any) -> None:
    for number in range(CLIENTS):
        for path in ("/api/feed", "/api/sound?node=out"):
            moved = node if path == "/api/feed" else ""
            threading.Thread(target=_client, args=(port, path, moved, number, closed), daemon=True).start()
    time.sleep(0.5)
    started.set()
    threading.Event().wait()


def _client(port: int, path: str, moved: str, number: int, closed: Any) -> None:
    """One client: it reads all, and moves the frequency of `moved` after what it has read, `MOVES` times a second."""
    while True:
        with contextlib.suppress(OSError, RuntimeError, wsproto.utilities.ProtocolError):
            client, next_move = WebSocketClient(port, path), 0.0
            for at, _ in client.messages():
                if moved and at >= next_move:
                    client.send(json.dumps([f"/node/{moved}/frequency", 440.0 + number]))
                    next_move = at + 1.0 / MOVES
        with closed.get_lock():
            closed.value += 1
        time.sleep(0.2)
