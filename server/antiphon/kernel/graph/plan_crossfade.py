"""Crossfades from one plan to the next: each input whose wires differ fades from the old signal to the new.

A fade begins when the latency of the new nodes upstream has passed: until then they output silence. The input of a new
node with a tail fades in too: an echo would repeat its abrupt start within running sound. After a change of patch,
removed nodes ring out: their input fades, they get no more events, and their output decays over a longer time.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.processor import BlockTime
from antiphon.kernel.graph.native_plan import NodeStep
from antiphon.kernel.graph.plan import BusSignals, Plan, Strip
from antiphon.kernel.graph.wire_signals import InputMix
from antiphon.native import dsp

SLIDE = 0.010
"""Seconds in which `DeclickCrossfade` removes a step."""
HURRY = 0.030
"""Seconds within which ringing out ends when the next plan is ready."""
_NEVER = 1 << 50
_NO_EVENTS: list[Event] = []
_Key: TypeAlias = tuple[bool, int]
"""Identifies a step: whether only the old plan has its node, and the node's number."""


class InputCrossfade:
    """The crossfade at one input. `wait`: frames until the new signal has passed the latency of new nodes.

    `gone`: numbers of the removed nodes, whose sound rings out where `tail` frames are given for it.
    """

    def __init__(self, old: InputMix, new: InputMix, wait: int, gone: Collection[int] = ()) -> None:
        self.old, self.new, self.wait = old, new, wait
        self.out = np.zeros_like(new.buffer)  # the result, float32 `[channels, block]`
        self.view = self.out.view()  # the same, read-only
        self.view.flags.writeable = False
        self.kept, self.rings = old.part(gone, of=False), old.part(gone, of=True)
        self.tail, self.cut, self.short = -1, _NEVER, 1

    def run(self, done: int, fade: int, frames: int) -> None:
        """Computes a block of both signals. `done` and `fade`: frames since the crossfade began, and its length."""
        if self.tail < 0 or not self.rings.sources:
            dsp.cross(self.old.buffer, self.new.buffer, self.out, done, self.wait, fade, frames)
            return
        self.kept.run(frames)
        self.rings.run(frames)
        dsp.cross(self.kept.buffer, self.new.buffer, self.out, done, self.wait, fade, frames)
        dsp.ring_out(self.rings.buffer, self.out, done - self.wait, self.tail, self.cut, self.short, frames)


class DeclickCrossfade(InputCrossfade):
    """A crossfade at an input whose old sources run after it, because old and new plan together contain a cycle.

    It uses the old signal of the previous block, one block late, and removes the step with a ramp of 10 ms.
    """

    def __init__(self, cross: InputCrossfade, rate: int) -> None:
        super().__init__(cross.old, cross.new, cross.wait)
        self.kept, self.rings = cross.kept, cross.rings
        self._length = max(1, round(SLIDE * rate))
        self._last = np.zeros(self.out.shape[0], np.float32)
        self._steps = np.arange(1, self.out.shape[1] + 1, dtype=np.float32)
        self._left = np.zeros_like(self._steps)
        self._bend = np.zeros_like(self.out)

    def begin(self, ran: int) -> None:
        """Stores the last sample before the crossfade. `ran`: frames of the old plan's last block."""
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


class InputFadeOut(InputCrossfade):
    """The fade-out of a removed node's input from nodes that are still in the plan; other sound passes."""

    def __init__(self, old: InputMix, wait: int, gone: Collection[int]) -> None:
        super().__init__(old, InputMix([], *old.buffer.shape), wait, gone)
        self.tail = 0


