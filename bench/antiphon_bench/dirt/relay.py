"""Passes datagrams on between Tidal and the server, and remembers the time tags of what Tidal sent."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from antiphon.kernel.wire.ntp import to_unix_ns
from antiphon.kernel.wire.osc import Bundle, Message, decode

MOST_BYTES = 65_507


@dataclass(frozen=True, slots=True)
class RelayedEvent:
    """One `/dirt/play`.

    Attributes:
        ns: Its time tag, in ns since 1970.
        lead: Seconds from when it passed to its time tag.
        fields: Its names and values.
    """

    ns: int
    lead: float
    fields: Mapping[str, object]


class DirtRelay:
    """Stands at a free port in the server's place, as a context manager.

    Attributes:
        port: Where a client sends.
        events: What has passed, in order.
    """

    def __init__(self, server: int) -> None:
        """Binds the port.

        Args:
            server: The port of the server.
        """
        self._server = ("127.0.0.1", server)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self._sock.settimeout(0.2)
        self._client: tuple[str, int] | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self.port = int(self._sock.getsockname()[1])
        self.events: list[RelayedEvent] = []

    def __enter__(self) -> DirtRelay:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()
        self._sock.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(OSError):
                data, peer = self._sock.recvfrom(MOST_BYTES)
                if peer == self._server:
                    if self._client is not None:
                        self._sock.sendto(data, self._client)
                    continue
                self._client = peer
                self._sock.sendto(data, self._server)
                self._note(data)

    def _note(self, data: bytes) -> None:
        packet = decode(data)
        if not isinstance(packet, Bundle):
            return
        for item in packet.items:
            if isinstance(item, Message) and item.address == b"/dirt/play":
                ns = to_unix_ns(packet.timetag)
                fields = {str(name): value for name, value in zip(item.args[::2], item.args[1::2], strict=True)}
                self.events.append(RelayedEvent(ns, (ns - time.time_ns()) / 1e9, fields))
