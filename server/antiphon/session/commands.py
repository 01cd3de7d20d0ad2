"""Commands are small frozen values with a time.

OSC, HTTP, a file of events and a session log all become these. `when` is the moment a command
enters its node: `Now` at the start of the next block, `Sample` at that sample of the engine's
clock, `Beat` where the tempo map puts it, wherever the tempo goes meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from antiphon.contract.params import Value


@dataclass(frozen=True, slots=True)
class Now:
    """At the start of the next block."""


@dataclass(frozen=True, slots=True)
class Sample:
    """At sample `n` of the engine's clock, counted from its start."""

    n: int


@dataclass(frozen=True, slots=True)
class Beat:
    """At beat `b`; with `quantum` > 0 at the next multiple of it that is not before `b`."""

    b: float
    quantum: float = 0.0


When: TypeAlias = Now | Sample | Beat
NOW = Now()


@dataclass(frozen=True, slots=True)
class SetParam:
    """`/node/NAME/PARAM value [seconds]`: the node's parameter becomes `value`.

    ramp: seconds to get there, never less than the parameter's own smoothing.
    """

    node: str
    param: str
    value: Value
    ramp: float = 0.0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class ResetNode:
    """`/node/NAME/reset`: clears the node's state and tries it again after a failure."""

    node: str
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NoteOn:
    """`/note/on note velocity [channel] [node]`: the note begins; velocity 0 ends it.

    note: 0 to 127.  velocity: 0 to 1.  channel: 1 to 16.  node: whose; "" is every node that no wire plays.
    """

    note: int
    velocity: float
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NoteOff:
    """`/note/off note [velocity] [channel] [node]`: the note ends."""

    note: int
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class Control:
    """`/cc number value [channel] [node]`: a controller, 0 to 127 (64 is the pedal), moves to 0 to 1."""

    number: int
    value: float
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class Bend:
    """`/bend value [channel] [node]`: the pitch wheel, -1 to 1."""

    value: float
    channel: int = 1
    node: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class SetTempo:
    """`/tempo bpm [beats]`: the tempo, reached at once or over `beats` beats."""

    bpm: float
    beats: float = 0.0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class Transport:
    """`/transport/play [beat]`, `/transport/stop`, `/beat beat`.

    playing None leaves it as it is; beat None leaves the place.
    """

    playing: bool | None = None
    beat: float | None = None
    when: When = NOW


@dataclass(frozen=True, slots=True)
class NudgeBeat:
    """`/beat/nudge beats`: the beat moves on, or back where `beats` is negative, from wherever it is at that moment."""

    beats: float
    when: When = NOW


@dataclass(frozen=True, slots=True)
class Panic:
    """`/panic`: silence within one block; what is scheduled is dropped, tails are cut."""

    when: When = NOW


@dataclass(frozen=True, slots=True)
class ClearSchedule:
    """`/clearSched`: what is scheduled and not yet due is dropped."""

    when: When = NOW


@dataclass(frozen=True, slots=True)
class Sync:
    """`/sync id`: a token that comes back once all before it and due has taken effect."""

    token: int
    when: When = NOW


Note: TypeAlias = NoteOn | NoteOff | Control | Bend
Plain: TypeAlias = SetTempo | Transport | NudgeBeat | Panic | ClearSchedule | Sync
"""Those that name no node: the engine gets them as they stand."""
Command: TypeAlias = SetParam | ResetNode | Note | Plain