class PlanCrossfade:
    """Runs the steps of both plans in one order. Built with the new plan; call `begin` before its first block.

    `sounding`: like that of `Plan`, for both plans.
    """

    def __init__(self, old: Plan, new: Plan) -> None:
        self.old, self.new = old, new
        shared = {number for number, host in new.hosts.items() if old.hosts.get(number) is host}
        gone = old.hosts.keys() - new.hosts.keys()
        before = {step.host.number: step for step in old.steps}
        ready = _ready(new, shared)
        succeeding = {later.number for later, _ in new.successions}
        self._crosses: dict[int, list[InputCrossfade | None]] = {}
        self._rises: dict[int, list[InputCrossfade]] = {}
        for step in new.steps:
            if step.host.number in shared:
                old_step = before[step.host.number]
                crosses = [
                    _input_crossfade(
                        old_step.gather(name), gather, ready, shared, gone if name in _sounds(step) else ()
                    )
                    for name, gather in zip(step.input_names, step.gathers, strict=True)
                ]
                if any(crosses):
                    self._crosses[step.host.number] = crosses
            elif step.ins and step.host.info.on_files.tail and step.host.number not in succeeding:
                self._rises[step.host.number] = [_rise(gather, ready) for gather in step.gathers[: len(step.ins)]]
        self._last = _input_crossfade(old.last, new.last, ready, shared, gone)
        self._strips = {} if self._last is None else _strips(old, new, self._last.wait, gone)
        self.strips: Mapping[str, Strip] = new.strips
        if self._last is not None:
            self.strips = {name: (number, cross.out) for name, (number, cross) in self._strips.items()}
        buses = [_input_crossfade(was, now, ready, shared, gone) for was, now in zip(old.buses, new.buses, strict=True)]
        self._buses = [cross for cross in buses if cross is not None]
        self.sounding: BusSignals = tuple(
            (place, now.buffer if cross is None else cross.out)
            for place, (now, cross) in enumerate(zip(new.buses, buses, strict=True))
            if now.sources or cross is not None
        )
        alone = [step for step in old.steps if step.host.number not in shared]
        self._order = self._sort_steps(alone, before)
        self._turns = [(plan, step, self._crosses.get(step.host.number)) for plan, step in self._order]
        active = [c for at_input in self._crosses.values() for c in at_input if c is not None]
        active += [rise for at_input in self._rises.values() for rise in at_input]
        ends = [*active, *self._buses, *([self._last] if self._last else [])]
        self._wait = max((c.wait for c in ends), default=0)
        self._ringing = [c for c in [*ends, *(strip for _, strip in self._strips.values())] if c.rings.sources]
        self._left = [step for step in alone if step.host.number in gone]
        self._drains = {step.host.number: _drains(step, self._wait, gone) for step in self._left}
        self._fade = self._done = self._tail = 0
        self._end = 0  # frames that the whole takes

    def begin(self, fade: int, tail: int = 0) -> None:
        """Starts the crossfade with the next block, over `fade` frames; 0 switches at once.

        `tail`: frames for which removed nodes ring out; with 0, or less than `fade`, they fade like the other sound.
        """
        self._fade, self._done = max(1, fade), 0
        self._tail = tail if tail > fade > 0 and self._ringing else 0
        self._end = self._wait + max(self._fade, self._tail)
        for ringing in self._ringing if self._tail else ():
            ringing.tail = tail
        if not fade:
            self._done = self._wait + 1
        for cross in (c for at_input in self._crosses.values() for c in at_input):
            if isinstance(cross, DeclickCrossfade):
                cross.begin(self.old.ran)
        if fade:
            self._crossfade_modulations()
        events = {step.host.number: step.io.events_out for step in self.new.steps}
        removed = {step.host.number for plan, step in self._order if plan is self.old}
        for plan, step in self._order:
            for wire in step.notes if plan is self.old else ():
                if wire.key[0] not in removed:
                    # the source runs as a step of the new plan
                    wire.events = events[wire.key[0]]

    def hurry(self) -> None:
        """Ends all ringing out within `HURRY`."""
        short = round(HURRY * self.new.spec.rate)
        cut = max(self._done, self._wait + self._fade - short)
        if cut + short >= self._end:
            return
        self._end = cut + short
        for cross in self._ringing:
            cross.cut, cross.short = cut - cross.wait, short

    def end(self) -> None:
        """Ends the crossfade: the new plan's modulations read their sources directly."""
        for step in self.new.steps:
            if step.host.number in self._crosses:
                for move, gather in zip(step.moves, step.gathers[len(step.ins) :], strict=True):
                    move.set_source(gather.buffer)
                step.host.wake()

    def _crossfade_modulations(self) -> None:
        for step in self.new.steps:
            crosses = self._crosses.get(step.host.number, [])
            for move, cross in zip(step.moves, crosses[len(step.ins) :], strict=False):
                if cross is not None:
                    move.set_source(cross.out)

    @property
    def has_ended(self) -> bool:
        """True if the new plan runs alone from the next block."""
        return self._done >= self._end

    def run(self, frames: int, time: BlockTime) -> Samples:
        """Runs one block of both plans, whose input buffers are filled; returns a view of the output."""
        for plan in (self.old, self.new):
            plan.begin_block(frames)
        if self._tail and self._done >= self._wait + self._fade:
            for step in self._left:
                for wire in step.notes:
                    wire.events = _NO_EVENTS
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
            elif plan is self.new and step.host.number in self._rises:
                plan.mix_inputs(step, frames)
                rises = self._rises[step.host.number]
                for rise in rises:
                    rise.run(self._done, self._fade, frames)
                plan.play(step, frames, time, [rise.view for rise in rises])
            elif self._tail and plan is self.old and step.host.number in self._drains:
                plan.mix_inputs(step, frames)
                drains, views = self._drains[step.host.number]
                for drain in drains:
                    drain.run(self._done, self._fade, frames)
                plan.play(step, frames, time, views)
            else:
                plan.run_step(step, frames, time)
        for plan in (self.old, self.new):
            plan.after(frames)
        if self._last is None:
            out = self.new.last.buffer
        else:
            self._last.run(self._done, self._fade, frames)
            out = self._last.out
        for bus in self._buses:
            bus.run(self._done, self._fade, frames)
        for _, strip in self._strips.values() if self.new.heard is not None else ():
            strip.old.run(frames)
            strip.new.run(frames)
            strip.run(self._done, self._fade, frames)
        self._done += frames
        return out[:, :frames]

    def _sort_steps(self, alone: Sequence[NodeStep], before: dict[int, NodeStep]) -> list[tuple[Plan, NodeStep]]:
        """Sorts the steps after their sources. If both plans together have a cycle, a node gets `DeclickCrossfade`s."""
        removed = {step.host.number for step in alone}
        waiting: list[tuple[Plan, NodeStep]] = [(self.old, s) for s in alone] + [(self.new, s) for s in self.new.steps]
        self._was = {number: before[number] for number in self._crosses}
        tied = dict.fromkeys(self._crosses)
        order: list[tuple[Plan, NodeStep]] = []
        placed: set[_Key] = set()

        def needs(plan: Plan, step: NodeStep) -> set[_Key]:
            if plan is self.old:
                return {(n in removed, n) for n in step.depends_on}
            number = step.host.number
            old = {(n in removed, n) for n in before[number].depends_on} if number in tied else set()
            return {(False, n) for n in step.depends_on} | old

        while waiting:
            free = next((item for item in waiting if needs(*item) <= placed), None)
            if free is None:
                left = {(p is self.old, s.host.number): needs(p, s) - placed for p, s in waiting}
                stuck = next(n for n in tied if (False, n) in left and _depends_on_itself((False, n), left))
                del tied[stuck]
                self._crosses[stuck] = [c and DeclickCrossfade(c, self.new.spec.rate) for c in self._crosses[stuck]]
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


