"""UDP sockets of the web process to control's OSC port: answers and changes return to them only, refusals too."""

import asyncio
import contextlib
import random
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from antiphon.kernel.errors import WireError
from antiphon.kernel.wire import pattern
from antiphon.kernel.wire.osc import MAX_DATAGRAM, Arg, Message, address_text, decode, encode, messages_of
from antiphon.web.http_message import HttpRefusal

STREAMS = frozenset({"/notify", "/monitor", "/note/watch"})
"""Addresses whose answer would be a stream of packets to a socket of the web process."""


CODE = "/live/"
"""Prefix of addresses that carry scripts; no pattern matches them."""


def check_address(address: str) -> None:
    """Raises `WireError` for an address that carries a script.

    Control accepts scripts only from programs of this machine; HTTP clients may be elsewhere.
    """
    if address.startswith(CODE):
        raise WireError("scripts are not taken by this way; POST /api/live/eval does")


def check_message(address: object, args: list[object]) -> tuple[str, list[Arg]]:
    """Checks a client's message, and adds types to its arguments.

    Raises WireError: the address is invalid, answers with a stream, or carries a script; an argument is not a number,
    boolean or string.
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
    """UDP socket read by the running event loop until closed; `ports`: ports of all open ones, and the performer's."""

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
"""Seconds between subscriptions: a control process restarted without its state has lost its subscribers."""


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


# ---- OSC messages to control from a separate socket, so that `/fail` answers are read

TIMEOUT_SECONDS = 1.0
"""Maximum wait in seconds for a message's refusal. A message not handled by then is still sent."""
MAX_WAITING = 256
DONE_SECONDS = 20.0
"""Maximum wait in seconds for a completion answer; a handler may take 30."""


@dataclass(frozen=True, slots=True, eq=False)
class _SentMessage:
    addresses: tuple[bytes, ...]
    number: int
    refusal: asyncio.Future[tuple[str, str]]

    def is_refused_by(self, address: str) -> bool:
        """True if a `/fail` of this address refers to this message: it matches a pattern, or is inside `/at`."""
        name = address.encode()
        return any(address == address_text(own) or pattern.matches(own, name) for own in self.addresses)


class OscRefusals:
    """Sends a message and then `/ping`: control handles one sender's messages in order and answers both at once."""

    def __init__(self, osc: tuple[str, int]) -> None:
        """Creates no socket before the first message. `osc`: host and port of the OSC socket."""
        self._osc = osc
        self._socket: OscSocket | None = None
        self._sent: deque[_SentMessage] = deque()
        self._number = random.randrange(2**30)
        self._asking = asyncio.Lock()
        self._wanted: tuple[str, str, asyncio.Future[tuple[Arg, ...]]] | None = None

    async def send(self, address: str, *args: Arg) -> None:
        """Sends a message like any client of this machine.

        Raises HttpRefusal: control refuses it: 404 for an unknown address, 422 for its arguments or its timing; 503 if
        too many wait. Raises WireError: it cannot be encoded, or the socket is full.
        """
        if len(self._sent) >= MAX_WAITING:
            raise HttpRefusal(503, "too many messages wait for the server; try again", (("Retry-After", "1"),))
        if self._socket is None:
            self._socket = OscSocket(self._osc, self._take, lambda: self._settle(len(self._sent)))
        self._number += 1
        held = args[1].encode() if address == "/at" and len(args) > 1 and isinstance(args[1], str) else address.encode()
        sent = _SentMessage((address.encode(), held), self._number % 2**31, asyncio.get_running_loop().create_future())
        try:
            for packet in (encode(address, *args), encode("/ping", sent.number)):
                self._socket.send(packet)
        except ConnectionRefusedError:
            return
        except OSError as error:
            raise WireError(f"{address} was not sent ({error.strerror}); try again") from None
        self._sent.append(sent)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                named, reason = await sent.refusal
        except TimeoutError:
            return
        finally:
            if sent in self._sent:
                self._sent.remove(sent)
        if reason:
            raise _refused(named, reason)

    async def ask(self, address: str, answer: str, *args: Arg) -> tuple[Arg, ...]:
        """Sends a message like `send`, and returns its completion answer.

        Raises HttpRefusal and WireError like `send`; 503 without an answer in time.
        """
        async with self._asking:
            # by a socket of its own: a late answer goes to a port that is closed, and to no later question
            own, done = OscRefusals(self._osc), asyncio.get_running_loop().create_future()
            own._wanted = address, answer, done
            try:
                await own.send(address, *args)
                async with asyncio.timeout(DONE_SECONDS):
                    given: tuple[Arg, ...] = await done
            except TimeoutError:
                raise HttpRefusal(503, f"{address} has not been answered; try again") from None
            finally:
                await own.close()
            return given

    async def close(self) -> None:
        """Closes the socket, if open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _take(self, message: Message) -> None:
        match message.address, message.args:
            case b"/fail", (str(address), str(reason), *_):
                if self._sent and self._sent[0].is_refused_by(address):
                    self._settle(1, address, reason)
                elif self._wanted and address == self._wanted[0] and not self._wanted[2].done():
                    self._wanted[2].set_exception(_refused(address, reason))
            case b"/pong", (int(number), *_):
                numbers = [sent.number for sent in self._sent]
                if number in numbers:
                    self._settle(numbers.index(number) + 1)
            case address, args:
                if self._wanted and address == self._wanted[1].encode() and not self._wanted[2].done():
                    self._wanted[2].set_result(tuple(args))

    def _settle(self, count: int, address: str = "", reason: str = "") -> None:
        """Marks the oldest messages as handled; `reason`: why that address is refused, "" for none."""
        for _ in range(count):
            sent = self._sent.popleft()
            if not sent.refusal.done():
                sent.refusal.set_result((address, reason))


def _refused(address: str, reason: str) -> HttpRefusal:
    return HttpRefusal(404 if reason.startswith("there is no ") else 422, f"{address}: {reason}")
