"""Engine-to-control messages: reports, counters and status.

Real-time actions are fixed-size records in a bounded ring; a result of False means that the ring was full and the
action is dropped and counted. New plans, which are rare and large, go through a socket. A node is identified by the
number that control assigns in `load`, a cell by its index in `ProcessorInfo.cells`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct

from antiphon.kernel.session.commands import Play


@dataclass(frozen=True, slots=True)
class Synced:
    """The block in which a sync took effect has been computed."""

    token: int


@dataclass(frozen=True, slots=True)
class Late:
    """An action came after its sample."""

    node: int  # the node's number; 0 for an action that names none
    cell: int  # index of the parameter, or `action_schedule.OTHER` + the action's code
    seconds: float


class NodeState(Struct, frozen=True, tag=True):
    """The state of a node has changed.

    `state`: "running"; "failed" (raised an error, gave a NaN, or overran); "starting" or "restarting" (its worker is);
    "waiting" (the program or device that its worker uses does not answer).
    """

    node: int
    state: str
    reason: str = ""  # why it failed or does not run; "" otherwise


class NodeVocabulary(Struct, frozen=True, tag=True):
    """Vocabulary of a node's text parameters, as its processor found it in `prepare`.

    `node`: the node's number; `words`: vocabulary by parameter.
    """

    node: int
    words: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PlanLoaded:
    """The plan requested by `load` number `serial` plays.

    `latency`: its latency in frames; `awaited`: number of the node for which its clock may wait, 0 for none.
    """

    serial: int
    latency: int
    awaited: int = 0


class PlanRefused(Struct, frozen=True, tag=True):
    """The plan requested by `load` number `serial` was refused; the previous plan continues."""

    serial: int
    reason: str


class PlanWeighed(Struct, frozen=True, tag=True):
    """A plan is about to be loaded: its measured load as a share of a block, and a warning or ""."""

    load: float
    warning: str


class EngineStarted(Struct, frozen=True, tag=True):
    """An engine, the first or a restarted one, has started and needs a plan."""

    pid: int


class DeviceUsed(Struct, frozen=True, tag=True):
    """The engine plays by `driver`: the `device` asked for by `serial`, or with a `problem` another one."""

    problem: str
    driver: str
    device: str
    serial: int


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


EVERY_NODE = -1
"""Argument of `RemoteEngine.echo` that selects all nodes."""


LoaderReport: TypeAlias = NodeState | NodeVocabulary | PlanRefused | PlanWeighed | EngineStarted | DeviceUsed
"""A report by the loader, which goes through its socket as JSON."""
Report: TypeAlias = LoaderReport | Synced | Late | PlanLoaded | BeatPassed | Reported | Play[int]
"""A report; `Play` is of an event, at a `Sample`, that a node selected by `RemoteEngine.echo` emitted."""


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """Engine counters since the server's start (preserved across engine restarts).

    Definitions:

    - `stalls`: times that the machine gave the engine no processor for 0.1 s or longer.
    - `stalled_ns`: duration of the last stall.
    - `latest_ns`: largest lateness of a computed block; stalls do not count.
    - `interpreted_blocks`: blocks in which the interpreter took part; `interpreted_action` and so on: with that reason
      among others (`Touch`).
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
    interpreted_blocks: int = 0
    interpreted_action: int = 0
    interpreted_moving: int = 0
    interpreted_event: int = 0
    interpreted_python: int = 0
    interpreted_plan: int = 0
    interpreted_other: int = 0


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Engine state for `/status`. Latencies are in frames, loads are shares of a block (1 is full load).

    `wake_late_ns`: worst wake-up latency of a thread at the server's start; 0 with an explicit `--ahead`.
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
    device_rate: int = 0  # Hz, of the device
    device_block: int = 0  # frames that the device asks for at once

    @property
    def ahead(self) -> int:
        """Blocks between input and output; for the software clock, the size of its virtual device buffer."""
        return (self.latency_ring or self.latency_driver) // max(1, self.block)
