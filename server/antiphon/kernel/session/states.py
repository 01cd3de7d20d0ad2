"""What plays, what the engine prepares and what is shown, as values: pure steps from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from antiphon.kernel.session.actions import Effect, EngineLoad, NodeSet
from antiphon.kernel.session.commands import SetTempo
from antiphon.kernel.session.node_state import MACROS_AT, PatchState, is_sent_as_number

SCHEDULED = -1.0
"""End of the ramp of a scheduled value whose time has come."""
AT_ONCE = 0.0, 0.0, 0.0
Transition: TypeAlias = tuple[float, float, float]
"""Fade, quantum and tail of a request, as of `EngineLoad`."""


@dataclass(frozen=True, slots=True)
class PatchStates:
    """The patches from the one that plays to the one that is shown, and what the engine was asked.

    Each step returns the states after it and what is sent to the engine, which prepares one plan at a time.

    Attributes:
        states: One to three, the oldest first: what plays, what the engine prepares, and edits since, which it is asked
            for next.
        serial: Number of the last request.
        fresh: True while a new engine has played no plan yet.
        again: True if what it prepares has played before.
        due: Of the next request, where there are edits since the last.
        ramps: Of the numbers sent while the engine prepares a plan, by index, the frames at which their ramps end. A
            node that the plan prepares anew lacks them.
    """

    states: tuple[PatchState, ...]
    serial: int = 0
    fresh: bool = False
    again: bool = False
    due: Transition = AT_ONCE
    ramps: Mapping[int, float] = field(default_factory=dict)

    @property
    def playing(self) -> PatchState:
        """What plays; its values are those at the last request."""
        return self.states[0]

    @property
    def shown(self) -> PatchState:
        """What is shown; its values are those at its last edit."""
        return self.states[-1]

    @property
    def loading(self) -> bool:
        """True while the engine prepares a plan."""
        return len(self.states) > 1

    @property
    def goal(self) -> int:
        """Number of the request that will contain all edits so far."""
        return self.serial + (len(self.states) > 2)

    @property
    def silent(self) -> bool:
        """True if a new engine plays no plan, and was not sent one that has played before."""
        return self.fresh and bool(self.shown.nodes) and not self.again

    def keep(self, **changes: Any) -> PatchStates:
        """Changes what the engine does not play, also in the states before that have the same patch and graph."""
        edits = self.shown.edits
        return replace(self, states=tuple(replace(s, **changes) if s.edits == edits else s for s in self.states))

    def put(self, at: int, number: float, until: float) -> PatchStates:
        """Keeps a number that was sent to the engine, if it prepares a plan: a refusal does not take it back.

        A macro's cell is another macro's in a patch whose macros move other nodes.
        """
        if not self.loading:
            return self
        moved = self.shown.macro_nodes if at >= MACROS_AT else None

        def with_number(state: PatchState) -> PatchState:
            there = at in state.numbers and (moved is None or state.macro_nodes == moved)
            return replace(state, numbers={**state.numbers, at: number}) if there else state

        return replace(self, states=tuple(map(with_number, self.states)), ramps={**self.ramps, at: until})

    def show(self, present: PatchState, new: PatchState, due: Transition) -> tuple[PatchStates, list[Effect]]:
        """Shows another patch instead of the present one, and requests it, or does once the engine has answered."""
        first = self.states[:2] if self.loading else (present,)
        fade, quantum, tail = map(max, self.due, due)
        states = replace(self, states=(*first, new), due=(fade, quantum, tail))
        return (states, []) if self.loading else states._ask()

    def confirm(
        self, serial: int, sample: float, rate: int, present: Callable[[], PatchState]
    ) -> tuple[PatchStates, list[Effect]]:
        """The plan of that number plays: sends the values that its nodes lack, since they go on with theirs.

        Then requests the edits since, as they are at present. Another number than the last request's changes nothing.
        """
        if not self.loading or serial != self.serial:
            return self, []
        before, now = self.states[:2]
        playing = set() if self.fresh else {node.id for node in before.nodes.values()}
        prepared, prepared_before = now.prepared, before.prepared
        effects: list[Effect] = []
        for node in now.nodes.values():
            goes_on, anew = node.id in playing, prepared[node.id] != prepared_before.get(node.id)
            for cell, param in enumerate(node.cells):
                at = node.base + cell
                until = self.ramps.get(at, SCHEDULED)
                differs = self.fresh or (goes_on and now.numbers.get(at) != before.numbers.get(at))
                if (differs or until > SCHEDULED or (anew and at in self.ramps)) and is_sent_as_number(param):
                    effects.append(NodeSet(node.id, cell, now.numbers[at], max(0.0, until - sample) / rate))
        if 0 in self.ramps:
            effects.append(SetTempo(now.tempo))
        states = replace(self, states=(now,), fresh=False, ramps={})
        if len(self.states) == 2:
            return states, effects
        states, request = replace(states, states=(now, present()))._ask()
        return states, effects + request

    def refuse(self, serial: int, present: Callable[[], PatchState]) -> tuple[PatchStates, list[Effect]]:
        """The plan of that number is refused: requests the edits since, or shows what plays."""
        if not self.loading or serial != self.serial:
            return self, []
        if len(self.states) > 2:
            return replace(self, states=(self.playing, present()))._ask()
        return replace(self, states=(self.playing,), ramps={}), []

    def restart(self, present: PatchState) -> tuple[PatchStates, list[Effect]]:
        """Requests the present patch from a new engine.

        If it has never played and is refused, `silent` becomes true, and the caller requests the last confirmed one.
        """
        playing = self.playing if self.loading else present
        return replace(self, states=(playing, present), fresh=True, due=AT_ONCE)._ask(again=not self.loading)

    def _ask(self, *, again: bool = False) -> tuple[PatchStates, list[Effect]]:
        playing, asked = self.playing, self.shown
        tempo = asked.tempo if self.fresh or asked.tempo != playing.tempo else 0.0
        ids = {name: node.id for name, node in asked.nodes.items()}
        fade, quantum, tail = self.due
        load = EngineLoad(
            self.serial + 1, asked.graph, ids, tempo, fade, again, asked.catalog.versions, quantum, tail
        )  # fmt: skip
        return PatchStates((playing, asked), load.serial, self.fresh, again), [load]
