"""`antiphon.connect` and `antiphon.Server`: control of a running server from a Python program."""

from __future__ import annotations

import http.client
import json
import math
import numbers
import os
import queue
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from antiphon.client import LOCAL
from antiphon.client.http import request
from antiphon.client.link import TIMEOUT, Question, ServerLink, Subscription
from antiphon.client.starting import StartedServer
from antiphon.kernel.contract.params import Param
from antiphon.kernel.errors import AntiphonError, EngineError, MissingAttribute, RequestError, UsageError
from antiphon.kernel.runtime.settings import HTTP_PORT, OSC_PORT
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.signal import named_note
from antiphon.kernel.wire.osc import Arg, Double, Message
from antiphon.operations.python import every_plugin
from antiphon.operations.wording import check_arguments, option_words, word_refusals

_FULL = 127
_LARGEST = 3.4e38
"""Numbers below this are sent with 32 bits."""
_LONGEST = 1_000_000
_NOTES, _WATCH = "/note/event", "/note/watch"
_OF_SUBSCRIBERS = (_WATCH, "/meter/watch")
"""Addresses that belong to a subscriber's connection."""
_AT = "/at"
LOOK_SECONDS = 0.25
"""Interval in seconds at which a loop over beats checks whether the server or the connection has ended."""


class ScheduledBlock:
    """Collects the messages of one `with s.at(…)` until it ends. `beat`: the beat at which they take effect."""

    def __init__(self, beat: float) -> None:
        self.beat = beat
        self._questions: list[Question] | None = []
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether it collects."""
        return self._questions is not None

    def add(self, questions: Sequence[Question]) -> bool:
        """Collects messages; returns False if the block has ended."""
        with self._lock:
            if self._questions is None:
                return False
            self._questions += questions
            return True

    def end(self) -> list[Question]:
        """Ends it and returns its messages, each with its beat."""
        with self._lock:
            questions, self._questions = self._questions or [], None
        return [question if question[0] == _AT else _at(self.beat, question) for question in questions]


_BLOCKS: ContextVar[Mapping[Remote, ScheduledBlock]] = ContextVar("_BLOCKS", default=MappingProxyType({}))
"""The open block of each connection: of one thread or task, since another one's messages are sent at once."""


