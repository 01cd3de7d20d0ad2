"""Receives changes of parameters as an OSC client of this machine that subscribes by `/notify`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from antiphon.wire.osc import Arg, Bundle, Message, decode, encode

AGAIN_SECONDS = 30.0
"""Seconds between two subscriptions: a control that was restarted without its state knows no subscriber."""
DATAGRAMS = 64
"""Datagrams that are read in one turn of the event loop."""


class ValueSubscription:
    """Calls `changed(address, args)` for every OSC message that control sends a subscriber."""

    def __init__(
        self, osc: tuple[str, int], changed: Callable[[str, tuple[Arg, ...]], None], *, notes: bool = False
    ) -> None:
        """Receives nothing before `start`.

        `changed` is called with the address and the arguments of each message; with `notes` those that are played and
        scheduled are asked for.
        """
        self._osc, self._changed, self._notes = osc, changed, notes
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Subscribes, unless that is done already."""
        if self._socket is not None:
            return
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(self._osc)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read, self._socket)
        self._subscribe(self._socket)

    def stop(self) -> None:
        """Ends the subscription."""
        if self._socket is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        with contextlib.suppress(OSError):
            self._socket.send(encode("/notify", 0))
        self._socket.close()
        self._socket = None

    def _subscribe(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.send(encode("/notify", 1))
            if self._notes:
                sock.send(encode("/note/watch", 1))
        self._timer = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._subscribe, sock)

    def _read(self, sock: socket.socket) -> None:
        for _ in range(DATAGRAMS):
            try:
                packet = decode(sock.recv(65536))
            except OSError:
                return  # nothing left to read, or control is being restarted
            for item in packet.items if isinstance(packet, Bundle) else (packet,):
                if isinstance(item, Message):
                    self._changed(item.address.decode(errors="replace"), tuple(item.args))
