"""One connection to a server's OSC port, by TCP, where nothing is lost, or by UDP: packets out, messages in."""

import errno
import math
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Self

from antiphon.kernel.errors import EngineError
from antiphon.kernel.wire.frames import Framer
from antiphon.kernel.wire.osc import Message, decode, messages_of

CONNECT_SECONDS = 2.0
"""Timeout in seconds for a connection."""
GIVEN_UP: ContextVar[Callable[[], bool]] = ContextVar("GIVEN_UP", default=lambda: False)
"""Function that returns whether the caller has given up: a question is then not sent, and a server's start ends."""
_PIECE = 65536


class OscConnection:
    """A socket to a server. `own_ip`: the address of this machine that the server answers."""

    def __init__(self, host: str, port: int, *, tcp: bool, timeout: float = CONNECT_SECONDS) -> None:
        """Connects to a server. Raises EngineError: it cannot be reached."""
        self.host, self.port = host, port
        self._framer = Framer() if tcp else None
        self._come: deque[Message] = deque()
        try:
            self.socket = _open(host, port, tcp, timeout)
            self.own_ip = str(self.socket.getsockname()[0])
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise EngineError(
                f"{host}:{port} cannot be reached ({reason}); start `antiphon serve`, or name its OSC port"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def send(self, *packets: bytes) -> None:
        """Sends packets. Raises OSError: not all of it could be sent by TCP, and the connection is closed."""
        if self._framer is not None:
            try:
                self.socket.sendall(b"".join(map(self.wrap, packets)))
            except OSError:
                self.socket.close()
                raise
            return
        for packet in packets:
            try:
                self.socket.send(packet)
            except ConnectionRefusedError:
                # the error belongs to the previous datagram, and this one was not sent; its own error ends the wait
                with suppress(ConnectionRefusedError):
                    self.socket.send(packet)

    def wrap(self, packet: bytes) -> bytes:
        """Frames a packet for the connection."""
        return packet if self._framer is None else self._framer.wrap(packet)

    def messages(self, until: float = math.inf) -> Iterator[Message]:
        """Yields messages as they arrive, also those in bundles.

        Raises ConnectionError at the connection's end, or if nothing listens at a UDP port; TimeoutError at the time
        `until`, of `time.monotonic`.
        """
        while True:
            while self._come:
                yield self._come.popleft()
            left = until - time.monotonic()
            if left <= 0.0:
                raise TimeoutError
            self.socket.settimeout(left if left < math.inf else None)
            self._read()

    def messages_within(self, seconds: float) -> Iterator[Message]:
        """Yields messages as they arrive, for some seconds or until the connection ends."""
        with suppress(OSError):
            yield from self.messages(time.monotonic() + seconds)

    def messages_of_now(self) -> Iterator[Message]:
        """Yields the messages that have arrived. Raises OSError after the last one of a connection that has ended."""
        self.socket.settimeout(0.0)  # raises where it was closed
        while True:
            while self._come:
                yield self._come.popleft()
            try:
                self._read()
            except BlockingIOError:
                return

    def forget(self) -> bool:
        """Drops the messages that have come, which answer earlier questions; returns whether the connection lives."""
        try:
            for _ in self.messages_of_now():
                pass
        except OSError:
            return False
        return True

    def _read(self) -> None:
        data = self.socket.recv(_PIECE)
        if self._framer is not None and not data:
            raise ConnectionResetError
        for packet in [data] if self._framer is None else self._framer.feed(data):
            if isinstance(packet, bytes):
                self._come.extend(messages_of(decode(packet)))

    def leave(self) -> None:
        """Leaves the connection to the process that this one was forked from."""
        self.socket.close()

    def close(self) -> None:
        """Ends the connection, also for a thread that waits for a message. It may be called twice."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def _open(host: str, port: int, tcp: bool, timeout: float) -> socket.socket:
    """Opens a connected socket. Raises OSError: nothing listens there."""
    if not tcp:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.connect((host, port))
        except OSError:
            sock.close()
            raise
        return sock
    sock = socket.create_connection((host, port), timeout)
    if sock.getsockname() == sock.getpeername():  # on loopback a port without a listener can be connected to itself
        sock.close()
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
