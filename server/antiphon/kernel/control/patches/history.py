"""Undo and redo: the state before each of the last edits."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.scenes import Scene
from antiphon.kernel.wire.osc import Arg, encode

MAX_EDITS = 64
MOVE_SECONDS = 1.0
"""Seconds without a move after which the next move of a parameter is another edit."""
RECALL = "/scene/recall"


@dataclass(frozen=True, slots=True)
class PatchExtras:
    """What a patch has beside its graph, and where it stands, as of `Plans.place`."""

    patch: Patch | None  # as it was loaded, None where the nodes were added one by one
    scenes: Mapping[int, Scene]
    clips: Mapping[str, PatchClip]
    place: object


@dataclass(frozen=True, slots=True)
class EditState:
    """The state before an edit.

    `whole`: whether the edit loaded a patch. Undoing it restores the values of `graph`; otherwise nodes that still
    exist keep their present values.
    """

    what: str  # the edit's OSC address, "" for a patch file that was saved and loaded again
    graph: Graph
    name: str
    path: str
    tempo: float  # in bpm
    whole: bool
    extras: PatchExtras


@dataclass(frozen=True, slots=True)
class ValueEdit:
    """The values that a move of a parameter, or the recall of a scene, replaced."""

    what: str  # the edit's OSC address
    values: Scene
    last: float  # the time of its last move, by `time.monotonic`


Edit: TypeAlias = EditState | ValueEdit


class EditHistory:
    """Undo and redo stacks of at most `MAX_EDITS` edits, the oldest dropped first."""

    def __init__(self) -> None:
        self.done: deque[Edit] = deque(maxlen=MAX_EDITS)
        self.undone: deque[Edit] = deque(maxlen=MAX_EDITS)

    def add(self, before: Edit) -> None:
        """Records an edit by the state before it."""
        self.done.append(before)
        self.undone.clear()

    def move(self, values: Scene, now: float) -> None:
        """Records the values that a move replaced, the moved parameter's first, at time `now`.

        Moves of one parameter less than `MOVE_SECONDS` apart are one edit, also where others move in between, as the
        two of an XY pad do.
        """
        node, _, param = next(iter(values)).partition(".")
        what = f"/{MACRO}/{param}" if node == MACRO else f"/node/{node}/{param}"
        for at in range(len(self.done) - 1, -1, -1):
            edit = self.done[at]
            if not isinstance(edit, ValueEdit) or now - edit.last >= MOVE_SECONDS or edit.what == RECALL:
                break
            if edit.what == what:
                self.done[at] = ValueEdit(what, {**values, **edit.values}, now)
                self.undone.clear()
                return
        self.add(ValueEdit(what, values, now))


@dataclass(frozen=True, slots=True)
class Rollback:
    """State restored together with the nodes if the engine refuses a plan."""

    goal: int
    extras: PatchExtras
    done: tuple[Edit, ...]
    undone: tuple[Edit, ...]


def graph_to_restore(was: EditState, state: GraphState) -> Graph:
    """Returns the graph that an undo restores: that of `was`, with nodes' present values unless it was `whole`."""
    if was.whole:
        return was.graph
    now = {node.name: node for node in state.current().nodes}

    def with_present_values(node: NodeSpec) -> NodeSpec:
        present = now.get(node.name)
        return present if present is not None and present.type == node.type else node

    return replace(was.graph, nodes=tuple(with_present_values(node) for node in was.graph.nodes))


MAX_ANSWERS = 1024
"""Maximum answers that wait for the engine."""


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """An answer that depends on a plan.

    `refused`: called with the reason when the engine refuses the plan; then no other answer is sent.
    """

    goal: int
    peer: Peer | None  # who is answered; None for no answer
    address: str
    done: tuple[Arg, ...] | None  # arguments of `/done` when the plan plays; None sends none
    then: Callable[[], None] | None = None
    refused: Callable[[str], None] | None = None


class PlanAnswers:
    """Answers waiting for the engine, at most `MAX_ANSWERS`. `replies`: sends them."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._waiting: list[PlanAnswer] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, answer: PlanAnswer) -> None:
        """Queues an answer for its plan; beyond `MAX_ANSWERS` it is dropped."""
        if len(self._waiting) < MAX_ANSWERS:
            self._waiting.append(answer)

    def give(self, answer: PlanAnswer) -> None:
        """Sends an answer whose plan plays."""
        if answer.done is not None and answer.peer is not None:
            self._replies.reply(answer.peer, encode("/done", answer.address, *answer.done))
        if answer.then is not None:
            answer.then()

    def loaded(self, serial: int) -> None:
        """Sends the answers of plan number `serial`, which plays, or of earlier ones."""
        for answer in self._settled(serial):
            self.give(answer)

    def refused(self, serial: int, reason: str) -> bool:
        """Sends the answers of the refused plan number `serial`; True if there was any."""
        asking = [answer for answer in self._settled(serial) if answer.peer is not None or answer.refused]
        for answer in asking:
            if answer.refused is not None:
                answer.refused(reason)
            if answer.peer is not None:
                self._replies.fail(answer.peer, answer.address, reason)
        return bool(asking)

    def retarget(self, goal: int) -> None:
        """Makes all pending answers depend on load number `goal`."""
        self._waiting = [replace(answer, goal=goal) for answer in self._waiting]

    def _settled(self, serial: int) -> list[PlanAnswer]:
        done = [answer for answer in self._waiting if answer.goal <= serial]
        self._waiting = [answer for answer in self._waiting if answer.goal > serial]
        return done
