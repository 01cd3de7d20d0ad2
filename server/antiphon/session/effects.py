"""What a session answers a command with: actions for the engine, a plan to be made, and what has changed.

Frozen values, no references to the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from antiphon.contract.params import Param, Value
from antiphon.graph.graph import Graph
from antiphon.session.actions import Action


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


EngineEffect: TypeAlias = Action | EngineLoad
Effect: TypeAlias = EngineEffect | Changed | TempoChanged
