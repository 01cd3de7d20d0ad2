"""State of one node, and of a whole patch at one moment; the allocation of cells in the array of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.macros import MOST, Macro
from antiphon.kernel.graph.patch import Patch

SLOTS = 65536
"""Floats in a session's array: the tempo at 0, then every node's cells, and the `RESERVED` ones at the end."""
RESERVED = 3 + MOST
SWING, STEP, BAR_AT, MACROS_AT = SLOTS - 3, SLOTS - 2, SLOTS - 1, SLOTS - RESERVED
"""Indices of the swing, its step and the beats of a bar, 0 if unset; and of the first macro."""


class Numbers(Protocol):
    """An array of `SLOTS` floats: in memory, or in a mapped file that outlives the process."""

    def __getitem__(self, at: int, /) -> float: ...
    def __setitem__(self, at: int, number: float, /) -> None: ...


@dataclass(slots=True)
class Node:
    """Control's state of one node.

    Attributes:
        base: Index of its first cell in the session's `Numbers`; cell `i` is at `base + i`.
        settable: Index and declaration of each cell whose value a patch or a scene sets.
        defaults: Number of each cell's default; 0 for texts, which have none.
        state: Its state as reported by the engine, for example "running".
        reason: Why the node is in that state, or "".
        vocabulary: The words that its text parameters accept, by parameter, as reported by the engine; empty where
            unknown.
    """

    id: int
    name: str
    info: ProcessorInfo
    base: int
    cells: tuple[Param, ...] = ()
    index: dict[str, int] = field(default_factory=dict)
    state: str = "running"
    reason: str = ""
    vocabulary: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settable: tuple[tuple[int, Param], ...] = ()
    defaults: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self.cells = self.info.cells
        self.index = {p.name: i for i, p in enumerate(self.cells)}
        self.settable = tuple((i, p) for i, p in enumerate(self.cells) if not p.readonly and p.kind != "trigger")
        self.defaults = tuple(0.0 if p.kind in ("text", "file") else p.encode(p.default) for p in self.cells)


Scene = dict[str, Value]
"""\"node.param\" → value; and under `SCENE_NAME` the scene's name in a patch."""


@dataclass(frozen=True, slots=True)
class PatchState:
    """All of a patch at one moment: what a refusal and an undo return to.

    Attributes:
        graph: Nodes and wires, with the values that differ from their defaults.
        numbers: The tempo and the values of nodes and macros in the session's `Numbers`, by index.
        patch: As it was loaded; None where the nodes were added one by one.
        place: Of the patch among others, as in a set list.
        steps: Edits that can be undone, the first `done` of them, and redone, the others.
        edits: Loads and edits of the graph up to it.
    """

    catalog: Catalog
    graph: Graph = field(default_factory=Graph)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    numbers: Mapping[int, float] = field(default_factory=dict)
    name: str = ""
    path: str = ""  # of the patch's file, "" without one
    patch: Patch | None = None
    scenes: Mapping[int, Scene] = field(default_factory=dict)
    clips: Mapping[str, PatchClip] = field(default_factory=dict)  # by name
    place: Any = None
    steps: tuple[UndoStep, ...] = ()
    done: int = 0
    edits: int = 0

    @property
    def tempo(self) -> float:
        """In bpm."""
        return self.numbers[0]

    @property
    def prepared(self) -> dict[int, dict[str, Value]]:
        """By a node's number, the values that it is prepared with."""
        specs = ((self.nodes[spec.name], spec.values) for spec in self.graph.nodes)
        return {node.id: node.info.values_for_prepare(values) for node, values in specs}

    @property
    def macro_nodes(self) -> list[tuple[Macro, list[int]]]:
        """The macros, each with the numbers of the nodes that it moves."""
        moved = ((macro, (self.nodes.get(target.node) for target in macro.targets)) for macro in self.graph.macros)
        return [(macro, [node.id for node in nodes if node is not None]) for macro, nodes in moved]


@dataclass(frozen=True, slots=True)
class UndoStep:
    """An edit that can be undone, or redone.

    Attributes:
        what: The edit's OSC address; "" for a patch file that was saved and loaded again.
        before: The patch before it, or the values that a move or the recall of a scene replaced.
        whole: Whether it loaded a patch. Undoing it restores the patch's values; otherwise nodes that still exist keep
            their present ones.
        last: The time of its last move, by `time.monotonic`.
    """

    what: str
    before: PatchState | Scene
    whole: bool = False
    last: float = -math.inf


def have_equal_cells(one: ProcessorInfo, other: ProcessorInfo) -> bool:
    """True if two versions of a type have the same cells, with values of the same meaning."""
    pairs = zip(one.cells, other.cells, strict=False)
    return len(one.cells) == len(other.cells) and all(param.agrees(before) for param, before in pairs)


def is_sent_as_number(param: Param) -> bool:
    """True if its value is sent to the engine as a number, not with the plan or never."""
    return not (param.restart or param.readonly or param.kind in ("text", "file", "trigger"))


def fits(param: Param, number: float) -> bool:
    """True if a cell of that parameter can hold `number`; a readonly parameter has no range to check."""
    if not math.isfinite(number):
        return False
    match param.kind:
        case "choice":
            return number == int(number) and 0 <= number < len(param.choices)
        case "float" | "int":
            return param.readonly or param.low <= number <= param.high
    return True


def allocate_ranges(sizes: list[int], taken: list[tuple[int, int]]) -> list[int]:
    """Start indices of free ranges of `sizes` in the session's numbers, first fit; slot 0 holds the tempo.

    `taken` are ranges in use, as (first, end), the end excluded.
    """
    spans = sorted({(0, 1), *taken})
    bases = []
    for size in sizes:
        at = 0
        for first, last in spans:
            if first - at >= size and at > 0:
                break
            at = max(at, last)
        if at + size > SLOTS - RESERVED:
            raise PatchError(f"a patch holds at most {SLOTS - RESERVED} parameters")
        bases.append(at)
        spans = sorted([*spans, (at, at + size)])
    return bases
