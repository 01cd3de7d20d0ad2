"""Bounded queue of actions for the engine, while its command ring is full or the plan of their node is not ready."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.session.actions import EVENTS, Action, NodeReset, NodeSet
from antiphon.kernel.session.commands import NOW, ClearSchedule, Now, Panic, Sync
from antiphon.kernel.session.effects import EngineEffect, EngineLoad
from antiphon.kernel.session.graph_state import GraphState

LIMIT = 1 << 17
_PLAYED = (NodeSet, *EVENTS)
"""Actions discarded if their node is neither in the running plan nor in one in preparation."""


class Outbox:
    """Sends effects to the engine."""

    def __init__(self, link: RemoteEngine, state: GraphState) -> None:
        """Creates an empty queue."""
        self._link, self._state = link, state
        self._backlog: deque[Action] = deque()
        self._for_plan: deque[Action] = deque()
        self.dropped = 0
        self.taps: list[Callable[[EngineEffect], None]] = []

    @property
    def waiting(self) -> bool:
        """True if the engine's ring was full, so that `flush` must be called again."""
        return bool(self._backlog)

    def batch(self) -> AbstractContextManager[None]:
        """Context manager: effects sent in it take effect at one sample, unless they have their own times."""
        return self._link.batch()

    def send(self, effect: EngineEffect) -> None:
        """Sends an effect, or queues it."""
        for tap in self.taps:
            tap(effect)
        self._send(effect)

    def _send(self, effect: EngineEffect) -> None:
        if isinstance(effect, EngineLoad):
            self._link.load(effect)
        elif self._needs_plan(effect):
            self._enqueue(self._for_plan, effect)
        else:
            if isinstance(effect, Panic | ClearSchedule):
                self._for_plan = deque(left for e in self._for_plan for left in _remaining(effect, e))
            if self._backlog or not self._try(effect):
                self._enqueue(self._backlog, effect)

    def flush(self) -> None:
        """Sends queued actions while the engine's ring has space."""
        while self._backlog and self._try(self._backlog[0]):
            self._backlog.popleft()

    def plan_plays(self) -> None:
        """Sends the actions that waited for a plan, after the engine has confirmed or refused it."""
        waiting, self._for_plan = self._for_plan, deque()
        for effect in waiting:
            self._send(effect)

    def engine_lost(self, again: list[Action]) -> None:
        """Clears the queues for a new engine; `again` is sent once its first plan plays."""
        self._backlog.clear()
        self._for_plan = deque(again)

    def _needs_plan(self, action: Action) -> bool:
        state = self._state
        match action:
            case NodeSet(node, cell):
                if node in state.playing:
                    return False
                # a value without a time is in the plan itself, or is sent again once that plays
                known = state.by_id.get(node)
                return known is not None and (type(action.when) is not Now or known.cells[cell].kind == "trigger")
            case Sync():
                return state.loading
            case NodeReset():
                return action.node not in state.playing and state.loading
        return isinstance(action, EVENTS) and action.node not in state.playing and state.loading

    def _try(self, action: Action) -> bool:
        if isinstance(action, _PLAYED) and action.node not in self._state.playing:
            return True
        return self._link.send(action)

    def _enqueue(self, queue: deque[Action], action: Action) -> None:
        if len(queue) >= LIMIT:
            self.dropped += 1
            return
        queue.append(action)


def _remaining(drop: Panic | ClearSchedule, action: Action) -> Iterator[Action]:
    """Rest of an action waiting for a plan, after a panic or `/clearSched`; `Syncs` answers dropped syncs."""
    if isinstance(action, EVENTS):
        if isinstance(drop, ClearSchedule) and (action.kind == "off" or type(action.when) is Now):
            # a note-on without a time waits as well, and must not be left without its end
            yield replace(action, when=NOW)
    elif isinstance(action, Sync | Panic | ClearSchedule) or type(action.when) is Now:
        yield action
