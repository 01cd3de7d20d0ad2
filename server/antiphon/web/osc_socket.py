"""UDP socket to control's OSC port, so that control's answers and changes return to it only."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import ClassVar

from antiphon.kernel.errors import WireError
from antiphon.kernel.wire.osc import MAX_DATAGRAM, Arg, Message, decode, encode, messages_of

STREAMS = frozenset({"/notify", "/monitor", "/note/watch"})
"""Addresses whose answers would be a packet stream to a socket of the web process."""


CODE = "/live/"
"""Prefix of addresses that carry scripts; no pattern matches them."""


def check_address(address: str) -> None:
    """Raises `WireError` for an address that carries a script.

    Control accepts those from programs of this machine only, which HTTP clients need not be.
    """
    if address.startswith(CODE):
        raise WireError("scripts are not taken by this way; POST /api/live/eval does")


def check_message(address: object, args: list[object]) -> tuple[str, list[Arg]]:
    """Checked and typed message of a client.

    Raises WireError: the address is none, one that answers with a stream, or one that hands a script over; an argument
    is no number, boolean or string.
    """
    if not isinstance(address, str) or not address.startswith("/") or address in STREAMS:
        raise WireError(f"{str(address)[:60]!r} is no address that a page may send to, nor another client of HTTP")
    check_address(address)
    typed: list[Arg] = []
    for arg in args:
        if not isinstance(arg, float | str) and not (isinstance(arg, int) and abs(arg) < 2**63):
            raise WireError("an argument is a number, true, false or a string")
        typed.append(arg)
    return address, typed


DATAGRAMS = 64
"""Maximum datagrams read in one turn of the event loop."""


class OscSocket:
    """UDP socket read by the running event loop until closed; `ports`: of all that are open, and the performer's."""

    ports: ClassVar[set[int]] = set()

    def __init__(
        self, osc: tuple[str, int], received: Callable[[Message], None], refused: Callable[[], None] = lambda: None
    ) -> None:
        """Opens the socket. `osc`: control's host and port; `refused`: called if the port is closed."""
        self._received, self._refused = received, refused
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(osc)
        self.send, self._port = self._socket.send, self._socket.getsockname()[1]
        self.ports.add(self._port)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Closes the socket; pending answers are lost."""
        self.ports.discard(self._port)
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


RETRY_SECONDS = 30.0
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
        self._timer = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._subscribe, sock)

    def _received(self, message: Message) -> None:
        self._changed(message.address.decode(errors="replace"), tuple(message.args))
