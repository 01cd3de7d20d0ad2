"""What a session answers a command with: things for others to do. Frozen values, no references to the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from antiphon.contract.params import Param, Value
from antiphon.graph.graph import Graph
from antiphon.session.commands import NOW, When


@dataclass(frozen=True, slots=True)
class EngineSet:
    """The engine's node `node` gets `number` in its cell `cell`, ramped over `ramp` seconds."""

    node: int
    cell: int
    number: float
    ramp: float = 0.0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class EngineReset:
    node: int
    when: When = NOW


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """The engine's node `node` plays an event; kind, number, value and channel as in `processor.Event`."""

    node: int
    kind: str
    number: int = 0
    value: float = 0.0
    channel: int = 1
    when: When = NOW


@dataclass(frozen=True, slots=True)
class EngineTempo:
    bpm: float
    beats: float = 0.0
    when: When = NOW


@dataclass(frozen=True, slots=True)
class EngineTransport:
    playing: bool | None
    beat: float | None
    when: When = NOW


@dataclass(frozen=True, slots=True)
class EnginePanic:
    pass


@dataclass(frozen=True, slots=True)
class EngineClear:
    pass


@dataclass(frozen=True, slots=True)
class EngineSync:
    token: int
    when: When = NOW


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """The engine is asked for plan number `serial`; values in `graph` are the current ones. tempo 0 leaves it.

    again: it has played before, and there is nothing to go back to.
    """

    serial: int
    graph: Graph
    ids: dict[str, int]
    tempo: float
    fade: float
    again: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """A parameter has a new value. source: who moved it, and need not be told."""

    node: str
    param: Param
    value: Value
    source: object = None


@dataclass(frozen=True, slots=True)
class TempoChanged:
    bpm: float
    source: object = None


EngineEffect: TypeAlias = (
    EngineSet
    | EngineReset
    | EngineEvent
    | EngineTempo
    | EngineTransport
    | EnginePanic
    | EngineClear
    | EngineSync
    | EngineLoad
)
Effect: TypeAlias = EngineEffect | Changed | TempoChanged
