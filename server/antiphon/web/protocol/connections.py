"""The HTTP server's open connections: they are accepted, take turns, and are closed when their clients are slow."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from antiphon.errors import EngineError
from antiphon.web.protocol.application import Gate
from antiphon.web.protocol.connection import HttpConnection

ACCEPTED = 32
"""Connections that are taken in a turn of the event loop: where handlers are many, a turn is long."""
BUDGET = 0.002
"""Seconds of connections' turns before the event loop runs again."""
_SWEEP_SECONDS = 0.1
_FULL_SECONDS = 0.05
"""Between two tries to accept, where there are no descriptors."""
_BACKLOG = 256
"""Connections that the system accepts before the server does."""
_OUT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Connections:
    """All connections of a server.

    Args:
        app: The ASGI application.
        gate: Their limits and counters.
        may_upgrade: Whether a request for a WebSocket may have one.

    Attributes:
        tls: Context for HTTPS; None for HTTP.
        config, state: Of uvicorn.
        waiting: Connections for which no handler runs, with the time since when, longest first.
        busy: Connections for which a handler runs.
    """

    def __init__(self, app: ASGIApp, gate: Gate, may_upgrade: Callable[[MutableMapping[str, Any]], bool]) -> None:
        self.gate, self.may_upgrade = gate, may_upgrade
        self.tls: ssl.SSLContext | None = None
        self.state = ServerState()
        seconds = gate.limits.idle_seconds
        self.config = Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            ws="none",
            ws_max_size=4096,
            ws_ping_interval=seconds,
            ws_ping_timeout=seconds,
            ws_per_message_deflate=False,
        )
        self.waiting: dict[HttpConnection, float] = {}
        self.busy: set[HttpConnection] = set()
        self._turns: deque[HttpConnection] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting: dict[socket.socket, asyncio.Task[None]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.waiting) + len(self.busy)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Those that listen."""
        return tuple(self._accepting)

    def accept(self, listener: socket.socket) -> None:
        """Accepts connections from now on.

        Args:
            listener: A socket that listens and does not block; it is closed by `close_port`.
        """
        self._accepting[listener] = self._spawn(self._accept(listener))
        if self._sweep is None:
            self._sweep_up()

    def close_port(self) -> None:
        """Takes no more connections; those that are open go on."""
        for listener, task in self._accepting.items():
            task.cancel()
            listener.close()
        self._accepting.clear()

    async def stop(self) -> None:
        """Closes every connection and the port, and cancels the handlers that still run."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in [*self.waiting, *self.busy]:
            connection.drop()
        tasks = [*self._tasks, *self.state.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the dropped connections' sockets close
        self.close_port()

    # what a connection calls

    def wait(self, connection: HttpConnection) -> None:
        """Starts the timeout of a connection that waits for its client."""
        self.busy.discard(connection)
        self.waiting.pop(connection, None)
        self.waiting[connection] = asyncio.get_running_loop().time()

    def work(self, connection: HttpConnection) -> None:
        """Stops the timeout of a connection while a handler runs for it."""
        self.waiting.pop(connection, None)
        self.busy.add(connection)

    def queue(self, connection: HttpConnection) -> None:
        """Queues a connection that has received bytes for a turn."""
        self._turns.append(connection)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self._take_turns)

    def remove(self, connection: HttpConnection) -> None:
        """Forgets a connection that has ended or become a WebSocket."""
        self.waiting.pop(connection, None)
        self.busy.discard(connection)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in itertools.count(1):
            if number % ACCEPTED == 0:
                await asyncio.sleep(0)
            try:
                peer, _ = await loop.sock_accept(listener)
            except OSError as error:
                # out of descriptors or memory: close the oldest and try again; other errors concern the peer alone
                if error.errno in _OUT_OF:
                    self._drop_oldest()
                    await asyncio.sleep(_FULL_SECONDS)
                continue
            if self.count >= self.gate.limits.connections and not self._drop_oldest():
                self.gate.counters.dropped += 1
                peer.close()
                continue
            connection = HttpConnection(self)
            self.wait(connection)
            connection.opening = self._spawn(self._open(connection, peer))

    async def _open(self, connection: HttpConnection, peer: socket.socket) -> None:
        loop, tls = asyncio.get_running_loop(), self.tls
        seconds = self.gate.limits.request_seconds
        try:
            if tls is None:
                await loop.connect_accepted_socket(lambda: connection, peer)
            else:
                await loop.connect_accepted_socket(
                    lambda: connection, peer, ssl=tls, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=1.0
                )
        except (OSError, TimeoutError):
            # the TLS handshake failed, or the client disconnected
            self.gate.counters.refused += 1
            self.remove(connection)
        finally:
            connection.opening = None

    def _drop_oldest(self) -> bool:
        """Drops the connection that has waited longest; returns False where a handler runs for each."""
        oldest = next(iter(self.waiting), None)
        if oldest is None:
            return False
        self.gate.counters.dropped += 1
        oldest.drop()
        return True

    def _sweep_up(self) -> None:
        loop, limits = asyncio.get_running_loop(), self.gate.limits
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._sweep_up)
        now = loop.time()
        for connection, since in list(self.waiting.items()):
            if now - since < min(limits.request_seconds, limits.idle_seconds):
                break
            if now - since >= connection.patience:
                self.gate.counters.timeouts += 1
                connection.expire()

    def _take_turns(self) -> None:
        """Runs turns for `BUDGET` seconds, then lets the event loop handle sockets and timers."""
        loop = asyncio.get_running_loop()
        end = loop.time() + BUDGET
        while self._turns and loop.time() < end:
            self._turns[0].turn()
            self._turns.popleft()
        if self._turns:
            loop.call_soon(self._take_turns)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` until it ends or the server stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: Address to listen on.
        port: 0 takes any.

    Returns:
        The socket.

    Raises:
        EngineError: The port cannot be used.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise EngineError(_no_port(host, port, error)) from None
    return listener


def _no_port(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"HTTP port {port} of {host} is taken by another program; choose another with --http-port"
    reason = error.strerror or str(error)
    return f"HTTP cannot listen on port {port} of {host} ({reason}); choose another with --http-port"
