"""Effects: a session's response to a command, for the engine (actions, plans) or subscribers (changes).

Frozen values, no references to the world.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.session.actions import Action


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """A request to the engine to play another plan.

    `versions`: by plugin, the folder of the version to use, of those whose files were saved since the start.
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

    `before`: the one it had, where a command changed it at once; None for a change by a schedule or a patch.
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

It is a `NodeEvent`; a parameter's value or a reset, by the node's number; a command without a node, as `SetTempo`,
`SetTransport` and `Panic`; or another plan. Schedulable ones have a `when`.
"""
Effect: TypeAlias = EngineEffect | Changed | TempoChanged
"""Effect of a command: a request to the engine, or feedback."""
