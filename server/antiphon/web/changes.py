"""Parameter changes, received as an OSC client of this machine subscribed by `/notify`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from antiphon.kernel.wire.osc import Arg, Message, encode
from antiphon.web.osc_socket import OscSocket

AGAIN_SECONDS = 30.0
"""Seconds between two subscriptions: a control restarted without its state has lost its subscribers."""


class ValueSubscription:
    """Calls `changed(address, args)` for every OSC message that control sends a subscriber."""

    def __init__(
        self, osc: tuple[str, int], changed: Callable[[str, tuple[Arg, ...]], None], *, notes: bool = False
    ) -> None:
        """Receives nothing before `start`.

        `changed` is called with the address and the arguments of each message; `notes` also requests played and
        scheduled notes.
        """
        self._osc, self._changed, self._notes = osc, changed, notes
        self._socket: OscSocket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Subscribes, unless subscribed already."""
        if self._socket is None:
            self._socket = OscSocket(self._osc, self._received)
            self._subscribe(self._socket)

    def stop(self) -> None:
        """Ends the subscription."""
        if self._socket is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(OSError):
            self._socket.send(encode("/notify", 0))
        self._socket.close()
        self._socket = None

    def _subscribe(self, sock: OscSocket) -> None:
        with contextlib.suppress(OSError):
            sock.send(encode("/notify", 1))
            if self._notes:
                sock.send(encode("/note/watch", 1))
        self._timer = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._subscribe, sock)

    def _received(self, message: Message) -> None:
        self._changed(message.address.decode(errors="replace"), tuple(message.args))
