"""Clients of the page's WebSockets without a browser: one that measures, and nine that load the server."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator

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
        """Sends a text."""
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
        """Ends both connections."""
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
def load(port: int, node: str) -> Iterator[None]:
    """`CLIENTS` clients in a process of their own that read everything and move the frequency of `node`."""
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    process = context.Process(target=_clients, args=(port, node, started), daemon=True)
    process.start()
    try:
        if not started.wait(60.0):
            raise RuntimeError("the clients could not connect")
        yield
    finally:
        process.terminate()
        process.join()


def _clients(port: int, node: str, started: threading.Event) -> None:
    feeds = [WebSocketClient(port, "/api/feed") for _ in range(CLIENTS)]
    streams = [WebSocketClient(port, "/api/sound?node=out") for _ in range(CLIENTS)]
    for client in (*feeds, *streams):
        threading.Thread(target=_read, args=(client,), daemon=True).start()
    started.set()
    for turn in range(1 << 31):
        for feed in feeds:
            feed.send(json.dumps([f"/node/{node}/frequency", 440.0 + turn % 10]))
        time.sleep(1.0 / MOVES)


def _read(client: WebSocketClient) -> None:
    for _ in client.messages():
        pass
