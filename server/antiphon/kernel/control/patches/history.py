"""Undo and redo: the state before each of the last edits."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.scenes import Scene
from antiphon.kernel.session.set_list import SetList

MAX_EDITS = 64
Place: TypeAlias = tuple[SetList | None, int]
"""The set list, None without one, and the index of the patch in it."""


@dataclass(frozen=True, slots=True)
class Before:
    """The state before an edit.

    `whole`: whether the edit loaded a patch. Undoing it restores the values of `graph`; otherwise nodes that still
    exist keep their present values.
    """

    what: str  # the edit's OSC address, "" for a patch file that was saved and loaded again
    graph: Graph
    name: str
    path: str
    tempo: float  # in bpm
    patch: Patch | None  # as it was loaded, None where the nodes were added one by one
    scenes: dict[int, Scene]
    clips: Mapping[str, PatchClip]
    whole: bool
    place: Place


class EditHistory:
    """Undo and redo stacks of at most `MAX_EDITS` edits, the oldest dropped first."""

    def __init__(self) -> None:
        self.done: deque[Before] = deque(maxlen=MAX_EDITS)
        self.undone: deque[Before] = deque(maxlen=MAX_EDITS)

    def add(self, before: Before) -> None:
        """Records an edit by the state before it."""
        self.done.append(before)
        self.undone.clear()


@dataclass(frozen=True, slots=True)
class Rollback:
    """State restored together with the nodes if the engine refuses a plan."""

    goal: int
    patch: Patch | None
    scenes: dict[int, Scene]
    clips: Mapping[str, PatchClip]
    place: Place
    done: tuple[Before, ...]
    undone: tuple[Before, ...]


def before(
    what: str,
    patch: Patch | None,
    scenes: Mapping[int, Scene],
    clips: Mapping[str, PatchClip],
    state: GraphState,
    place: Place,
    *,
    whole: bool,
) -> Before:
    """Captures the present state, before an edit; for the arguments see `Before`."""
    now = state.current()
    return Before(what, now, state.name, state.path, state.tempo, patch, dict(scenes), clips, whole, place)


def graph_to_restore(was: Before, state: GraphState) -> Graph:
    """Graph of an undo: that of `was`; unless it was `whole`, with the present values of existing nodes."""
    if was.whole:
        return was.graph
    now = {node.name: node for node in state.current().nodes}

    def with_present_values(node: NodeSpec) -> NodeSpec:
        present = now.get(node.name)
        return present if present is not None and present.type == node.type else node

    return replace(was.graph, nodes=tuple(with_present_values(node) for node in was.graph.nodes))
