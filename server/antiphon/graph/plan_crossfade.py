"""From one plan to the next while both play: each place where their wires differ fades from the old sound to the new.

A node that both plans hold runs once a block, whatever feeds it; what feeds it otherwise from now on is crossfaded into
it. What is new is first heard once it has caught up: after the latency of the new nodes on its way, which would give
silence until then, and a click.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from antiphon.contract.block import Samples
from antiphon.contract.processor import BlockTime
from antiphon.graph.plan import InputMix, Plan, Step
from antiphon.native import dsp

SLIDE = 0.010
"""Seconds."""
_Key: TypeAlias = tuple[bool, int]
"""A step of both: whether it is the old plan's alone, its node's number."""


class InputCrossfade:
    """One place: what flowed into it, what flows into it now. wait: frames until the new is all there."""

    def __init__(self, old: InputMix, new: InputMix, wait: int) -> None:
        self.old, self.new, self.wait = old, new, wait
        self.out = np.zeros_like(new.buffer)
        self.view = self.out.view()
        self.view.flags.writeable = False

    def run(self, done: int, fade: int, frames: int) -> None:
        """Behind both gathers: `frames` of the crossfade that began `done` frames ago and takes `fade`."""
        dsp.cross(self.old.buffer, self.new.buffer, self.out, done, self.wait, fade, frames)


class Declick(InputCrossfade):
    """Where the old senders run behind the place they feed, for both plans together make a circle.

    The old sound of the block before takes the old one's place, bent in 10 ms from where the sound was.
    """

    def __init__(self, cross: InputCrossfade, rate: int) -> None:
        super().__init__(cross.old, cross.new, cross.wait)
        self._length = max(1, round(SLIDE * rate))
        self._last = np.zeros(self.out.shape[0], np.float32)
        self._steps = np.arange(1, self.out.shape[1] + 1, dtype=np.float32)
        self._left = np.zeros_like(self._steps)
        self._bend = np.zeros_like(self.out)

    def begin(self, ran: int) -> None:
        """ran: frames of the old plan's last block."""
        self._last[:] = self.old.buffer[: len(self._last), max(0, ran - 1)]

    def run(self, done: int, fade: int, frames: int) -> None:
        super().run(done, fade, frames)
        if done >= self._length:
            return
        if done == 0:
            self._last -= self.out[:, 0]
        left = np.add(self._steps[:frames], done, out=self._left[:frames])
        np.subtract(1.0, np.divide(left, self._length, out=left), out=left)
        np.maximum(0.0, left, out=left)
        self.out[:, :frames] += np.multiply(self._last[:, None], left, out=self._bend[:, :frames])


