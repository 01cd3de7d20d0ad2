"""What the engine is to be told, in order, whether its ring has room or not.

A full ring makes what follows wait here, bounded and counted. What is for a node of a plan still
being made waits until that plan plays; so does a `/sync`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from antiphon.engine.link import EngineLink
from antiphon.session.actions import (
    EVENTS,
    Action,
    NodeBend,
    NodeControl,
    NodeNoteOff,
    NodeNoteOn,
    NodeReset,
    NodeSet,
)
from antiphon.session.commands import NOW, ClearSchedule, Now, Panic, Sync
from antiphon.session.effects import EngineEffect, EngineLoad
from antiphon.session.session import Session

LIMIT = 1 << 17
_PLAYED = (NodeSet, *EVENTS)
"""What a node that does not play, and is in no plan being made, has no use for."""


class Outbox:
    """Sends effects to the link. `dropped` counts those there was no room for at all.

    tap: is shown each effect once, when it is asked for.
    """

    def __init__(self, link: EngineLink, session: Session) -> None:
        self._link, self._session = link, session
        self._backlog: deque[Action] = deque()
        self._for_plan: deque[Action] = deque()
        self.dropped = 0
        self.tap: Callable[[EngineEffect], None] = lambda _effect: None

    @property
    def waiting(self) -> bool:
        """The engine's ring was full: `flush` has to be called again."""
        return bool(self._backlog)

    def send(self, effect: EngineEffect) -> None:
        self.tap(effect)
        self._send(effect)

    def _send(self, effect: EngineEffect) -> None:
        if isinstance(effect, EngineLoad):
            self._link.load(effect.serial, effect.graph, effect.ids, effect.tempo, effect.fade, again=effect.again)
        elif self._early(effect):
            self._keep(self._for_plan, effect)
        else:
            if isinstance(effect, Panic | ClearSchedule):
                self._for_plan = deque(left for e in self._for_plan for left in _left_by(effect, e))
            if self._backlog or not self._try(effect):
                self._keep(self._backlog, effect)

    def flush(self) -> None:
        """Tells the engine what did not fit before."""
        while self._backlog and self._try(self._backlog[0]):
            self._backlog.popleft()

    def plan_plays(self) -> None:
        """The plan that was waited for plays, or will not: what was for it goes on its way."""
        waiting, self._for_plan = self._for_plan, deque()
        for effect in waiting:
            self._send(effect)

    def engine_lost(self, again: list[Action]) -> None:
        """A new engine knows nothing: what waited is dropped, `again` waits for its first plan."""
        self._backlog.clear()
        self._for_plan = deque(again)

    def _early(self, action: Action) -> bool:
        """Whether it waits for the plan that is being made."""
        session = self._session
        match action:
            case NodeSet(node, cell):
                if node in session.playing:
                    return False
                # Its value at once is in the plan being made, or will be said again when that plays.
                known = session.by_id.get(node)
                return known is not None and (type(action.when) is not Now or known.cells[cell].kind == "trigger")
            case Sync():
                return session.loading
            case NodeReset() | NodeNoteOn() | NodeNoteOff() | NodeControl() | NodeBend():
                return action.node not in session.playing and session.loading
        return False

    def _try(self, action: Action) -> bool:
        if isinstance(action, _PLAYED) and action.node not in self._session.playing:
            return True
        return self._link.send(action)

    def _keep(self, queue: deque[Action], action: Action) -> None:
        if len(queue) >= LIMIT:
            self.dropped += 1
            return
        queue.append(action)


def _left_by(drop: Panic | ClearSchedule, action: Action) -> Iterator[Action]:
    """What a panic, or a cleared schedule, leaves of what waits for a plan. A `/sync` dropped is answered elsewhere."""
    if isinstance(action, EVENTS):
        if isinstance(drop, ClearSchedule) and (action.kind == "off" or type(action.when) is Now):
            # a note that waits with it, not timed itself, must end
            yield replace(action, when=NOW)
    elif isinstance(action, Sync | Panic | ClearSchedule) or type(action.when) is Now:
        yield action
