"""Questions to a running server by one connection, several threads' in turn; messages to subscribers by another."""

import itertools
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from weakref import WeakSet

from antiphon.client.connection import GIVEN_UP, OscConnection
from antiphon.kernel.errors import EngineError, RequestError, UsageError
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.typed import HALF
from antiphon.kernel.wire.osc import Arg, Message, encode, encode_bundle

TIMEOUT = 10.0
"""Timeout in seconds for the answer to a question, after which it is given up."""
AGAIN_SECONDS = 0.5
"""Interval in seconds at which a subscription whose server is away tries to connect."""
MAX_WAITING = 4096
"""Maximum messages to subscribers that wait for a slow program; newer ones are dropped."""
NOW = 1
"""Time tag of a bundle that is due at once."""
Question = tuple[str, Sequence[Arg]]
"""Address and arguments of a message."""
_ANSWERS = (b"/done", b"/fail", b"/synced")


class ServerLink:
    """A connection for questions. Questions of several threads are answered one after the other."""

    def __init__(self, host: str, port: int, timeout: float = TIMEOUT) -> None:
        self.host, self.port, self.timeout = host, port, timeout
        self._numbers = itertools.count(1)
        self._asking = threading.Lock()
        self._connection, self._closed = OscConnection(host, port, tcp=True, timeout=timeout), False
        _open.add(self)

    def ask(self, *questions: Question) -> list[Message]:
        """Sends messages, several as one bundle, and waits until they have taken effect.

        Returns the answers. A connection that the server has closed is opened again before; what was sent is not
        repeated. Raises RequestError: the server refuses; it has the reason. Raises EngineError: it cannot be reached,
        or was sent the messages and did not answer within the timeout.
        """
        packets = _encode_questions(questions)
        packet = packets[0] if len(packets) == 1 else encode_bundle(NOW, packets)
        with self._asking:
            _check_not_cancelled()
            number, until = next(self._numbers), time.monotonic() + self.timeout
            connection = self._live_connection()
            try:
                connection.socket.settimeout(self.timeout)
                connection.send(packet, encode("/sync", number))
                return _answers(number, connection.messages(until))
            except OSError as error:
                self.check_open()
                late = isinstance(error, TimeoutError)
                said = (
                    f"did not answer within {self.timeout:g} s" if late else "ended the connection before it answered"
                )
                raise EngineError(
                    f"the server at {self.host}:{self.port} {said}; what was sent may have taken effect"
                ) from None

    def leave(self) -> None:
        """Leaves the connection to the process that this one was forked from: the next question opens another."""
        self._asking = threading.Lock()  # a thread may have held it, of which there is none here
        self._connection.leave()

    def close(self) -> None:
        """Ends the connection. It may be called twice."""
        self._closed = True
        self._connection.close()

    def _live_connection(self) -> OscConnection:
        """The connection, or another one if the server has closed it. Raises EngineError: it cannot be reached."""
        self.check_open()
        if not self._connection.forget():
            self._connection.close()
            self._connection = OscConnection(self.host, self.port, tcp=True, timeout=self.timeout)
            if self._closed:  # by another thread meanwhile
                self._connection.close()
                self.check_open()
        return self._connection

    def check_open(self) -> None:
        """Raises EngineError: the connection was closed here."""
        if self._closed:
            raise EngineError("this connection is closed; antiphon.connect opens another")


def _answers(number: int, messages: Iterator[Message]) -> list[Message]:
    """Collects messages up to the answer of `/sync number`. Raises RequestError: one of them is a refusal."""
    answers: list[Message] = []
    for message in messages:
        if message.address != b"/synced":
            answers.append(message)
        elif message.args == (number,):
            break
        else:  # they answer a question that was given up
            answers.clear()
    for answer in answers:
        if answer.address == b"/fail":
            raise RequestError(": ".join(str(word) for word in answer.args))
    return answers


def _check_not_cancelled() -> None:
    """Raises EngineError if the caller has given up."""
    if GIVEN_UP.get()():
        raise EngineError("this question was cancelled before it was sent")


def _encode_questions(questions: Sequence[Question]) -> list[bytes]:
    """Encodes messages as packets. Raises UsageError: OSC has no type for an argument."""
    try:
        return [encode(address, *args) for address, args in questions]
    except TypeError as error:
        raise UsageError(f"{error}; numbers, text, bytes and lists of these are sent") from None
    except UnicodeEncodeError as error:
        raise UsageError(f"{short_repr(error.object)} {HALF}") from None