class PlanCrossfade:
    """Both plans' steps in one order. Made with the new plan; `begin` before its first block.

    over: the new plan plays alone from the next block.
    """

    def __init__(self, old: Plan, new: Plan) -> None:
        self.old, self.new = old, new
        shared = {number for number, host in new.hosts.items() if old.hosts.get(number) is host}
        before = {step.host.number: step for step in old.steps}
        ready = _ready(new, shared)
        self._crosses: dict[int, list[InputCrossfade | None]] = {}
        for step in new.steps:
            if step.host.number in shared:
                was = before[step.host.number]
                found = [
                    _cross(was.gather(name), gather, ready, shared)
                    for name, gather in zip(step.inlets, step.gathers, strict=True)
                ]
                if any(found):
                    self._crosses[step.host.number] = found
        self._last = _cross(old.last, new.last, ready, shared)
        alone = [step for step in old.steps if step.host.number not in shared]
        self._order = self._ordered(alone, before)
        self._turns = [(plan, step, self._crosses.get(step.host.number)) for plan, step in self._order]
        crosses = [c for found in self._crosses.values() for c in found if c is not None]
        self._wait = max((c.wait for c in [*crosses, *([self._last] if self._last else [])]), default=0)
        self._fade = self._done = 0

    def begin(self, fade: int) -> None:
        """Between the last block of the old plan alone and the first of both. fade: frames; 0 is at once."""
        self._fade, self._done = max(1, fade), 0
        if not fade:
            self._done = self._wait + 1
        for cross in (c for found in self._crosses.values() for c in found):
            if isinstance(cross, Declick):
                cross.begin(self.old.ran)
        if fade:
            self._move()
        told = {step.host.number: step.io.events_out for step in self.new.steps}
        gone = {step.host.number for plan, step in self._order if plan is self.old}
        for plan, step in self._order:
            for wire in step.notes if plan is self.old else ():
                if wire.key[0] not in gone:
                    # its sender runs in the new plan
                    wire.events = told[wire.key[0]]

    def end(self) -> None:
        """The new plan plays alone: what moves its parameters hears its senders themselves."""
        for step in self.new.steps:
            if step.host.number in self._crosses:
                for move, gather in zip(step.moves, step.gathers[len(step.ins) :], strict=True):
                    move.hear(gather.buffer)

    def _move(self) -> None:
        for step in self.new.steps:
            crosses = self._crosses.get(step.host.number, [])
            for move, cross in zip(step.moves, crosses[len(step.ins) :], strict=False):
                if cross is not None:
                    move.hear(cross.out)

    @property
    def over(self) -> bool:
        return self._done >= self._wait + self._fade

    def run(self, frames: int, time: BlockTime) -> Samples:
        """One block of both; their inputs hold it already."""
        for plan in (self.old, self.new):
            plan.before(frames)
        for plan, step, crosses in self._turns:
            if crosses is not None:
                for line in self._was[step.host.number].lines:
                    line.run(frames)
                for line in step.lines:
                    line.run(frames)
                for place, gather in enumerate(step.gathers):
                    gather.run(frames)
                    cross = crosses[place]
                    if cross is not None:
                        cross.old.run(frames)
                        cross.run(self._done, self._fade, frames)
                plan.play(step, frames, time, self._views[step.host.number])
            else:
                plan.turn(step, frames, time)
        for plan in (self.old, self.new):
            plan.after(frames)
        if self._last is None:
            out = self.new.last.buffer
        else:
            self._last.run(self._done, self._fade, frames)
            out = self._last.out
        self._done += frames
        return out[:, :frames]

    def _ordered(self, alone: Sequence[Step], before: dict[int, Step]) -> list[tuple[Plan, Step]]:
        """Each step behind what it hears. Where both plans together make a circle, a node's input slides."""
        gone = {step.host.number for step in alone}
        waiting: list[tuple[Plan, Step]] = [(self.old, s) for s in alone] + [(self.new, s) for s in self.new.steps]
        self._was = {number: before[number] for number in self._crosses}
        tied = dict.fromkeys(self._crosses)
        order: list[tuple[Plan, Step]] = []
        placed: set[_Key] = set()

        def needs(plan: Plan, step: Step) -> set[_Key]:
            if plan is self.old:
                return {(n in gone, n) for n in step.hears}
            number = step.host.number
            old = {(n in gone, n) for n in before[number].hears} if number in tied else set()
            return {(False, n) for n in step.hears} | old

        while waiting:
            free = next((item for item in waiting if needs(*item) <= placed), None)
            if free is None:
                left = {(p is self.old, s.host.number): needs(p, s) - placed for p, s in waiting}
                stuck = next(n for n in tied if (False, n) in left and _around((False, n), left))
                del tied[stuck]
                self._crosses[stuck] = [c and Declick(c, self.new.spec.rate) for c in self._crosses[stuck]]
                continue
            waiting.remove(free)
            order.append(free)
            placed.add((free[0] is self.old, free[1].host.number))
        self._views = {
            step.host.number: [
                cross.view if cross is not None else view
                for cross, view in zip(self._crosses[step.host.number], step.ins, strict=False)
            ]
            for step in self.new.steps
            if step.host.number in self._crosses
        }
        return order


def _around(key: _Key, needs: dict[_Key, set[_Key]]) -> bool:
    """Whether a step waits for itself."""
    seen: set[_Key] = set()
    stack = list(needs[key])
    while stack:
        at = stack.pop()
        if at == key:
            return True
        if at in needs and at not in seen:
            seen.add(at)
            stack += needs[at]
    return False


def _ready(new: Plan, shared: set[int]) -> dict[int, int]:
    """Frames until each node of the new plan gives what it will give: 0 for those that play already."""
    ready = {0: 0}
    for step in new.steps:
        number = step.host.number
        ready[number] = (
            0 if number in shared else step.host.latency + max((_late(g, ready) for g in step.gathers), default=0)
        )
    return ready


def _late(gather: InputMix, ready: dict[int, int]) -> int:
    return max((ready.get(number, 0) + lag for number, _, lag in gather.keys), default=0)


def _cross(old: InputMix, new: InputMix, ready: dict[int, int], shared: set[int]) -> InputCrossfade | None:
    """None where the same flows in as before."""
    same = old.keys == new.keys and all(number in shared or not number for number, _, _ in new.keys)
    return None if same else InputCrossfade(old, new, _late(new, ready))
