"""OSC messages to control from a separate socket, so that `/fail` answers are read."""

import asyncio
import random
from collections import deque
from dataclasses import dataclass

from antiphon.kernel.errors import WireError
from antiphon.kernel.wire import pattern
from antiphon.kernel.wire.osc import Arg, Message, address_text, encode
from antiphon.web.http_message import Refusal
from antiphon.web.osc_socket import OscSocket

TIMEOUT_SECONDS = 1.0
"""Maximum wait in seconds for a message's refusal. A message not handled by then is sent all the same."""
MAX_WAITING = 256
DONE_SECONDS = 20.0
"""Maximum wait in seconds for a completion answer; a handler has 30."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    addresses: tuple[bytes, ...]
    number: int
    refusal: asyncio.Future[tuple[str, str]]

    def is_named(self, address: str) -> bool:
        """True if a `/fail` of this address refers to this message: matched by a pattern, or inside `/at`."""
        name = address.encode()
        return any(address == address_text(own) or pattern.matches(own, name) for own in self.addresses)


class OscRefusals:
    """Sends a message and then `/ping`: control handles one sender's messages in order and answers both at once."""

    def __init__(self, osc: tuple[str, int]) -> None:
        """Creates no socket before the first message. `osc`: host and port of the OSC socket."""
        self._osc = osc
        self._socket: OscSocket | None = None
        self._sent: deque[_Sent] = deque()
        self._number = random.randrange(2**30)
        self._asking = asyncio.Lock()
        self._wanted: tuple[str, str, asyncio.Future[tuple[Arg, ...]]] | None = None

    async def send(self, address: str, *args: Arg) -> None:
        """Sends a message as any client of this machine does.

        Raises Refusal: control refuses it: 404 where there is no such address, 422 for its arguments or its moment; 503
        where too many wait. Raises WireError: it cannot be encoded, or the socket is full.
        """
        if len(self._sent) >= MAX_WAITING:
            raise Refusal(503, "too many messages wait for the server; try again", (("Retry-After", "1"),))
        if self._socket is None:
            self._socket = OscSocket(self._osc, self._take, lambda: self._settle(len(self._sent)))
        self._number += 1
        held = args[1].encode() if address == "/at" and len(args) > 1 and isinstance(args[1], str) else address.encode()
        sent = _Sent((address.encode(), held), self._number % 2**31, asyncio.get_running_loop().create_future())
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
        """Sends a message as `send`, and waits for its completion answer.

        Raises Refusal, WireError: as `send`; 503 without an answer in time.
        """
        async with self._asking:
            done = asyncio.get_running_loop().create_future()
            self._wanted = address, answer, done
            try:
                await self.send(address, *args)
                async with asyncio.timeout(DONE_SECONDS):
                    given: tuple[Arg, ...] = await done
            except TimeoutError:
                raise Refusal(503, f"{address} has not been answered; try again") from None
            finally:
                self._wanted = None
            return given

    async def close(self) -> None:
        """Closes the socket, if open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _take(self, message: Message) -> None:
        match message.address, message.args:
            case b"/fail", (str(address), str(reason), *_):
                if self._sent and self._sent[0].is_named(address):
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
        """Resolves the oldest messages as handled; `reason`: why that address is refused, "" for none."""
        for _ in range(count):
            sent = self._sent.popleft()
            if not sent.refusal.done():
                sent.refusal.set_result((address, reason))


def _refused(address: str, reason: str) -> Refusal:
    return Refusal(404 if reason.startswith("there is no ") else 422, f"{address}: {reason}")
