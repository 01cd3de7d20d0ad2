"""Commands are small frozen values with a time.

OSC, HTTP, a file of events and a session log are all parsed into commands. `when` is the time at which a command enters
its node: `Now` at the start of the next block, `Sample` at that sample of the engine's clock, `Beat` where the tempo
map puts it, including later tempo changes.
"""

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.params import Value


@dataclass(frozen=True, slots=True)
class Now:
    """Time: the start of the next block."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Time: a sample of the engine's clock."""

    n: int


@dataclass(frozen=True, slots=True)
class Beat:
    """Time: a beat, mapped to a sample by the tempo map when it is due."""

    b: float  # the beat
    quantum: float = 0.0  # where above 0, the next multiple of it that is not before `b`


When: TypeAlias = Now | Sample | Beat
"""Time at which a command enters its node."""
NOW = Now()
"""Time: the start of the next block."""


@dataclass(frozen=True, slots=True)
class SetParam:
    """`/node/NAME/PARAM value [seconds]`: sets a parameter.

    `ramp`: its duration in seconds, never less than the parameter's own smoothing.
    """

    node: str
    param: str
    value: Value
    ramp: float = 0.0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class ResetNode:
    """`/node/NAME/reset`: clears a node's state and tries it again after a failure."""

    node: str
    when: When = NOW


N = TypeVar("N", str, int)


@dataclass(frozen=True, slots=True)
class Play(Generic[N]):
    """Sends an event to a node: a note, a controller, a bend or a program; `events.EVENTS` has its message and ranges.

    Attributes:
        node: As a command the node's name, "" for every node whose events input no wire feeds; as an action its number.
        event: An event of the plugin contract; its `offset`, `age` and `live` are set where it enters a block.
    """

    node: N
    event: Event
    when: When = NOW


@dataclass(frozen=True, slots=True)
class SetTempo:
    """`/tempo bpm [beats]`: sets the tempo. `bpm`: 10 to 999. `beats`: length of the ramp in beats; 0 for none."""

    bpm: float
    beats: float = 0.0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class SetSwing:
    """`/swing amount [step]`: delays every second step of events timed in beats; the beat itself stays even."""

    amount: float  # share of a step by which it is late, 0 to 0.75; 0 is even, 1/3 that of triplets
    step: float = 0.5  # in beats: 1/2 swings eighths, 1/4 sixteenths
    when: When = NOW


@dataclass(frozen=True, slots=True)
class SetTransport:
    """`/transport/play [beat]`, `/transport/stop`, `/beat beat`: starts, stops or moves the musical clock.

    `playing`: whether it runs; None leaves it as it is. `beat`: the new position; None leaves it as it is.
    """

    playing: bool | None = None
    beat: float | None = None
    when: When = NOW


@dataclass(frozen=True, slots=True)
class AwaitPlayer:
    """`/transport/wait`: stops the musical clock until that node starts it; the node's findings are reset.

    `node`: its number; 0 for the first of the plan that the clock waits for. `beat`: the beat to stop at; None for the
    present one. Nothing changes if by its values the clock waits for no such node.
    """

    node: int
    beat: float | None = None
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NudgeBeat:
    """`/beat/nudge beats`: moves the musical clock relative to its position when the command takes effect.

    `beats`: the distance, -16 to 16; below 0 it moves back.
    """

    beats: float
    when: When = NOW


@dataclass(frozen=True, slots=True)
class Panic:
    """`/panic`: silence within a block; drops the schedule and cuts tails."""

    when: When = NOW


@dataclass(frozen=True, slots=True)
class ClearSchedule:
    """`/clearSched`: drops the schedule."""

    when: When = NOW


@dataclass(frozen=True, slots=True)
class Sync:
    """`/sync id`: answers with a number once every earlier command that is due has taken effect."""

    token: int
    when: When = NOW


Plain: TypeAlias = SetTempo | SetSwing | SetTransport | AwaitPlayer | NudgeBeat | Panic | ClearSchedule | Sync
"""Commands without a node, which are sent to the engine unchanged."""
Command: TypeAlias = SetParam | ResetNode | Play[str] | Plain
"""Every command."""
