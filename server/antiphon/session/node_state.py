"""What the nodes of a session are made of: one node, one plan, and where numbers are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from antiphon.contract.catalog import ProcessorInfo
from antiphon.contract.params import Param
from antiphon.errors import PatchError
from antiphon.graph.graph import Graph

SLOTS = 65536
"""Numbers a session keeps: the tempo, then every node's cells."""


class Numbers(Protocol):
    """Floats by place: an array, or memory that outlives the process."""

    def __getitem__(self, at: int, /) -> float: ...
    def __setitem__(self, at: int, number: float, /) -> None: ...


@dataclass(slots=True)
class Node:
    """One node as control keeps it. base: where its cells' numbers begin."""

    id: int
    name: str
    info: ProcessorInfo
    base: int
    texts: dict[int, str] = field(default_factory=dict)
    cells: tuple[Param, ...] = ()
    index: dict[str, int] = field(default_factory=dict)
    state: str = "running"
    reason: str = ""

    def __post_init__(self) -> None:
        self.cells = self.info.cells
        self.index = {p.name: i for i, p in enumerate(self.cells)}


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What a load was asked for, to go back to when a later one is refused."""

    serial: int = 0
    graph: Graph = field(default_factory=Graph)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    texts: Mapping[str, dict[int, str]] = field(default_factory=dict)
    name: str = ""
    path: str = ""
    tempo: float = 120.0


def travels(param: Param) -> bool:
    """Whether its value is told to the engine as a number."""
    return not (param.restart or param.readonly or param.kind in ("text", "file", "trigger"))


def fits(param: Param, number: float) -> bool:
    if not math.isfinite(number):
        return False
    match param.kind:
        case "choice":
            return number == int(number) and 0 <= number < len(param.choices)
        case "float" | "int":
            return param.readonly or param.low <= number <= param.high
    return True


def rooms_for(sizes: list[int], taken: list[tuple[int, int]]) -> list[int]:
    """Where each of `sizes` numbers fits beside what is taken; slot 0 is the tempo's."""
    spans = sorted({(0, 1), *taken})
    rooms = []
    for size in sizes:
        at = 0
        for first, last in spans:
            if first - at >= size and at > 0:
                break
            at = max(at, last)
        if at + size > SLOTS:
            raise PatchError(f"a patch holds at most {SLOTS} parameters")
        rooms.append(at)
        spans = sorted([*spans, (at, at + size)])
    return rooms
