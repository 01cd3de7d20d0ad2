"""Undo and redo, and the answers that wait for a plan."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.node_state import PatchState, Scene, UndoStep
from antiphon.kernel.wire.osc import Arg, encode

MAX_EDITS = 64
MOVE_SECONDS = 1.0
"""Seconds without a move after which the next move of a parameter is another edit."""
RECALL = "/scene/recall"


def add_edit(state: GraphState, edit: UndoStep) -> None:
    """Adds an edit to those that can be undone, at most `MAX_EDITS`, the oldest dropped first."""
    steps = (*state.shown.steps[: state.shown.done], edit)[-MAX_EDITS:]
    state.keep(steps=steps, done=len(steps))


def undo_step(before: PatchState, what: str, *, whole: bool = False) -> UndoStep:
    """An edit named `what` that leads away from a patch; undoing it loads the graph, which has the values."""
    return UndoStep(what, replace(before, numbers={0: before.tempo}, steps=(), done=0), whole)


def add_move(state: GraphState, values: Scene, now: float) -> None:
    """Adds a move by the values that it replaced, the moved parameter's first, at time `now`.

    Moves of one parameter less than `MOVE_SECONDS` apart are one edit, also where others move in between, as the two of
    an XY pad do.
    """
    node, _, param = next(iter(values)).partition(".")
    what = f"/{MACRO}/{param}" if node == MACRO else f"/node/{node}/{param}"
    steps = state.shown.steps[: state.shown.done]
    for at, edit in reversed([*enumerate(steps)]):
        if not isinstance(edit.before, dict) or now - edit.last >= MOVE_SECONDS or edit.what == RECALL:
            break
        if edit.what == what:
            moved = UndoStep(what, {**values, **edit.before}, last=now)
            state.keep(steps=(*steps[:at], moved, *steps[at + 1 :]), done=len(steps))
            return
    add_edit(state, UndoStep(what, values, last=now))


MAX_ANSWERS = 1024
"""Maximum answers that wait for the engine."""


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """An answer that depends on a plan.

    `then`: called once the plan plays. `refused`: called with the reason when the engine refuses it; then no other
    answer is sent.
    """

    peer: Peer | None  # who is answered; None for no answer
    address: str
    done: tuple[Arg, ...] | None = None  # arguments of `/done` when the plan plays; None sends none
    then: Callable[[], None] | None = None
    refused: Callable[[str], None] | None = None
    goal: int = 0  # number of that plan


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

    def confirm(self, serial: int) -> None:
        """Sends the answers of plan number `serial`, which plays, or of earlier ones."""
        for answer in self._settled(serial):
            self.give(answer)

    def refuse(self, serial: int, reason: str) -> bool:
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