class Subscription:
    """A connection that receives messages to subscribers; functions are called in a separate thread.

    While the server is away it tries to connect, until it is closed. `dropped`: number of messages dropped while
    `MAX_WAITING` others waited. `closed`: whether `close` was called.
    """

    def __init__(self, host: str, port: int, timeout: float = TIMEOUT) -> None:
        self._host, self._port, self._timeout = host, port, timeout
        self.dropped, self.closed = 0, False
        self._calls: dict[str, dict[object, Callable[..., object]]] = {}  # changed by one operation, without a lock
        self._waiting: queue.Queue[Message | None] = queue.Queue(MAX_WAITING)
        self._answers: queue.Queue[Message] = queue.Queue(MAX_WAITING)
        self._numbers, self._asking, self._ending = itertools.count(1), threading.Lock(), threading.Event()
        self._own: dict[str, bytes] = {}
        self._away_since = math.inf
        self._connection = self._connect()
        for task in (self._receive, self._call):
            threading.Thread(target=task, name="antiphon-subscription", daemon=True).start()
        _open.add(self)

    def on(self, address: str, call: Callable[..., object]) -> Callable[[], None]:
        """Calls a function with the arguments of every message at an address; returns a function that ends this."""
        key, calls = object(), self._calls.setdefault(address, {})
        calls[key] = call

        def end() -> None:
            calls.pop(key, None)

        return end

    def ask(self, *questions: Question) -> list[Message]:
        """Sends messages that depend on the subscriber's connection, now and on each further connection.

        Returns the answers. Raises RequestError: the server refuses. Raises EngineError: it does not answer.
        """
        packets, until = _encode_questions(questions), time.monotonic() + self._timeout

        def messages() -> Iterator[Message]:
            while True:
                yield self._answers.get(timeout=max(0.0, until - time.monotonic()))

        with self._asking:
            _check_not_cancelled()
            while not self._answers.empty():  # of what others did
                self._answers.get_nowait()
            number = next(self._numbers)
            try:
                self._connection.send(*packets, encode("/sync", number))
                answers = _answers(number, messages())
            except (OSError, queue.Empty):
                raise EngineError(f"the server at {self._host}:{self._port} did not answer a subscriber") from None
            self._own |= zip((address for address, _ in questions), packets, strict=True)
        return answers

    def check(self) -> None:
        """Raises EngineError: the server has been away for the whole timeout."""
        if time.monotonic() - self._away_since > self._timeout:
            raise EngineError(
                f"the server at {self._host}:{self._port} has ended; what it tells comes again once it is started"
            )

    def leave(self) -> None:
        """Leaves the subscription to the process that this one was forked from; it has no threads here."""
        self.closed = True
        self._connection.leave()

    def close(self) -> None:
        """Ends the subscription."""
        self.closed = True
        self._ending.set()
        self._connection.close()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)

    def _connect(self) -> OscConnection:
        connection = OscConnection(self._host, self._port, tcp=True, timeout=self._timeout)
        connection.socket.settimeout(None)
        connection.send(encode("/notify", 1), *self._own.values())
        return connection

    def _receive(self) -> None:
        while not self.closed:
            try:
                for message in self._connection.messages():
                    if message.address in _ANSWERS:
                        with suppress(queue.Full):
                            self._answers.put_nowait(message)
                    if message.address.decode(errors="replace") in self._calls:
                        try:
                            self._waiting.put_nowait(message)
                        except queue.Full:
                            self.dropped += 1
            except OSError:
                self._away_since = time.monotonic()
            self._connection.close()
            while not self._ending.wait(AGAIN_SECONDS):
                with suppress(EngineError, OSError):
                    self._connection, self._away_since = self._connect(), math.inf
                    break
        self._connection.close()  # one that was opened while `close` was called

    def _call(self) -> None:
        while (message := self._waiting.get()) is not None and not self.closed:
            for call in list(self._calls.get(message.address.decode(errors="replace"), {}).values()):
                try:
                    call(*message.args)
                except Exception:  # of its program, which sees it; the others are called nevertheless
                    threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


_open: WeakSet[ServerLink | Subscription] = WeakSet()


def _leave_all() -> None:
    for each in list(_open):
        each.leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all)