def _depends_on_itself(key: _Key, needs: dict[_Key, set[_Key]]) -> bool:
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
    """Frames until each node of the new plan outputs signal, by number: 0 for nodes that are running already."""
    ready = {0: 0}
    for step in new.steps:
        number = step.host.number
        ready[number] = (
            0 if number in shared else step.host.latency + max((_late(g, ready) for g in step.gathers), default=0)
        )
    return ready


def _sounds(step: NodeStep) -> Collection[str]:
    """Names of a node's audio inputs."""
    return [port.name for port in step.host.info.inputs if port.kind == "audio"]


def _drains(step: NodeStep, wait: int, gone: Collection[int]) -> tuple[list[InputFadeOut], list[Samples]]:
    """Returns fade-outs of a removed node's inputs from nodes that are still in the plan, and all its inputs."""
    drains, views = [], list(step.ins)
    for place, (name, gather) in enumerate(zip(step.input_names, step.gathers[: len(views)], strict=False)):
        if name in _sounds(step) and any(number not in gone for number, _, _ in gather.keys):
            drains.append(InputFadeOut(gather, wait, gone))
            views[place] = drains[-1].view
    return drains, views


def _strips(old: Plan, new: Plan, wait: int, gone: Collection[int]) -> dict[str, tuple[int, InputCrossfade]]:
    """Crossfades of each wire's contribution to the output, by the strips' names, with their numbers."""
    names = {host.name for number, host in old.hosts.items() if number in gone}
    found = {}
    for name, (number, sound) in {**old.strips, **new.strips}.items():
        own = [plan.strips[name][1] if name in plan.strips else sound[:0] for plan in (old, new)]
        channels = max(map(len, own))
        node = int(name.partition(".")[0] in names)
        mixes = [InputMix([one][: len(one)], channels, new.spec.block, [(node, "", 0)][: len(one)]) for one in own]
        found[name] = number, InputCrossfade(mixes[0], mixes[1], wait, {1})
    return found


def _late(gather: InputMix, ready: dict[int, int]) -> int:
    return max((ready.get(number, 0) + lag for number, _, lag in gather.keys), default=0)


def _rise(new: InputMix, ready: dict[int, int]) -> InputCrossfade:
    """Fade-in of an input of a new node."""
    channels, block = new.buffer.shape
    return InputCrossfade(InputMix([], channels, block), new, _late(new, ready))


def _input_crossfade(
    old: InputMix, new: InputMix, ready: dict[int, int], shared: set[int], gone: Collection[int]
) -> InputCrossfade | None:
    """Crossfade at one input; None if both plans have the same signal. `gone`: that of `InputCrossfade`."""
    same = old.keys == new.keys and all(number in shared or not number for number, _, _ in new.keys)
    return None if same else InputCrossfade(old, new, _late(new, ready), gone)
