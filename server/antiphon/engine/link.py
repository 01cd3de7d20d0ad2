"""Control's interface to the engine: actions go in; reports, clocks, counters and meters come out.

Real-time actions are fixed-size records in a bounded ring; a result of False means that the ring was full and the
action is dropped and counted. New plans, which are rare and large, go through a socket.
A node is identified by the number that control gives it in `load`, a cell by its index in `ProcessorInfo.cells`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from antiphon.graph.graph import Graph
from antiphon.session.actions import Action


@dataclass(frozen=True, slots=True)
class Synced:
    """The block in which a sync took effect has been computed."""

    token: int


@dataclass(frozen=True, slots=True)
class Late:
    """An action came after its sample.

    Attributes:
        node: The node's number; 0 for an action that names none.
        cell: Index of the parameter, or `action_schedule.OTHER` + the action's code.
        seconds: How late.
    """

    node: int
    cell: int
    seconds: float


@dataclass(frozen=True, slots=True)
class NodeState:
    """The state of a node has changed.

    Attributes:
        state: "running"; "failed" (raised an error, gave a NaN, or overran); "starting" or "restarting" (its worker
            does); "waiting" (the program or device that its worker uses does not answer).
        reason: Why it failed or does not run; "" otherwise.
    """

    node: int
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NodeVocabulary:
    """What the text parameters of a node can name, as its processor found when it was prepared.

    `node`: the node's number; `words`: by parameter.
    """

    node: int
    words: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PlanLoaded:
    """The plan of `load` number `serial` plays; `latency` is that of the graph, in frames."""

    serial: int
    latency: int


@dataclass(frozen=True, slots=True)
class PlanRefused:
    """The plan of `load` number `serial` could not be made; the previous plan continues."""

    serial: int
    reason: str


@dataclass(frozen=True, slots=True)
class PlanWeighed:
    """A plan is about to be loaded: its measured load as a share of a block, and a warning or ""."""

    load: float
    warning: str


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """An engine, the first or one after a crash, has started and needs a plan."""

    pid: int


@dataclass(frozen=True, slots=True)
class BeatPassed:
    """Beat number `beat` has begun."""

    beat: int


@dataclass(frozen=True, slots=True)
class Reported:
    """A node's readonly parameter has a new value, `number`."""

    node: int
    cell: int
    number: float


NO_VERSIONS: Mapping[str, str] = MappingProxyType({})
EVERY_NODE = -1
"""Argument of `EngineLink.echo` for the events of all nodes."""


@dataclass(frozen=True, slots=True)
class PlayedNote:
    """A node selected by `echo` emitted an event at `sample`; the other fields are those of `processor.Event`."""

    node: int
    kind: str
    number: int
    value: float
    channel: int
    sample: int


Report: TypeAlias = (
    Synced
    | Late
    | NodeState
    | NodeVocabulary
    | PlanLoaded
    | PlanRefused
    | PlanWeighed
    | EngineStarted
    | BeatPassed
    | Reported
    | PlayedNote
)


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """Engine counters since the server's start (an engine restart does not clear them).

    Some that need a definition:

    - `stalls`: times that the machine gave the engine no processor for 0.1 s or longer.
    - `stalled_ns`: duration of the last of them.
    - `latest_ns`: how long after its time a block was computed at the latest; stalls do not count.
    """

    blocks: int = 0
    missed_blocks: int = 0
    late_blocks: int = 0
    late: int = 0
    schedule_dropped: int = 0
    commands_dropped: int = 0
    reports_dropped: int = 0
    tap_dropped: int = 0
    device_xruns: int = 0
    pending: int = 0
    nan_blocks: int = 0
    limited_blocks: int = 0
    journal_dropped: int = 0
    clipped_blocks: int = 0
    supervisor_faults: int = 0
    stalls: int = 0
    stalled_ns: int = 0
    latest_ns: int = 0


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """State of the engine for `/status`. Latencies are in frames, loads are shares of a block (1 is all of it).

    `wake_late_ns`: how late the machine woke a thread at the worst, at the server's start; 0 where `--ahead` is given.
    """

    pid: int
    state: str
    restarts: int
    driver: str
    rate: int
    block: int
    channels: int
    latency_driver: int
    latency_ring: int
    latency_graph: int
    load_mean: float
    load_peak: float
    wake_late_ns: int = 0

    @property
    def ahead(self) -> int:
        """Blocks between input and output; of the software clock, of its virtual device buffer."""
        return (self.latency_ring or self.latency_driver) // max(1, self.block)


class EngineLink(Protocol):
    """Control's end of the connection. No call blocks. For one thread."""

    def send(self, action: Action) -> bool:
        """Sends an action to the engine. Returns False when the ring is full."""

    def load(
        self, serial: int, graph: Graph, ids: dict[str, int], tempo: float, fade: float, *, again: bool = False,
        versions: Mapping[str, str] = NO_VERSIONS, quantum: float = 0.0,
    ) -> None:  # fmt: skip
        """Requests a new plan. The answer is a `PlanLoaded` or a `PlanRefused`.

        Args:
            serial: Number of the request; the answer has the same.
            ids: Number of every node by name; a node whose number the previous plan has keeps its state.
            tempo: New tempo in bpm; 0 leaves it as it is.
            fade: Seconds of the crossfade.
            again: The graph played before an engine restart: a node that cannot be prepared any more fails alone.
            versions: By plugin, the folder of the version to use; without one, the version of the start.
            quantum: Beats: the plan plays from the next multiple of them on; 0 from the next block on.
        """

    def record(self, path: str | None) -> None:
        """Starts recording the output to a file; None stops it. Raises EngineError when the recorder is too busy."""

    def capture(self, path: str, node: int, bars: int, bar: int, number: int) -> None:
        """Writes the last bars of a node to a file; the recorder answers by number. Raises EngineError as `record`.

        Args:
            bar: Beats of a bar.
            number: By which the answer is known.
        """

    def note_turn(self) -> None:
        """Notes the time of a turn of control's loop; the supervisor takes a control without turns as hung."""

    def echo(self, node: int) -> None:
        """Selects the node whose events are reported as `PlayedNote`: a number, `EVERY_NODE`, or 0 for none."""

    def session(self, path: str | None, header: dict[str, Any] | None = None) -> None:
        """Starts recording a session into a folder; None stops it. Raises EngineError when the recorder is too busy."""

    @property
    def keeping(self) -> bool:
        """Whether a session is being recorded."""

    def reports(self) -> list[Report]:
        """The engine's reports since the last call."""

    def fileno(self) -> int:
        """A descriptor that is readable when there are reports."""

    def sample_at(self, monotonic_ns: int) -> float:
        """The engine's sample, fractional, at a time of CLOCK_MONOTONIC in ns, by the delay-locked loop."""

    def beat_at(self, sample: float) -> float:
        """The beat at a sample, extrapolated from the last block's beat and tempo."""

    def tempo_now(self) -> tuple[float, float, bool]:
        """(beat, bpm, whether the transport plays) at the engine's last block."""

    def counters(self) -> EngineCounters:
        """The counters since the server's start."""

    def status(self) -> EngineStatus:
        """The engine's state, latencies and load."""

    def meters(self) -> dict[int, tuple[float, float]]:
        """(peak, rms) of a recent block of each node's output, by node number; 0 is the master output, -1 the input."""

    def node_loads(self) -> dict[int, float]:
        """Mean share of a block's time that each node's processor takes in the engine, by node number."""
