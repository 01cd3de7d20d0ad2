"""What the engine is to be told, in order, whether its ring has room or not.

A full ring makes what follows wait here, bounded and counted. What is for a node of a plan still
being made waits until that plan plays; so does a `/sync`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from antiphon.engine.link import EngineLink
from antiphon.session.commands import NOW, Now
from antiphon.session.effects import (
    EngineClear,
    EngineEffect,
    EngineEvent,
    EngineLoad,
    EnginePanic,
    EngineReset,
    EngineSet,
    EngineSync,
    EngineTempo,
    EngineTransport,
)
from antiphon.session.session import Session

LIMIT = 1 << 17


class Outbox:
    """Sends effects to the link. `dropped` counts those there was no room for at all.

    tap: is shown each effect once, when it is asked for.
    """

    def __init__(self, link: EngineLink, session: Session) -> None:
        self._link, self._session = link, session
        self._backlog: deque[EngineEffect] = deque()
        self._for_plan: deque[EngineEffect] = deque()
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
            if isinstance(effect, EnginePanic | EngineClear):
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

    def engine_lost(self, again: list[EngineEffect]) -> None:
        """A new engine knows nothing: what waited is dropped, `again` waits for its first plan."""
        self._backlog.clear()
        self._for_plan = deque(again)

    def _early(self, effect: EngineEffect) -> bool:
        session = self._session
        match effect:
            case EngineSync():
                return session.loading
            case EngineSet(node, cell, _, _, when):
                if node in session.playing:
                    return False
                # Its value at once is in the plan being made, or will be said again when that plays.
                known = session.by_id.get(node)
                return known is not None and (type(when) is not Now or known.cells[cell].kind == "trigger")
            case EngineReset(node) | EngineEvent(node):
                return node not in session.playing and session.loading
        return False

    def _try(self, effect: EngineEffect) -> bool:
        link = self._link
        match effect:
            case EngineSet(node, cell, number, ramp, when):
                if node not in self._session.playing:
                    return True
                return link.set(node, cell, number, ramp, when)
            case EngineReset(node, when):
                return link.reset(node, when)
            case EngineEvent(node, kind, number, value, channel, when):
                return node not in self._session.playing or link.event(node, kind, number, value, channel, when)
            case EngineSync(token, when):
                return link.sync(token, when)
            case EngineTempo(bpm, beats, when):
                return link.tempo(bpm, beats, when)
            case EngineTransport(playing, beat, when):
                return link.transport(playing, beat, when)
            case EnginePanic():
                return link.panic()
            case EngineClear():
                return link.clear()
        return True

    def _keep(self, queue: deque[EngineEffect], effect: EngineEffect) -> None:
        if len(queue) >= LIMIT:
            self.dropped += 1
            return
        queue.append(effect)


def _left_by(drop: EnginePanic | EngineClear, effect: EngineEffect) -> Iterator[EngineEffect]:
    """What a panic, or a cleared schedule, leaves of what waits for a plan. A `/sync` dropped is answered elsewhere."""
    if isinstance(effect, EngineEvent):
        if isinstance(drop, EngineClear) and (effect.kind == "off" or type(effect.when) is Now):
            # a note that waits with it, not timed itself, must end
            yield replace(effect, when=NOW)
    elif isinstance(effect, EngineSync | EngineLoad | EnginePanic | EngineClear) or type(effect.when) is Now:
        yield effect
