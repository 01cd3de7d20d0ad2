"""What control knows of the engine: commands go in, reports, clocks, counters and meters come out.

Real-time commands are fixed-size records in a bounded ring; a `False` answer means the ring was full
and the command is dropped and counted. Rare, bulky things (a new plan) go by a socket.
Nodes are named by the number control gives them in `load`; cells by their place in
`ProcessorInfo.cells`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from antiphon.graph.graph import Graph
from antiphon.session.actions import Action


@dataclass(frozen=True, slots=True)
class Synced:
    """A sync token whose block has been computed."""

    token: int


@dataclass(frozen=True, slots=True)
class Late:
    """A command came `seconds` after its sample. node 0: not a node's.  cell: or `action_schedule.OTHER` plus the
    action's code."""

    node: int
    cell: int
    seconds: float


@dataclass(frozen=True, slots=True)
class NodeState:
    """state: "running"; "failed" with the reason (raised, NaN, overran); "starting", "restarting": its worker is;
    "waiting": what its worker plays by does not answer.
    """

    node: int
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PlanLoaded:
    """The plan of `load` number `serial` plays. latency: of the graph, in frames."""

    serial: int
    latency: int


@dataclass(frozen=True, slots=True)
class PlanRefused:
    """The plan of `load` number `serial` could not be made; the one before plays on."""

    serial: int
    reason: str


@dataclass(frozen=True, slots=True)
class PlanWeighed:
    """Before a plan is swapped in: the share of a block it is measured to take, and a warning or ""."""

    load: float
    warning: str


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """An engine (a first, or one after a crash) waits for its plan."""

    pid: int


@dataclass(frozen=True, slots=True)
class BeatPassed:
    """Beat number `beat` began."""

    beat: int


@dataclass(frozen=True, slots=True)
class Reported:
    """A node's readonly parameter has a new value."""

    node: int
    cell: int
    number: float


EVERY_NODE = -1
"""For `EngineLink.echo`: the events of all nodes."""


@dataclass(frozen=True, slots=True)
class PlayedNote:
    """A node that `echo` names emitted an event, for frame `sample`; the rest as in `processor.Event`."""

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
    """Engine counters since the server's start (an engine restart does not clear them)."""

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


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What `/status` tells of the engine. latencies in frames, loads as a share of a block (1 = full)."""

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


class EngineLink(Protocol):
    """Control's end. All calls return at once and are for one thread."""

    def send(self, action: Action) -> bool:
        """Hands an action to the engine; False where its ring is full."""

    def load(
        self, serial: int, graph: Graph, ids: dict[str, int], tempo: float, fade: float, *, again: bool = False
    ) -> None:
        """Asks for a new plan. ids: the number of every node; a number that was there before keeps its state.

        again: it has played before, so a node that cannot be prepared any more fails by itself.
        Answered by `PlanLoaded` or `PlanRefused`; crossfaded over `fade` seconds.
        """

    def record(self, path: str | None) -> None:
        """Starts recording the output to a file, or stops (None)."""

    def note_turn(self) -> None:
        """Control's loop has turned: noted where the supervisor looks for a control that hangs."""

    def echo(self, node: int) -> None:
        """From now on this node's events are reported, or those of `EVERY_NODE`, and no other's; 0 ends it."""

    def session(self, path: str | None, header: dict[str, Any] | None = None) -> None:
        """Starts keeping the set in a folder, or stops."""

    @property
    def keeping(self) -> bool:
        """Whether a set is being kept."""

    def reports(self) -> list[Report]:
        """What the engine said since the last call. `fileno` is readable when there is something."""

    def fileno(self) -> int: ...

    def sample_at(self, monotonic_ns: int) -> float:
        """The engine's sample at a moment of CLOCK_MONOTONIC, by the delay-locked loop."""

    def beat_at(self, sample: int) -> float: ...
    def tempo_now(self) -> tuple[float, float, bool]:
        """Beat, bpm, playing at the engine's last block."""

    def counters(self) -> EngineCounters: ...
    def status(self) -> EngineStatus: ...
    def meters(self) -> dict[int, tuple[float, float]]:
        """Node number → (peak, rms) of its output over the last 1/60 s; 0 is the master output, -1 the input."""
