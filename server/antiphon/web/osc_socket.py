"""UDP socket to control's OSC port, so that control's answers and changes return to it only."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from antiphon.kernel.wire.osc import MAX_DATAGRAM, Message, decode, messages_of

DATAGRAMS = 64
"""Maximum datagrams read in one turn of the event loop."""


class OscSocket:
    """UDP socket read by the running event loop until it is closed."""

    def __init__(
        self, osc: tuple[str, int], received: Callable[[Message], None], refused: Callable[[], None] = lambda: None
    ) -> None:
        """Opens the socket. `osc`: control's host and port; `refused`: called if the port is closed."""
        self._received, self._refused = received, refused
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(osc)
        self.send = self._socket.send
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Closes the socket; pending answers are lost."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        for _ in range(DATAGRAMS):
            try:
                packet = decode(self._socket.recv(MAX_DATAGRAM))
            except BlockingIOError:
                return
            except OSError:  # control is being restarted
                self._refused()
                return
            for message in messages_of(packet):
                self._received(message)
