"""A graph compiled into the flat list of steps that the engine runs, block by block.

Parallel branches are latency-compensated: where wires meet, the earlier ones are delayed. A wire that
closes a cycle is fed exactly `spec.block` frames late, so that any split of blocks gives the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from antiphon.contract.block import Samples, StreamSpec
from antiphon.contract.processor import IO, PEDAL, BlockTime, Event
from antiphon.graph.graph import Graph
from antiphon.graph.modulation import Modulation
from antiphon.graph.node_host import NodeHost
from antiphon.native import dsp

if TYPE_CHECKING:
    from antiphon.graph.plan_crossfade import PlanCrossfade


class DelayLine:
    """A delay of `lag` frames, for compensation. `lag` 0 is not made."""

    def __init__(self, source: Samples, lag: int) -> None:
        self.source = source
        self.out = np.zeros_like(source)
        self._ring = np.zeros((source.shape[0], lag + 1), np.float32)
        self._lag, self._at = lag, 0

    def run(self, frames: int) -> None:
        dsp.delay_line(self.source, self.out, self._ring, self._at, self._lag, frames)
        self._at = (self._at + frames) % self._ring.shape[1]

    def clear(self) -> None:
        self._ring.fill(0.0)

    def go_on(self, old: DelayLine) -> None:
        """From where another plan's line of the same lag and channels is."""
        self._ring[:] = old._ring
        self._at = old._at


class FeedbackDelay:
    """A wire that closes a cycle: read `block` frames after it was written."""

    def __init__(self, source: Samples) -> None:
        self.source = source
        self.block = source.shape[1]
        self.out = np.zeros_like(source)
        self._ring = np.zeros((source.shape[0], 2 * self.block), np.float32)
        self._at = 0

    def read(self, frames: int) -> None:
        size = 2 * self.block
        start = (self._at - self.block) % size
        first = min(frames, size - start)
        self.out[:, :first] = self._ring[:, start : start + first]
        self.out[:, first:frames] = self._ring[:, : frames - first]

    def write(self, frames: int) -> None:
        size = 2 * self.block
        first = min(frames, size - self._at)
        self._ring[:, self._at : self._at + first] = self.source[:, :first]
        self._ring[:, : frames - first] = self.source[:, first:frames]
        self._at = (self._at + frames) % size

    def clear(self) -> None:
        self._ring.fill(0.0)

    def go_on(self, old: FeedbackDelay) -> None:
        """From where another plan's wire of the same channels is."""
        self._ring[:] = old._ring
        self._at = old._at


SourceKey = tuple[int, str, int]
"""What flows through a wire: number and port of its source, frames it is delayed by (-1: around a cycle)."""


class InputMix:
    """What flows into one audio port: nothing, one wire as it is, or several summed and adapted.

    keys: of its sources.
    """

    def __init__(
        self, sources: list[Samples], channels: int, block: int, keys: frozenset[SourceKey] = frozenset()
    ) -> None:
        self.sources = sources
        self.keys = keys
        self.direct = len(sources) == 1 and sources[0].shape[0] == channels
        self.buffer = sources[0] if self.direct else np.zeros((channels, block), np.float32)
        self.view = self.buffer.view()
        self.view.flags.writeable = False

    def run(self, frames: int) -> None:
        if self.direct or not self.sources:
            return
        into = self.buffer[:, :frames]
        _adapt(self.sources[0], into, frames, add=None)
        for source in self.sources[1:]:
            _adapt(source, into, frames, add=into)


def _adapt(source: Samples, into: Samples, frames: int, add: Samples | None) -> None:
    """Copies or adds with another number of channels: mono to all, many averaged to one, else the surplus dropped."""
    have, want = source.shape[0], into.shape[0]
    part = source[:, :frames]
    if want == 1 and have > 1:
        part = part.mean(axis=0, keepdims=True, dtype=np.float32)
    elif have > want:
        part = part[:want]
    if have == 1 or part.shape[0] == want:
        if add is None:
            into[:] = part
        else:
            into += part
        return
    if add is None:
        into[part.shape[0] :] = 0.0
        into[: part.shape[0]] = part
    else:
        into[: part.shape[0]] += part


class NoteWire:
    """Events from one node to another. key: number and port of its source.  held, pedals: what has not ended."""

    def __init__(self, key: tuple[int, str], events: list[Event]) -> None:
        self.key, self.events = key, events
        self.held: set[tuple[int, int]] = set()
        self.pedals: set[int] = set()

    def take(self, into: list[Event]) -> None:
        for event in self.events:
            into.append(event)
            match event.kind:
                case "on":
                    self.held.add((event.channel, event.number))
                case "off":
                    self.held.discard((event.channel, event.number))
                case "control" if event.number == PEDAL:
                    (self.pedals.add if event.value >= 0.5 else self.pedals.discard)(event.channel)

    def endings(self) -> list[Event]:
        """What ends all that came through it."""
        notes = [Event("off", 0, number, 0.0, channel) for channel, number in sorted(self.held)]
        return [*notes, *(Event("control", 0, PEDAL, 0.0, channel) for channel in sorted(self.pedals))]


@dataclass(slots=True)
class Step:
    """One node's part of a plan.

    gathers: of its input ports, then of the parameters that control wires end in; inlets: their names.
    hears: numbers of the nodes whose output of this block it needs.
    """

    host: NodeHost
    gathers: tuple[InputMix, ...]
    lines: tuple[DelayLine, ...]
    io: IO
    ins: list[Samples]
    outs: list[Samples]
    notes: tuple[NoteWire, ...] = ()
    moves: tuple[Modulation, ...] = ()
    hears: frozenset[int] = frozenset()
    inlets: tuple[str, ...] = ()

    def gather(self, inlet: str) -> InputMix:
        """What flows into that port or parameter; nothing where no wire ends."""
        if inlet in self.inlets:
            return self.gathers[self.inlets.index(inlet)]
        return InputMix([], 1, self.host.spec.block)


