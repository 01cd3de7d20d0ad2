"""Effects: a session's response to a command, for the engine (actions, plans) or subscribers (changes).

Frozen values, no references to the world. Actions are sent through the engine's ring, and written into a session log.
A command with nodes becomes one action a node, with node and parameter numbers and checked values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

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
    SetSwing,
    SetTempo,
    SetTransport,
    Sync,
    When,
)
from antiphon.kernel.session.play import LAST
from antiphon.kernel.session.records import Field, RecordRow, RecordTable

MAX_VALUE = 1e9
"""Maximum of beats, ramps and parameter values."""
MAX_RAMP = 1e6
"""Maximum length of a tempo ramp, in beats."""
PITCH_REACH = 96.0
"""Maximum pitch bend of a note, in semitones: the widest bend range of MPE."""


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


class _Note:
    """Base of actions on notes, whose event number is the note."""

    __slots__ = ()
    note: int

    @property
    def number(self) -> int:
        """Event number: the note."""
        return self.note


@dataclass(frozen=True, slots=True)
class NodeNoteOn(_Note):
    """A node begins a note, 0 to 127, with a velocity above 0 to 1.

    `serial`: as in `processor.Event`; 0 for a note without a low-latency copy.
    """

    kind: ClassVar[str] = "on"
    node: int
    note: int
    velocity: float
    channel: int = 1
    serial: int = 0
    when: When = NOW

    @property
    def value(self) -> float:
        """Event value: the velocity."""
        return self.velocity


@dataclass(frozen=True, slots=True)
class NodeNoteOff(_Note):
    """A node ends a note; as an event it has the value 0."""

    kind: ClassVar[str] = "off"
    value: ClassVar[float] = 0.0
    node: int
    note: int
    channel: int = 1
    serial: int = 0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NodeControl:
    """A controller of a node changes, 0 to 1: MIDI's have numbers 0 to 127, above them are note-play values."""

    kind: ClassVar[str] = "control"
    node: int
    number: int
    value: float
    channel: int = 1
    serial: int = 0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NodeBend:
    """A node's pitch wheel is moved, -1 to 1; as an event it has the number 0."""

    kind: ClassVar[str] = "bend"
    number: ClassVar[int] = 0
    node: int
    value: float
    channel: int = 1
    serial: int = 0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NodeProgram:
    """A node changes a channel's instrument, 0 to 127; as an event it has the value 0."""

    kind: ClassVar[str] = "program"
    value: ClassVar[float] = 0.0
    node: int
    number: int
    channel: int = 1
    serial: int = 0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class _NoteValue(_Note):
    """A value of one note of a node."""

    node: int
    note: int
    value: float
    channel: int = 1
    serial: int = 0
    when: When = NOW


class NodePitch(_NoteValue):
    """A node's note is bent by semitones, -96 to 96."""

    __slots__ = ()
    kind: ClassVar[str] = "pitch"


class NodePressure(_NoteValue):
    """A node's note gets a key pressure, 0 to 1."""

    __slots__ = ()
    kind: ClassVar[str] = "pressure"


class NodeTimbre(_NoteValue):
    """A node's note gets a timbre, 0 to 1."""

    __slots__ = ()
    kind: ClassVar[str] = "timbre"


@dataclass(frozen=True, slots=True)
class FadeOut:
    """Final fade-out of the output, sent by the engine itself at its end."""

    when: When = NOW


@dataclass(frozen=True, slots=True)
class EndTails:
    """End of the last patch's tails, sent by the engine itself when the next plan is ready."""

    when: When = NOW


NodeExpression: TypeAlias = NodePitch | NodePressure | NodeTimbre
NodeEvent: TypeAlias = NodeNoteOn | NodeNoteOff | NodeControl | NodeBend | NodeProgram | NodeExpression
"""A note or controller action on one node; `NODE_EVENTS` has the classes, for `isinstance`.

Attributes: `node`, the node's number; `kind`, `number`, `value`, `channel` and `serial` as in `Event`; and `when`.
"""
NodeNote: TypeAlias = NodeNoteOn | NodeNoteOff
Action: TypeAlias = NodeSet | NodeReset | NodeEvent | Plain | FadeOut | EndTails
EVENTS = (NodeNoteOn, NodeNoteOff, NodeControl, NodeBend, NodeProgram, NodePitch, NodePressure, NodeTimbre)
"""Event actions of a node: each has kind, number, value, channel and serial as in `processor.Event`."""
NOTES = (NodeNoteOn, NodeNoteOff)

_NODE = Field("node", "q", low=OUT_NUMBER)
_EVENT = Field("channel", "B", 1, 16), Field("serial", "i", 0, logged=False)
_SEVEN_BIT = 0, 127
ACTIONS: RecordTable[Action] = RecordTable((
    RecordRow(1, "set", NodeSet, (
        _NODE, Field("cell", "i", 0), Field("number", "d", -MAX_VALUE, MAX_VALUE), Field("ramp", "d", 0.0, MAX_VALUE),
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
    RecordRow(8, "note_on", NodeNoteOn, (
        _NODE, Field("note", "B", *_SEVEN_BIT), Field("velocity", "d", 0.0, 1.0), *_EVENT,
    ), address="/note/on", live=True),
    RecordRow(9, "note_off", NodeNoteOff, (_NODE, Field("note", "B", *_SEVEN_BIT), *_EVENT),
              address="/note/off", live=True),
    RecordRow(10, "control", NodeControl, (
        _NODE, Field("number", "B", 0, LAST), Field("value", "d", 0.0, 1.0), *_EVENT,
    ), address="/cc", live=True),
    RecordRow(11, "bend", NodeBend, (_NODE, Field("value", "d", -1.0, 1.0), *_EVENT), address="/bend", live=True),
    RecordRow(12, "end", FadeOut),
    RecordRow(13, "nudge", NudgeBeat, (Field("beats", "d", -16.0, 16.0),), message="/beat/nudge"),
    RecordRow(14, "program", NodeProgram, (_NODE, Field("number", "B", *_SEVEN_BIT), *_EVENT), address="/program",
              live=True),
    RecordRow(15, "pitch", NodePitch, (
        _NODE, Field("note", "B", *_SEVEN_BIT), Field("value", "d", -PITCH_REACH, PITCH_REACH), *_EVENT,
    ), address="/note/pitch", live=True),
    RecordRow(16, "pressure", NodePressure, (
        _NODE, Field("note", "B", *_SEVEN_BIT), Field("value", "d", 0.0, 1.0), *_EVENT,
    ), address="/note/pressure", live=True),
    RecordRow(17, "timbre", NodeTimbre, (
        _NODE, Field("note", "B", *_SEVEN_BIT), Field("value", "d", 0.0, 1.0), *_EVENT,
    ), address="/note/timbre", live=True),
    RecordRow(18, "swing", SetSwing, (Field("amount", "d", 0.0, MAX_SWING), Field("step", "d", MIN_STEP, MAX_STEP)),
              message="/swing"),
    RecordRow(19, "tails", EndTails),
    RecordRow(20, "wait", AwaitPlayer, (_NODE, Field("beat", "d", -MAX_VALUE, MAX_VALUE, optional=True)),
              address="/transport/wait"),
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

It is a `NodeEvent`; a parameter's value or a reset, by the node's number; a command without a node, such as `SetTempo`,
`SetTransport` and `Panic`; or another plan. Schedulable ones have a `when`.
"""
Effect: TypeAlias = EngineEffect | Changed | TempoChanged
"""Effect of a command: a request to the engine, or feedback."""