@check_arguments
class RemoteNode:
    """A node of a running server; its parameters are attributes.

    `dir(node)` names them; `node.params` has ranges and units from this machine's plugins.
    """

    __slots__ = ("_name", "_server")
    _name: str
    _server: Remote

    def __init__(self, server: Remote, name: str) -> None:
        object.__setattr__(self, "_server", server)
        object.__setattr__(self, "_name", name)

    @property
    def params(self) -> Mapping[str, Param]:
        """Parameters by name, as far as this machine has the plugin."""
        info = every_plugin().catalog.get(self._server.nodes.get(self._name, ""))
        return {} if info is None else {param.name: param for param in info.cells}

    def set(self, *, over: float = 0.0, **values: Arg) -> None:
        """Sets parameters together, each in its unit. `over`: seconds of a ramp, only for numbers."""
        ramp = (float(over),) if over else ()
        self._server.send(
            *((f"/node/{self._name}/{name}", (_argument(value), *ramp)) for name, value in values.items())
        )

    def fire(self, name: str) -> None:
        """Fires a trigger."""
        self._server.send((f"/node/{self._name}/{name}", ()))

    def reset(self) -> None:
        """Clears the node's state, and retries a failed node."""
        self._server.send((f"/node/{self._name}/reset", ()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._server.value(f"/node/{self._name}/{name}")
        except RequestError as error:
            raise MissingAttribute(str(error)) from None

    def __setattr__(self, name: str, value: Arg) -> None:
        self._server.send((f"/node/{self._name}/{name}", (_argument(value),)))

    def __dir__(self) -> list[str]:
        return ["fire", "params", "reset", "set", *self.params]

    def __repr__(self) -> str:
        return f"<node {self._name} of {self._server.host}:{self._server.port}>"


@check_arguments
class Remote:
    """A running server. Its refusals are raised as errors; a question returns when it has taken effect.

        with antiphon.connect() as s:
            s["echo"].feedback = 0.4
            s.load("dub")

    A context manager; `close` ends the connection, not the server.
    """

    # a misspelled property is refused, since it would set nothing
    __slots__ = ("_http", "_link", "_opening", "_subscription", "_timeout", "_token", "host", "port")

    def __init__(
        self, host: str = LOCAL, port: int = OSC_PORT, *, token: str = "", http_port: int = 0, timeout: float = TIMEOUT
    ) -> None:
        if not (isinstance(host, str) and host and _is_host(host)):
            raise UsageError(f"host takes a name or an address, as 127.0.0.1, not {short_repr(host)}")
        for name, number, low in (("port", port, 1), ("http_port", http_port, 0)):
            if not isinstance(number, int) or not low <= number <= 65535:
                raise UsageError(f"{name} takes 1 to 65535, not {short_repr(number)}")
        if not (isinstance(timeout, int | float) and 0 < timeout <= _LONGEST):
            raise UsageError(f"timeout takes a number of seconds above 0, to {_LONGEST}, not {short_repr(timeout)}")
        self.host, self.port = host, port
        self._token, self._http = token, http_port or (HTTP_PORT if port == OSC_PORT else port + 1)
        self._timeout = timeout
        self._link = ServerLink(host, port, timeout)
        self._subscription: Subscription | None = None
        self._opening = threading.Lock()

    def __getitem__(self, name: str) -> RemoteNode:
        known = self.nodes
        if name not in known and name not in ("in", "out"):
            raise UsageError(f"there is no node {short_repr(name)}{instead(name, sorted(known))}")
        return RemoteNode(self, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Antiphon at {self.host}:{self.port}>"

    def _repr_html_(self) -> str:
        """Table for a notebook: the tempo and the nodes, or the address of a server that does not answer."""
        from antiphon.operations import result

        rows = {"server": f"{self.host}:{self.port}"}
        with suppress(AntiphonError):
            types = every_plugin().catalog.types
            nodes = {name: types[kind].doc if kind in types else kind for name, kind in self.nodes.items()}
            rows |= {"tempo": f"{self.tempo:g} bpm", **nodes}
        return result.table_html(rows)

    def close(self) -> None:
        """Ends the connection."""
        self._link.close()
        with self._opening:
            if self._subscription is not None:
                self._subscription.close()

    def send(self, *message: Question | Arg) -> list[Message]:
        """Sends a message, or several together, and returns the answers.

            s.send("/tempo", 120)
            s.send(("/tempo", (120,)), ("/node/echo/feedback", (0.4,)))

        Raises AntiphonError: the server refuses one.
        """
        questions = _convert_to_questions(message)
        block = _BLOCKS.get().get(self)
        return [] if block is not None and block.add(questions) else self._ask(questions)

    def _ask(self, questions: Sequence[Question]) -> list[Message]:
        """Sends messages now, also within `with s.at(…)`, and returns the answers."""
        own = [question for question in questions if question[0] in _OF_SUBSCRIBERS]
        others = [question for question in questions if question[0] not in _OF_SUBSCRIBERS]
        answers = self._open_subscription().ask(*own) if own else []
        return answers + self._link.ask(*others) if others else answers

    def value(self, address: str, *args: Arg) -> Any:
        """The server's answer at an address: one value, or all of them. Raises AntiphonError: it refuses."""
        answers = self._ask(_convert_to_questions((address, *args)))
        found = next((list(answer.args) for answer in answers if answer.address.startswith(address.encode())), None)
        if found is None:
            raise RequestError(f"{address} gives no value")
        # a number of 32 bits, as the decimal that was written: 0.4, not 0.4000000059604645
        found = [_decimal(value) if type(value) is float else value for value in found]
        return found[0] if len(found) == 1 else found

    @property
    def nodes(self) -> dict[str, str]:
        """Types of the nodes, by name."""
        listed = self._asked("/node/list")
        return dict(zip(listed[::2], listed[1::2], strict=False))

    @property
    def patches(self) -> list[str]:
        """Names of the patches that the server has."""
        return list(self._asked("/patch/list"))

    @property
    def status(self) -> dict[str, Any]:
        """The answer of `GET /api/status`. Raises EngineError: the server has no HTTP port here."""
        connection = http.client.HTTPConnection(self.host, self._http, timeout=self._timeout)
        try:
            return dict(json.loads(request(connection, "GET", "/api/status", token=self._token)[1]))
        except (OSError, OverflowError, ValueError, http.client.HTTPException):
            raise EngineError(f"no status is answered at {self.host}:{self._http}; name http_port=") from None

    @property
    def tempo(self) -> float:
        """Tempo in bpm."""
        return float(self.value("/tempo"))

    @tempo.setter
    def tempo(self, bpm: float) -> None:
        self.send(("/tempo", (_argument(bpm),)))

    @property
    def beat(self) -> float:
        """Current beat."""
        return float(self.value("/beat"))

    @beat.setter
    def beat(self, beat: float) -> None:
        self.send(("/beat", (_argument(beat),)))

    def play(self, beat: float | None = None) -> None:
        """Starts the clock, from `beat` if given."""
        self.send(("/transport/play", () if beat is None else (float(beat),)))

    def stop(self) -> None:
        """Stops the clock."""
        self.send(("/transport/stop", ()))

    def wait(self, beat: float = 0.0) -> None:
        """Stops the clock, at `beat` if given, until the player leads it."""
        self.send(("/transport/wait", (float(beat),)))

    def panic(self) -> None:
        """Silences everything within one block."""
        self.send(("/panic", ()))

    def load(self, patch: str | os.PathLike[str], fade: float = 0.0) -> None:
        """Loads a patch by name, crossfaded over `fade` seconds, and waits until it plays."""
        self.send(("/patch/load", (os.fspath(patch), float(fade))))

    def save(self, name: str, *, replace: bool = False) -> None:
        """Saves nodes, wires and values as a patch."""
        self.send(("/patch/save", (name, 1) if replace else (name,)))

    def add(self, type: str, name: str = "", after: str = "") -> RemoteNode:
        """Adds a node, after another one if given."""
        self.send(("/node/add", (type, name or type, *((after,) if after else ()))))
        return RemoteNode(self, name or type)

    def remove(self, name: str) -> None:
        """Removes a node."""
        self.send(("/node/remove", (name,)))

    def wire(self, source: str, dest: str) -> None:
        """Adds a wire between ports, such as "hum.notes" and "keys"."""
        self.send(("/node/connect", (source, dest)))

    def unwire(self, source: str, dest: str) -> None:
        """Removes a wire."""
        self.send(("/node/disconnect", (source, dest)))

    def undo(self) -> None:
        """Undoes the last edit."""
        self.send(("/patch/undo", ()))

    def redo(self) -> None:
        """Repeats the edit that was undone last."""
        self.send(("/patch/redo", ()))

    def store(self, scene: int) -> None:
        """Stores all values as a scene, 0 to 127."""
        self.send(("/scene/store", (int(scene),)))

    def scene(self, number: int, beats: float = 0.0, quantum: float = 0.0) -> None:
        """Recalls a scene with ramps of `beats` beats, at the next multiple of `quantum`."""
        self.send(("/scene/recall", (int(number), float(beats), float(quantum))))

    def note(
        self,
        note: int | str,
        velocity: float = 0.8,
        beats: float | None = 1.0,
        *,
        at: float | None = None,
        channel: int = 1,
        on: str = "",
    ) -> None:
        """Plays a note: a MIDI number, or a name as "c4".

        `velocity`: above 0 to 1. `beats`: its length; None leaves it on. `at`: the beat of its onset; None is now.
        Within `with s.at(beat)` it begins at that beat. `on`: name of the node; "" for every node that takes notes.
        Raises UsageError: note, velocity or beats is not allowed.
        """
        note = named_note(note) if isinstance(note, str) else note
        if not (isinstance(note, numbers.Real) and 0 <= note <= _FULL):
            raise UsageError(f"note takes a MIDI number, 0 to {_FULL}, or a name as c4, not {short_repr(note)}")
        if not 0.0 < velocity <= 1.0:
            raise UsageError(f"velocity takes more than 0, to 1, not {velocity!r}")
        if beats is not None and not 0.0 < beats < math.inf:
            raise UsageError(f"beats takes a length above 0, or None for a note that stays on, not {beats!r}")
        strength = max(1, min(_FULL, round(_FULL * velocity)))
        node = (on,) if on else ()
        begin, end = ("/note/on", (int(note), strength, channel, *node)), ("/note/off", (int(note), 0, channel, *node))
        if at is None and (block := _BLOCKS.get().get(self)) is not None and block.open:
            at = block.beat
        messages: list[Question] = [begin] if at is None else [_at(at, begin)]
        if beats is not None:
            messages.append(_at((self.beat if at is None else at) + beats, end))
        self.send(*messages)

    @contextmanager
    def at(self, beat: float) -> Iterator[Remote]:
        """Context in which all messages take effect together, at the sample of a beat.

        It holds the messages of the thread or task that entered it; what it asks is asked at once. An error ends it
        without sending anything. Raises RequestError at its end: the server refuses a message, and none takes effect.
        """
        with self.collecting_messages(beat) as block:
            yield self
            self.send_block(block)

    @contextmanager
    def collecting_messages(self, beat: float) -> Iterator[ScheduledBlock]:
        """Context in which the messages of this thread or task are collected, until the block is sent."""
        present = _BLOCKS.get().get(self)
        if present is not None and present.open:
            raise UsageError("one `with s.at(…)` inside another makes no sense; end the first one")
        block = ScheduledBlock(beat)
        _BLOCKS.set({**_BLOCKS.get(), self: block})
        try:
            yield block
        finally:
            block.end()
            _BLOCKS.set({remote: one for remote, one in _BLOCKS.get().items() if one is not block})

    def send_block(self, block: ScheduledBlock) -> None:
        """Ends a block and sends its messages, which take effect together."""
        if questions := block.end():
            self._link.ask(*questions)

    def on(self, address: str, call: Callable[..., object]) -> Callable[[], None]:
        """Calls a function, in another thread, for each message to subscribers; returns a function that ends this.

        `/note/event` reports every note that is played.

        Raises UsageError: `address` does not begin with a slash, or `call` is not callable.
        """
        if not (isinstance(address, str) and address.startswith("/") and callable(call)):
            raise UsageError(
                'on takes an address and a function: s.on("/beat", print), '
                f"not on({short_repr(address)}, {short_repr(call)})"
            )
        subscription = self._open_subscription()
        if address == _NOTES:
            subscription.ask((_WATCH, (1,)))
        return subscription.on(address, call)

    def _open_subscription(self) -> Subscription:
        with self._opening:
            self._link.check_open()
            if self._subscription is None or self._subscription.closed:  # left to another process
                self._subscription = Subscription(self.host, self.port, self._timeout)
            self._subscription.check()
            return self._subscription

    def check_subscription(self) -> bool:
        """Returns whether messages may still come; False after `close`. Raises EngineError: the server ended."""
        if self._subscription is None or self._subscription.closed:
            return False
        self._subscription.check()
        return True

    def beats(self) -> Iterator[int]:
        """Yields the number of each beat as it begins, until `close`.

        Raises EngineError: the server has been away for the whole timeout.
        """
        come: queue.Queue[int] = queue.Queue(64)

        def take(beat: int, *rest: object) -> None:
            with suppress(queue.Full):
                come.put_nowait(int(beat))

        end = self.on("/beat", take)
        try:
            while self.check_subscription():
                try:
                    beat = come.get(timeout=LOOK_SECONDS)
                except queue.Empty:
                    continue
                yield beat
        finally:
            end()

    def capture(self, bars: int = 4, node: str = "", name: str = "") -> Path:
        """Writes the last whole bars of a node, or of the output; returns the file's path on the server's machine."""
        args: tuple[Arg, ...] = (int(bars), *((node,) if node or name else ()), *((name,) if name else ()))
        return Path(str(self.value("/capture", *args)))

    def _asked(self, address: str) -> list[Any]:
        found = self.value(address)
        return found if isinstance(found, list) else [found]


class Server(Remote):
    """A server in a separate process, on free ports, which ends with the context, and with the program.

        with antiphon.Server(patch="answer", audio="headless", record="take.wav") as s:
            s.note(60, beats=2)

    Args:
        patch: Name or path of a patch.
        audio: The audio driver, as for `antiphon serve --audio`.
        record: A file for its output.
        **options: Further options of `antiphon serve`, with `_` for `-`: `block=64`, `live=True`.

    Raises:
        AntiphonError: It does not start; the error has the reason.
    """

    __slots__ = ("_process",)

    @word_refusals
    def __init__(
        self,
        patch: str | os.PathLike[str] = "",
        audio: str = "auto",
        record: str | os.PathLike[str] = "",
        **options: Any,
    ) -> None:
        given = {"audio": audio, "patch": patch, "record": record, "osc_port": 0, "http_port": 0, **options}
        words = [word for name, value in given.items() for word in option_words(name, value)]
        self._process = StartedServer(words)
        osc, web = self._process.ports
        try:
            super().__init__(LOCAL, osc, http_port=web)
        except BaseException:
            self._process.end()
            raise

    def close(self) -> None:
        """Closes the connection and ends the server, with its recording complete."""
        super().close()
        self._process.end()


def connect(
    host: str = LOCAL, port: int = OSC_PORT, *, token: str = "", http_port: int = 0, timeout: float = TIMEOUT
) -> Remote:
    """Connects to a running server, by OSC over TCP.

    `token`: the owner's, for a server with `--lan`. `http_port`: for `Remote.status`; `port` + 1 by default. `timeout`:
    seconds to wait for an answer. Raises EngineError: nothing answers there.
    """
    return Remote(host, port, token=token, http_port=http_port, timeout=timeout)


def _convert_to_questions(given: Sequence[Any]) -> list[Question]:
    """Converts the arguments of `Remote.send` to messages. Raises UsageError: they are invalid."""
    found: list[Question] = []
    for each in [(given[0], given[1:])] if given and isinstance(given[0], str) else given:
        match each:
            case [str(address), [*args]] if address.startswith("/"):
                found.append((address, tuple(map(_argument, args))))
            case _:
                raise UsageError(
                    'send takes an address and its arguments, s.send("/tempo", 120), or several messages, '
                    f's.send(("/tempo", (120,)), ("/beat", (0,))), not {short_repr(each)}'
                )
    return found


def _at(beat: float, question: Question) -> Question:
    address, args = question
    return _AT, (Double(beat), address, *args)


def _is_host(name: str) -> bool:
    """Whether a name may be that of a machine: the system refuses others with a fault."""
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


def _decimal(value: float) -> float:
    """The shortest decimal with the same 32 bits; a number that needs more bits is returned unchanged."""
    if not abs(value) < _LARGEST or struct.unpack("f", struct.pack("f", value))[0] != value:
        return value
    shortest = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    return next((number for number in shortest if struct.pack("f", number) == struct.pack("f", value)), value)


def _argument(value: Any) -> Arg:
    """Converts a value for OSC, also numpy numbers and paths."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)  # type: ignore[no-any-return]
    if hasattr(value, "item"):
        with suppress(ValueError, RuntimeError):  # several numbers
            return value.item()  # type: ignore[no-any-return]
    return value  # type: ignore[no-any-return]
