"""Interface of the server for a transport: commands, queries and callbacks."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from antiphon.kernel.contract.params import Value
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.actions import EngineEffect
from antiphon.kernel.session.commands import Command, Play, Sample, When
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.schedule import Moment
from antiphon.kernel.wire.osc import Arg

Status: TypeAlias = Callable[[], dict[str, Any] | None]
Reply: TypeAlias = Callable[[str, tuple[Arg, ...]], None]
"""(address, arguments) of an answer."""


class Learner(Protocol):
    """MIDI learn: assigns hardware controllers to parameters, for `/learn` and `/unlearn`.

    A server has one learner: the last one set by `TransportServer.learner`.
    """

    def learn(self, target: str, done: Callable[[str], None], how: str = "") -> None:
        """Assigns the next controller that moves to a target. Replaces an assignment that is not completed yet.

        `target`: "node.param", one of `BUTTONS`, or "/cue NAME". `how`: the controller's encoding, of `COUNTING_MODES`;
        "" to detect it from its values.
        """

    def unlearn(self, target: str) -> None:
        """Removes a target's assignment, including one not completed yet. Raises RequestError: there is none."""

    def assignments(self) -> Iterable[tuple[str, str, str]]:
        """Assignments of controllers to targets.

        Returns target, controller and port of each; the port is "" for an assignment by the patch or the set list.
        """


