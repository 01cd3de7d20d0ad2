"""What the last edits were made to, so that they can be taken back."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from antiphon.graph.graph import Graph, NodeSpec
from antiphon.graph.patch import Patch
from antiphon.session.scenes import Scene
from antiphon.session.session import Session
from antiphon.session.set_list import SetList

MAX_EDITS = 64
Place: TypeAlias = tuple[SetList | None, int]


@dataclass(frozen=True, slots=True)
class Before:
    """How it was before an edit.

    what: the edit's address, "" for a patch file that was saved.  graph: with its values.  whole: another patch came,
    so that its values go with it; else the nodes still there keep theirs.  place: in which set, and where in it.
    """

    what: str
    graph: Graph
    name: str
    path: str
    tempo: float
    patch: Patch | None
    scenes: dict[int, Scene]
    whole: bool
    place: Place


class EditHistory:
    """At most `MAX_EDITS` edits, the oldest forgotten first. What was taken back can be done again until a new edit."""

    def __init__(self) -> None:
        self.done: deque[Before] = deque(maxlen=MAX_EDITS)
        self.undone: deque[Before] = deque(maxlen=MAX_EDITS)

    def edited(self, before: Before) -> None:
        self.done.append(before)
        self.undone.clear()


@dataclass(frozen=True, slots=True)
class Kept:
    """What goes back with the nodes when the engine refuses a plan.

    goal: the number of the load that asked for what came after.
    """

    goal: int
    patch: Patch | None
    scenes: dict[int, Scene]
    place: Place
    done: tuple[Before, ...]
    undone: tuple[Before, ...]


def before(
    what: str, patch: Patch | None, scenes: Mapping[int, Scene], session: Session, place: Place, *, whole: bool
) -> Before:
    """The present, before an edit. patch, scenes: as they were loaded and stored."""
    now = session.current()
    return Before(what, now, session.name, session.path, session.tempo, patch, dict(scenes), whole, place)


def graph_again(was: Before, session: Session) -> Graph:
    """The graph to go back to: after an edit of nodes or wires, with the present values of the nodes still there."""
    if was.whole:
        return was.graph
    now = {node.name: node for node in session.current().nodes}

    def again(node: NodeSpec) -> NodeSpec:
        present = now.get(node.name)
        return present if present is not None and present.type == node.type else node

    return replace(was.graph, nodes=tuple(again(node) for node in was.graph.nodes))