@dataclass(slots=True)
class NodeFailure:
    """A node failed in this block."""

    number: int
    name: str
    reason: str


WireKey = tuple[int, str, int, str, int, int]
"""A wire that remembers: number and port of its source and its destination, frames of lag, channels."""


@dataclass(slots=True)
class Plan:
    """Runs a graph. Built off the block path by `compile_plan`; `run` is the block path.

    last: what flows out.  ran: frames of its last block.
    crossing: the way here from the plan it was compiled to follow; taken by who loads it.
    """

    spec: StreamSpec
    graph: Graph
    hosts: Mapping[int, NodeHost]
    latency: int
    input: Samples
    output: Samples
    steps: list[Step]
    last: InputMix
    _out_lines: tuple[DelayLine, ...] = ()
    _feedbacks: tuple[FeedbackDelay, ...] = ()
    failures: list[NodeFailure] = field(default_factory=list)
    marks: list[tuple[int, str, int]] = field(default_factory=list)
    watched: bool = False
    at_work: Callable[[int], None] | None = None
    input_at: int = 0
    ran: int = 0
    crossing: PlanCrossfade | None = None
    _lines: Mapping[WireKey, DelayLine] = field(default_factory=dict)
    _back: Mapping[WireKey, FeedbackDelay] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.input_at = self.input.ctypes.data

    def run(self, frames: int, time: BlockTime) -> Samples:
        """One block of at most `spec.block` frames from `input[:, :frames]`; returns a view of `output`."""
        self.before(frames)
        for step in self.steps:
            self.turn(step, frames, time)
        self.after(frames)
        return self.last.buffer[:, :frames]

    def before(self, frames: int) -> None:
        self.ran = frames
        for feedback in self._feedbacks:
            feedback.read(frames)

    def turn(self, step: Step, frames: int, time: BlockTime) -> None:
        """One node's part of the block."""
        for line in step.lines:
            line.run(frames)
        for gather in step.gathers:
            gather.run(frames)
        self.play(step, frames, time, step.ins)

    def play(self, step: Step, frames: int, time: BlockTime, ins: list[Samples]) -> None:
        """The node itself, from what its inputs hold."""
        host, io = step.host, step.io
        full = frames == self.spec.block
        io.frames, io.base = frames, 0
        io.time = time
        io.audio_in = ins if full else [x[:, :frames] for x in ins]
        io.audio_out = list(step.outs) if full else [y[:, :frames] for y in step.outs]
        if io.events_in:
            io.events_in.clear()
        if step.notes or host.events or host.endings:
            # first what ends of itself: a new note of the same number may begin with the block
            io.events_in.extend(host.endings)
            host.endings.clear()
            for wire in step.notes:
                wire.take(io.events_in)
            io.events_in.extend(host.events)
            host.events.clear()
            io.events_in.sort(key=_offset)
        if io.events_out:
            io.events_out.clear()
        if self.at_work is not None:
            self.at_work(host.number)
        reason = host.run(io, self.watched, step.moves)
        if reason:
            self.failures.append(NodeFailure(host.number, host.name, reason))
        if io.marks:
            self.marks += [(host.number, kind, number) for kind, number in io.marks]
            io.marks.clear()

    def after(self, frames: int) -> None:
        for feedback in self._feedbacks:
            feedback.write(frames)
        for line in self._out_lines:
            line.run(frames)
        self.last.run(frames)

    def emitted(self, number: int) -> Iterator[tuple[int, Sequence[Event]]]:
        """What a node emitted in the last block, or every node that did, where `number` is below 0; with its number."""
        for step in self.steps:
            if step.io.events_out and (number < 0 or step.host.number == number):
                yield step.host.number, step.io.events_out

    def clear(self) -> None:
        """Silence from here: delay lines and processors forget."""
        for step in self.steps:
            step.host.cut()
            for line in step.lines:
                line.clear()
        for line in self._out_lines:
            line.clear()
        for feedback in self._feedbacks:
            feedback.clear()

    def inherit(self, old: Plan) -> None:
        """Takes over what is on its way in the wires both plans have, before the first block.

        What came through wires that are no more, and has not ended, ends.
        """
        for key, line in self._lines.items():
            if key in old._lines:
                line.go_on(old._lines[key])
        for key, feedback in self._back.items():
            if key in old._back:
                feedback.go_on(old._back[key])
        notes = {step.host.number: {wire.key: wire for wire in step.notes} for step in self.steps}
        for step in old.steps:
            number = step.host.number
            if self.hosts.get(number) is step.host:
                for wire in step.notes:
                    now, sender = notes[number].get(wire.key), wire.key[0]
                    if now is not None and old.hosts.get(sender) is self.hosts.get(sender):
                        now.held, now.pedals = wire.held, wire.pedals
                    else:
                        step.host.endings += wire.endings()

    def reports(self) -> list[tuple[int, int, float]]:
        """Readonly values given since the last call: (node, cell, number)."""
        found = []
        for step in self.steps:
            given = step.io.reports
            if given:
                for place, param in enumerate(step.host.info.cells):
                    if param.readonly and param.name in given:
                        found.append((step.host.number, place, given[param.name]))
                given.clear()
        return found


def _offset(event: Event) -> int:
    return event.offset
