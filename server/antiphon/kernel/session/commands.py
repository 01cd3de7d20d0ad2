"""Commands are small frozen values with a time.

OSC, HTTP, a file of events and a session log are all parsed into commands. `when` is the time at which a command enters
its node: `Now` at the start of the next block, `Sample` at that sample of the engine's clock, `Beat` where the tempo
map puts it, including later tempo changes. `channel` and `node` of every note command are as for `NoteOn`.
"""

from dataclasses import dataclass
from typing import TypeAlias

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


@dataclass(frozen=True, slots=True)
class NoteOn:
    """`/note/on note velocity [channel] [node]`: begins a note.

    Attributes:
        note: 0 to 127.
        velocity: 0 to 1; 0 ends the note.
        channel: 1 to 16.
        node: The node's name; "" for every node whose events input no wire feeds.
    """

    note: int
    velocity: float
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NoteOff:
    """`/note/off note [velocity] [channel] [node]`: ends a note. `note`: 0 to 127."""

    note: int
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class Control:
    """`/cc number value [channel] [node]`: sets a controller.

    `number`: 0 to 127; 64 is the sustain pedal. `value`: 0 to 1.
    """

    number: int
    value: float
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class Bend:
    """`/bend value [channel] [node]`: sets the pitch bend. `value`: -1 to 1."""

    value: float
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class ProgramChange:
    """`/program number [channel] [node]`: chooses the instrument of a channel."""

    number: int  # 0 to 127, as General MIDI counts from 0
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NotePitch:
    """`/note/pitch note semitones [channel] [node]`: moves the pitch of one note.

    `note`: the note, 0 to 127: the sounding one, or else the next. `semitones`: from the note's own pitch, -96 to 96.
    """

    note: int
    semitones: float
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NotePressure:
    """`/note/pressure note value [channel] [node]`: sets the key pressure of one note.

    `note`: as for `NotePitch`. `value`: 0 to 1.
    """

    note: int
    value: float
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NoteTimbre:
    """`/note/timbre note value [channel] [node]`: sets the timbre (brightness) of one note.

    `note`: as for `NotePitch`. `value`: 0 to 1; 0.5 is the instrument's own.
    """

    note: int
    value: float
    channel: int = 1
    node: str = ""
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


Expression: TypeAlias = NotePitch | NotePressure | NoteTimbre
"""A command that shapes one note."""
Note: TypeAlias = NoteOn | NoteOff | Control | Bend | ProgramChange | Expression
"""A command of a note, a controller, a pitch bend or an instrument."""
Plain: TypeAlias = SetTempo | SetSwing | SetTransport | AwaitPlayer | NudgeBeat | Panic | ClearSchedule | Sync
"""Commands without a node, which are sent to the engine unchanged."""
Command: TypeAlias = SetParam | ResetNode | Note | Plain
"""Every command."""
