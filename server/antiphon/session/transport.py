"""What a transport is, and what it may do with the server it runs in.

A transport carries commands from somewhere into the server, and values and notes out of it: MIDI and MQTT are two.
A plugin registers one by the hook `antiphon_transports`. Control starts it only where the settings ask for it.

    class Wire(Transport):
        def start(self, server: TransportServer) -> None:
            server.on_value(lambda address, value: print(address, value))
            server.command(SetParam("echo", "feedback", 0.5), "wire")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias

from antiphon.contract.finding import Finding
from antiphon.contract.params import Param, Value
from antiphon.errors import WireError
from antiphon.runtime.settings import ServeSettings
from antiphon.session.commands import Command
from antiphon.session.effects import EngineEffect
from antiphon.session.node_state import Node
from antiphon.session.schedule import Moment
from antiphon.wire.osc import Arg

PRESSABLE = (
    "/set/next",
    "/set/previous",
    "/patch/undo",
    "/patch/redo",
    "/transport/play",
    "/transport/stop",
    "/panic",
)
"""Addresses that a controller may press: they do something whole without an argument."""

Status: TypeAlias = Callable[[], dict[str, Any] | None]
Reply: TypeAlias = Callable[[str, tuple[Arg, ...]], None]
"""(address, arguments) of an answer."""


class EmittedEvent(Protocol):
    """An event that a node played. kind, number, value, channel: as `contract.processor.Event` has them."""

    @property
    def node(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def value(self) -> float: ...
    @property
    def channel(self) -> int: ...
    @property
    def sample(self) -> int: ...


class Learner(Protocol):
    """Maps controllers to parameters, for `/learn` and `/unlearn`."""

    def learn(self, target: str, done: Callable[[str], None]) -> None:
        """The next controller that moves is mapped to `target`, "node.param" or one of `PRESSABLE`.

        done: is called then, with the controller's name.
        """

    def unlearn(self, target: str) -> None:
        """Forgets what was learned for a target; `WireError` where nothing was."""


class TransportServer(Protocol):
    """The server as one transport sees it. Everything is called from the event loop's thread."""

    # ---- what it was started with

    @property
    def settings(self) -> ServeSettings:
        """The options of `antiphon serve`."""

    @property
    def fresh(self) -> bool:
        """Whether this control process took up nothing of an earlier one."""

    @property
    def folder(self) -> Path:
        """The running server's own folder: the same through restarts of control."""

    def file(self, name: str) -> Path:
        """A file of this transport in that folder. It outlives control, and goes with the server's state."""

    # ---- time

    @property
    def rate(self) -> int:
        """Samples a second."""

    @property
    def block(self) -> int:
        """Frames of a block."""

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC in nanoseconds."""

    def moment(self) -> Moment:
        """The engine's sample and beat now."""

    def sample_at(self, ns: int) -> float:
        """The engine's sample at a time of CLOCK_MONOTONIC."""

    def tempo(self) -> tuple[float, float, bool]:
        """(beat, bpm, whether the beat runs) now."""

    # ---- commands

    def turn(self) -> AbstractContextManager[None]:
        """What is done inside belongs together: earlier values are applied first; answers and state follow at its end.

        with server.turn():
            server.do(NoteOn(60, 1.0), "wire")
        """

    def do(self, command: Command, source: str) -> None:
        """Carries out a command within a `turn`.

        Args:
            command: What to do, and when.
            source: Who asks, named in feedback: a surface is not sent back what it did itself.

        Raises:
            AntiphonError: It cannot be done; the sentence says why.
        """

    def command(self, command: Command, source: str) -> None:
        """As `do`, in a turn of its own."""

    def message(self, address: str, *args: Arg, source: str, reply: Reply | None = None) -> None:
        """Sends an OSC message as an owner's surface does.

        Args:
            address: One of docs/osc.md; no pattern.
            args: Its arguments.
            source: Who sends.
            reply: Is called with each answer, at the end of a turn or when a plan plays; None drops them.

        Raises:
            AntiphonError: It cannot be done: what `/fail` would say.
        """

    # ---- state

    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name, those of the server's own, `in` and `out`, among them."""

    def param(self, node: str, name: str) -> tuple[Node, int]:
        """A node and the place of a parameter in its `cells`; `WireError` names what there is."""

    def value_at(self, node: Node, cell: int) -> Value:
        """A parameter's value."""

    def controls(self) -> Mapping[str, str]:
        """The patch's [midi] with the pedals of its set: "cc 21" → "node.param" or an address."""

    # ---- what it is told

    def on_value(self, listener: Callable[[str, Value], None]) -> None:
        """Has `listener(address, value)` called for changed parameters: of each the last, at most 60 times a second."""

    def on_event(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """Has the listener called with what `antiphon_event` gets."""

    def on_effect(self, listener: Callable[[EngineEffect], None]) -> None:
        """Has the listener called with each effect on the engine, when it is asked for."""

    def on_note(self, listener: Callable[[EmittedEvent], None], node: Callable[[], int]) -> None:
        """Has the listener called with events that nodes play.

        Args:
            listener: Gets those of `node`, and of others where somebody else asked for them.
            node: Gives the number of the node whose events are wanted now, 0 for none.
        """

    # ---- what it adds

    def service(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs `work()` from the server's start until its end; one that raises is begun again."""

    def status(self, figures: Status) -> None:
        """Puts `figures()` under the transport's name into `/api/status`."""

    def learner(self, learner: Learner) -> None:
        """`/learn` and `/unlearn` are this transport's from now on."""

    def event(self, address: str, *args: Arg) -> None:
        """Sends a message to all subscribers, with the next feedback."""

    # ---- faults

    def fault(self, what: str, error: Exception) -> None:
        """Counts what nobody foresaw, and logs it."""

    def attempt(self, what: str, work: Callable[[], object]) -> None:
        """Does `work`; what it raises is a fault, and ends nothing else."""


class Transport:
    """Base of what a plugin registers. Its module imports no library: those are for `start`.

    options: names of the settings that ask for it, of which one must be set; none: it is always started.
    """

    options: ClassVar[tuple[str, ...]] = ()

    def check(self, settings: ServeSettings) -> None:
        """Raises `UsageError` for settings that cannot be; before anything is started, by the command line."""

    def secrets(self, settings: ServeSettings) -> Iterable[tuple[str, str]]:
        """(argument, part of it) of what the process list must not show."""
        return ()

    def findings(self) -> Iterable[Finding]:
        """What `antiphon doctor` says of it."""
        return ()

    def ports(self) -> tuple[object, Iterable[str]] | None:
        """What `antiphon devices` says of it: as JSON, and as lines for a person."""
        return None

    def start(self, server: TransportServer) -> Awaitable[None] | None:
        """Begins. May be async; what it raises is logged, and the server goes on without it."""

    def stop(self) -> Awaitable[None] | None:
        """Ends. May be async."""


def wanted(options: Iterable[str], settings: ServeSettings) -> bool:
    """Whether the settings ask for a transport with these options."""
    names = tuple(options)
    return not names or any(getattr(settings, name, None) for name in names)


def settable(param: Param, address: str) -> None:
    """`WireError` where a control could not move the parameter."""
    if param.readonly or param.kind in ("text", "file"):
        raise WireError(f"{address} is {'readonly' if param.readonly else param.kind}; a control cannot set it")