class TransportServer(Protocol):
    """The server, as given to `Transport.start`. All methods are to be called in the event loop's thread."""

    # ---- start

    @property
    def settings(self) -> ServeSettings:
        """The options of `antiphon serve`."""

    @property
    def fresh(self) -> bool:
        """True if the control process began with a new state; False if it restored an earlier one's."""

    @property
    def folder(self) -> Path:
        """The running server's own folder; restarts of the control process keep it."""

    def file(self, name: str) -> Path:
        """Path of a file of this transport in `folder`, kept and removed with the server's state."""

    def keep(self, name: str, text: str) -> None:
        """Keeps a text for the control process that follows a crash; on a full disk it is lost."""

    def kept(self, name: str) -> str:
        """The text that an earlier control process kept last; "" without one."""

    # ---- time

    @property
    def rate(self) -> int:
        """Samples per second."""

    @property
    def block(self) -> int:
        """Frames of a block."""

    def now_ns(self) -> int:
        """Present time of CLOCK_MONOTONIC, ns."""

    def moment(self) -> Moment:
        """Present moment of the engine's clock, as `sample` and `beat`, both with a fraction."""

    def sample_at(self, ns: int) -> float:
        """Engine sample at a time of CLOCK_MONOTONIC in ns, with a fraction."""

    def when(self, timetag: int) -> Sample:
        """Engine sample of an OSC time tag, as for the server's own port.

        `timetag`: NTP, 32 bits of seconds since 1900 and 32 of a fraction. A command for a sample in the past takes
        effect at once, and is counted as late. Raises RequestError: it is too far ahead.
        """

    def leader(self) -> str:
        """Name of the patch's node that steers the clock; "" where none does."""

    def tempo(self) -> tuple[float, float, bool]:
        """(beat, beats per minute, whether the clock runs) of the musical clock at the engine's last block."""

    def beat_at(self, sample: float) -> float:
        """Beat of the clock at a sample near the present one: from the last block's beat, at its tempo."""

    def beat_of(self, when: When) -> float:
        """Beat at which a command with that time would be scheduled: the inverse of `due`, without the swing."""

    def bar(self) -> int:
        """Beats of a bar."""

    def due(self, when: When) -> float:
        """Sample at which a command with that time takes effect, by the present tempo and swing.

        `when`: the time; `NOW` is the present sample, and so is a beat that has passed. The result is on the engine's
        sample clock, with a fraction.
        """

    # ---- commands

    def turn(self) -> AbstractContextManager[None]:
        """Groups commands into one turn, for use with `with`.

        Values received before it are applied at its beginning. At its end the state is saved, then answers and
        feedback are sent: once for all commands in it.

        Example:
            with server.turn():
                server.do(Play("", Event("on", 0, 60, 1.0)), "wire")
                server.do(Play("", Event("control", 0, 64, 1.0)), "wire")
        """

    def do(self, command: Command, source: str) -> None:
        """Executes a command within a `turn`.

        `source`: name of the sender in feedback: a change is not sent back to the surface that made it. Raises
        AntiphonError: the command cannot be carried out; the message is for the performer.
        """

    def command(self, command: Command, source: str) -> None:
        """Executes a command in a separate turn."""

    def message(self, address: str, *args: Arg, source: str, reply: Reply | None = None) -> None:
        """Handles an OSC message with the rights of an owner's surface.

        `reply`: called with address and arguments of each answer: at the end of a turn, or once a plan that the message
        asked for plays. None discards answers. Raises RequestError: there is no such address, or the arguments do not
        fit it. Raises AntiphonError: the message cannot be carried out; a surface would receive that error as `/fail`.
        """

    # ---- state

    def nodes(self) -> Mapping[str, Node]:
        """Nodes by name: the patch's, and the server's own `in` and `out`."""

    def param(self, node: str, name: str) -> tuple[Node, int]:
        """A node, and the index of a parameter in its `cells`. Raises RequestError, which lists the known ones."""

    def value_at(self, node: Node, cell: int) -> Value:
        """Present value of a parameter. `cell`: the parameter's index in the node's `cells`."""

    def meters(self) -> Mapping[int, tuple[float, float]]:
        """(peak, RMS) of a recent block of each node's output, 1.0 is full scale, by the node's number."""

    def clips(self) -> Mapping[str, PatchClip]:
        """The patch's clips by name; another mapping after each change."""

    def keep_clips(self, clips: Mapping[str, PatchClip], what: str) -> None:
        """Replaces the patch's clips, saved with it. `what`: the address that requested it, which an undo names."""

    def controls(self) -> Mapping[str, str]:
        """The patch's [midi] section and the pedals of its set list: "cc 21" to "node.param" or an address."""

    def table(self, name: str) -> Mapping[str, Any]:
        """The patch's table of that name, as `Transport.table` declares it; the same object until the patch changes."""

    async def capture(self, path: Path, node: str, bars: int) -> int:
        """Writes the last bars of a node, or of `in` or `out`, into a WAV file; returns the beats that it holds."""

    # ---- listeners

    def on_value(self, listener: Callable[[str, Value], None]) -> None:
        """Adds a listener for parameter changes.

        `listener`: called with address and value of each changed parameter and of the tempo, at most 60 times a second:
        of several changes in between, with the last.
        """

    def on_event(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """Adds a listener for the dictionaries that the hook `antiphon_event` gets; it must return at once."""

    def on_leave(self, listener: Callable[[str], None]) -> None:
        """Adds a listener for OSC clients whose TCP connection has ended: called with their `OscRequest.sender`."""

    def on_effect(self, listener: Callable[[EngineEffect], None]) -> None:
        """Adds a listener for effects sent to the engine."""

    def on_note(self, listener: Callable[[Play[int]], None], node: Callable[[], int]) -> None:
        """Adds a listener for events emitted by nodes.

        `listener`: called with each event of `node`, at a `Sample`, and with those of other nodes for which other
        listeners ask, so it has to compare `Play.node`. `node`: returns the number of the node whose events are wanted
        now, 0 for none.
        """

    # ---- additions

    def service(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Adds a background task that runs while the server does. To be called in `Transport.start`.

        `work`: makes the task's coroutine. It is called again after an exception, which is counted as a fault; a
        coroutine that returns is not repeated. It is cancelled at the server's end.
        """

    def status(self, figures: Status) -> None:
        """Adds JSON data or None to `/api/status`, under the transport's name. `figures` is called at each request."""

    def learner(self, learner: Learner) -> None:
        """Sets the learner of `/learn` and `/unlearn`, replacing any earlier one."""

    def event(self, address: str, *args: Arg) -> None:
        """Sends a message to all subscribers, with the next feedback."""

    # ---- faults

    def fault(self, what: str, error: Exception) -> None:
        """Counts an unexpected exception, and logs it, at most one a second. `what` failed: "a MIDI message"."""

    def attempt(self, what: str, work: Callable[[], object]) -> None:
        """Calls a function, and passes its exception to `fault`."""


@dataclass(frozen=True, slots=True)
class OscRequest:
    """A message to a plugin's OSC address.

    `args`: the arguments, whose count and types are as declared; numbers are int for i, float for f and d. `sender`:
    its sender, for `TransportServer.command`. `reply`: sends the sender a message: `reply("/wobble/shaken", 3)`.
    """

    server: TransportServer
    args: tuple[Arg, ...]
    sender: str
    when: When
    reply: Callable[..., None]
