"""Effects: a session's response to a command, for the engine (actions, plans) or subscribers (changes).

Frozen values, no references to the world. Actions are sent through the engine's ring, and written into a session log.
A command with nodes becomes one action a node, with node and parameter numbers and checked values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.graph.clock import MAX_STEP, MAX_SWING, MAX_TEMPO, MIN_STEP, MIN_TEMPO
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.io_nodes import OUT_NUMBER
from antiphon.kernel.session.commands import (
    NOW,
    AwaitPlayer,
    ClearSchedule,
    NudgeBeat,
    Panic,
    Plain,
    Play,
    SetSwing,
    SetTempo,
    SetTransport,
    Sync,
    When,
)
from antiphon.kernel.session.events import EVENTS
from antiphon.kernel.session.records import Field, RecordRow, RecordTable

MAX_VALUE = 1e9
"""Maximum of beats, ramps and parameter values."""
MAX_RAMP = 1e6
"""Maximum length of a tempo ramp, in beats."""


@dataclass(frozen=True, slots=True)
class NodeSet:
    """A node's parameter, index `cell`, gets an encoded value (`Param.encode`), ramped over `ramp` seconds."""

    node: int
    cell: int
    number: float
    ramp: float = 0.0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NodeReset:
    """Resets a node's state, and retries it after a failure."""

    node: int
    when: When = NOW


@dataclass(frozen=True, slots=True)
class FadeOut:
    """Final fade-out of the output, sent by the engine itself at its end."""

    when: When = NOW


@dataclass(frozen=True, slots=True)
class EndTails:
    """End of the last patch's tails, sent by the engine itself when the next plan is ready."""

    when: When = NOW


Action: TypeAlias = NodeSet | NodeReset | Play[int] | Plain | FadeOut | EndTails

_NODE = Field("node", "q", low=OUT_NUMBER)
ACTIONS: RecordTable[Action] = RecordTable((
    RecordRow(1, "set", NodeSet, (
        _NODE, Field("cell", "q", 0, (1 << 31) - 1), Field("number", "d", -MAX_VALUE, MAX_VALUE),
        Field("ramp", "d", 0.0, MAX_VALUE),
    )),
    RecordRow(2, "reset", NodeReset, (_NODE,)),
    RecordRow(3, "tempo", SetTempo, (Field("bpm", "d", MIN_TEMPO, MAX_TEMPO), Field("beats", "d", 0.0, MAX_RAMP)),
              message="/tempo"),
    RecordRow(4, "transport", SetTransport, (
        Field("playing", "?", optional=True), Field("beat", "d", -MAX_VALUE, MAX_VALUE, optional=True),
    )),
    RecordRow(5, "panic", Panic),
    RecordRow(6, "clear", ClearSchedule),
    RecordRow(7, "sync", Sync, (Field("token", "q", 0),), address="/sync"),
    RecordRow(12, "end", FadeOut),
    RecordRow(13, "nudge", NudgeBeat, (Field("beats", "d", -16.0, 16.0),), message="/beat/nudge"),
    RecordRow(18, "swing", SetSwing, (Field("amount", "d", 0.0, MAX_SWING), Field("step", "d", MIN_STEP, MAX_STEP)),
              message="/swing"),
    RecordRow(19, "tails", EndTails),
    RecordRow(20, "wait", AwaitPlayer, (_NODE, Field("beat", "d", -MAX_VALUE, MAX_VALUE, optional=True)),
              address="/transport/wait"),
    *(RecordRow(event.code, event.op, Play, (
        _NODE, event.number, event.value, Field("channel", "B", 1, 16, of="event.channel", default=1),
        Field("serial", "i", 0, of="event.serial", logged=False, default=0),
    ), address=event.address, live=True, kind=event.kind) for event in EVENTS),
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """A request to the engine to play another plan.

    `versions`: the folder of the version to use, for each plugin whose files were saved since the start.
    """

    serial: int
    graph: Graph
    ids: dict[str, int]
    tempo: float  # beats per minute; 0 leaves the tempo as it is
    fade: float  # seconds of the crossfade
    again: bool = False  # the plan has played before, so there is none to return to
    versions: Mapping[str, str] = field(default_factory=dict)
    quantum: float = 0.0  # beats: the plan plays from the next multiple of them on; 0 from the next block on
    tail: float = 0.0  # seconds in which the nodes that left ring out


@dataclass(frozen=True, slots=True)
class Changed:
    """A parameter has a new value.

    `before`: the previous value, where a command changed it at once; None for a change by a schedule or a patch.
    """

    node: str
    param: Param
    value: Value
    source: object = None
    before: Value | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TempoChanged:
    """The tempo has a new value. `bpm`: beats per minute; `source`: as in `Changed`."""

    bpm: float
    source: object = None


EngineEffect: TypeAlias = Action | EngineLoad
"""A request to the engine, as a frozen value.

It is a `Play`; a parameter's value or a reset, by the node's number; a command without a node, such as `SetTempo`,
`SetTransport` and `Panic`; or another plan. Schedulable ones have a `when`.
"""
Effect: TypeAlias = EngineEffect | Changed | TempoChanged
"""Effect of a command: a request to the engine, or feedback."""
