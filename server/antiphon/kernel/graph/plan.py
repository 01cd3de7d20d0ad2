"""A plan: a graph compiled into a list of steps that the engine runs block by block.

Parallel branches are latency-compensated: where wires meet, the earlier ones are delayed. A wire that closes a cycle is
delayed by exactly `spec.block` frames, so that any split into blocks gives the same samples.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.processor import BlockTime
from antiphon.kernel.errors import NodeError, PluginError
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.native_plan import NativePlan, NodeStep
from antiphon.kernel.graph.native_rows import PackedCalls
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.wire_signals import DelayLine, FeedbackDelay, InputMix, WireKey
from antiphon.kernel.runtime.importing import plugin_location
from antiphon.native.kernel import Step

STATE_BYTES = 1 << 20
"""Maximum size of a state: copying 1 MiB takes about 0.1 ms of the first block."""


def is_new_version_of(host: NodeHost, before: NodeHost | None) -> bool:
    """True if a host runs another plugin version of the same node."""
    return (
        before is not None
        and before is not host
        and before.info.type == host.info.type
        and before.info.version != host.info.version
    )


def check_state_transfer(host: NodeHost, before: NodeHost) -> None:
    """Tests, off the block path, whether a new version can load the running version's state."""
    try:
        state = before.processor.save_state()
        _check(state)
        if state:
            host.processor.load_state(state)
    except Exception as error:
        text = f"{host.name} ({host.info.type}) cannot continue from the state of the version before"
        raise NodeError(f"{text}: {_reason(error)}", host.name) from error


def _check(state: object) -> None:
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise PluginError("save_state gives no mapping of names to values")
    total = 0
    for name, value in state.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            total += value.nbytes
        elif not isinstance(value, int | float | str | np.number | np.bool_):
            raise PluginError(f"{name!r} is {type(value).__name__}; a number, a text or an array of numbers is allowed")
    if total > STATE_BYTES:
        raise PluginError(f"its arrays have {total:,} bytes; at most {STATE_BYTES:,} are carried over")


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}{plugin_location(error)}"


def copy_previous_state(host: NodeHost, before: NodeHost) -> None:
    """Copies values and state from the previous version. On the block path, before the host's first block."""
    for cell in host.cells:
        old = before.by_name.get(cell.param.name)
        if old is not None and cell.param.agrees(old.param):
            cell.resume(old.state())
    host.active = list(host.cells)
    host.wake()
    if before.failed:
        return
    try:
        state: Mapping[str, Any] = before.processor.save_state()
        if state:
            host.processor.load_state(state)
    except Exception:
        # the trial run of these calls succeeded; on failure the processor is reset
        host.reset()


Strip = tuple[int, Samples]
"""Number for recordings, and a wire's contribution to the output, float32 `[channels, block]`."""
BusSignals = tuple[tuple[int, Samples], ...]
"""Buses with a signal: place in `names.BUSES`, and buffer, float32 `[2, block]`."""


@dataclass(slots=True)
class NodeFailure:
    """A node's failure in this block; `retry` as in its host."""

    number: int
    name: str
    reason: str
    retry: float = 0.0


@dataclass(slots=True, weakref_slot=True)
class Plan:
    """Runs a graph. `compile_plan` builds it off the block path; `run` is the block path."""

    spec: StreamSpec
    graph: Graph
    hosts: Mapping[int, NodeHost]
    latency: int  # latency of the whole graph, frames
    input: Samples  # input buffer, float32 `[channels, block]`
    output: Samples
    steps: list[NodeStep]
    last: InputMix
    _out_lines: tuple[DelayLine, ...] = ()
    _feedbacks: tuple[FeedbackDelay, ...] = ()
    failures: list[NodeFailure] = field(default_factory=list)
    marks: list[tuple[int, str, int]] = field(default_factory=list)
    steering: list[tuple[int, tuple[float, float, float]]] = field(default_factory=list)  # asked of the clock
    watched: bool = False
    at_work: ctypes.c_int64 = field(default_factory=ctypes.c_int64)
    input_at: int = 0
    ran: int = 0  # frames of the last block
    crossing: object = None  # the `PlanCrossfade` to it, if it was made ahead
    successions: tuple[tuple[NodeHost, NodeHost], ...] = ()
    played: Samples | None = None  # buffer of what was played in the block before, where a wire carries it
    buses: tuple[InputMix, ...] = ()  # those of the other pairs of channels, in the order of `names.BUSES`
    sounding: BusSignals = field(init=False)
    strips: Mapping[str, Strip] = field(default_factory=dict)  # what is mixed into `output`, by name
    heard: deque[tuple[str, Sequence[Event]]] | None = None  # where events are kept that nodes with an output get
    awaited: int = field(init=False)  # number of the first node that the clock waits for where it is new, 0 for none
    native: NativePlan = field(init=False)
    _lines: Mapping[WireKey, DelayLine] = field(default_factory=dict)
    _back: Mapping[WireKey, FeedbackDelay] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.input_at = self.input.ctypes.data
        # not the present values of a host that goes on: the graph's are set once the plan plays
        given = {node.name: node.values for node in self.graph.nodes}
        awaited = (n for n, host in self.hosts.items() if host.awaits_with(given.get(host.name, {})))
        self.awaited = next(awaited, 0)
        self.sounding = tuple((place, bus.buffer) for place, bus in enumerate(self.buses) if bus.sources)
        for step in self.steps:
            notes = [other for other in self.steps if any(wire.key[0] == step.host.number for wire in other.notes)]
            step.listeners = tuple(other.host for other in notes)
        opening = PackedCalls(feedback.read(self.spec.block) for feedback in self._feedbacks)
        self.native = NativePlan(self, self.steps, self.spec, opening, PackedCalls(self._after(self.spec.block)))

    def run(self, frames: int, time: BlockTime) -> Samples:
        """Runs one block of at most `spec.block` frames from `input[:, :frames]`; returns a view of the output."""
        if frames == self.spec.block:
            self.ran = frames
            self.native.run(time)
            return self.last.buffer
        self.begin_block(frames)
        for step in self.steps:
            self.run_step(step, frames, time)
        self.after(frames)
        return self.last.buffer[:, :frames]

    def watch(self, at_work: ctypes.c_int64) -> None:
        """Counts overruns as failures; `at_work` gets the number of each node before it runs."""
        self.watched, self.at_work = True, at_work
        self.native.watch(at_work)

    def begin_block(self, frames: int) -> None:
        """Begins a block: reads the feedback wires."""
        self.ran = frames
        for feedback in self._feedbacks:
            feedback.read(frames).run()

    def run_step(self, step: NodeStep, frames: int, time: BlockTime) -> None:
        """Computes a node's inputs and runs it."""
        self.mix_inputs(step, frames)
        self.play(step, frames, time, step.ins)

    def mix_inputs(self, step: NodeStep, frames: int) -> None:
        """Computes a node's inputs."""
        for line in step.lines:
            line.run(frames)
        for mix in step.gathers:
            mix.run(frames)

    def play(self, step: NodeStep, frames: int, time: BlockTime, ins: list[Samples]) -> None:
        """Runs a node on the given inputs, `[channels, block]` each."""
        host, io = step.host, step.io
        full = frames == self.spec.block
        io.frames, io.base = frames, 0
        io.time = time
        io.audio_in = ins if full else [x[:, :frames] for x in ins]
        io.audio_out = list(step.outs) if full else [y[:, :frames] for y in step.outs]
        if io.events_in:
            io.events_in.clear()
        if step.notes or host.events or host.endings:
            # endings come first: a new note of the same number may begin at frame 0
            io.events_in.extend(host.endings)
            host.endings.clear()
            for wire in step.notes:
                wire.take(io.events_in)
            io.events_in.extend(host.events)
            host.events.clear()
            io.events_in.sort(key=_offset)
            if self.heard is not None and io.events_in and step.outs:
                self.heard.append((host.name, tuple(io.events_in)))
        if io.events_out:
            io.events_out.clear()
        self.at_work.value = host.number
        self._failed(host, host.run(io, self.watched, step.moves))
        if io.events_out:
            # machine code runs no node that gets events
            for listener in step.listeners:
                listener.wake()
        if io.marks:
            self.marks += [(host.number, kind, number) for kind, number in io.marks]
            io.marks.clear()
        if io.steering:
            self.steering.append((host.number, io.steering[0]))
            io.steering.clear()

    def run_node_at(self, place: int, time: BlockTime) -> None:
        """Runs the node of that place for a whole block."""
        self.run_step(self.steps[place], self.spec.block, time)

    def conclude(self, place: int, time: BlockTime, reason: str) -> None:
        """Ends a whole block of the node at index `place`, after its outputs are computed."""
        step = self.steps[place]
        host = step.host
        x = step.ins[0] if host.has_dry else None
        self._failed(host, host.conclude(x, time.sample, self.spec.block, reason))

    def _failed(self, host: NodeHost, reason: str) -> None:
        if reason:
            self.failures.append(NodeFailure(host.number, host.name, reason, host.retry))

    def after(self, frames: int) -> None:
        """Ends a block: stores the feedback wires, and computes the output."""
        for step in self._after(frames):
            step.run()

    def _after(self, frames: int) -> Iterator[Step]:
        for feedback in self._feedbacks:
            yield feedback.write(frames)
        for line in self._out_lines:
            yield line.step(frames)
        yield self.last.step(frames)
        for place, _ in self.sounding:
            yield self.buses[place].step(frames)

    def emitted_events(self, number: int) -> Iterator[tuple[int, Sequence[Event]]]:
        """(number, events) of the node, or of every node for a negative `number`, that emitted in the last block."""
        for step in self.steps:
            if step.io.events_out and (number < 0 or step.host.number == number):
                yield step.host.number, step.io.events_out

    def clear(self) -> None:
        """Silences the plan for a panic: resets processors and delay lines."""
        for step in self.steps:
            step.host.cut()
            for line in step.lines:
                line.clear()
        for line in self._out_lines:
            line.clear()
        for feedback in self._feedbacks:
            feedback.clear()

    def copy_wire_contents(self, old: Plan) -> None:
        """Copies shared wires' content from `old`, before the first block; notes of removed wires are ended."""
        for key, line in self._lines.items():
            if key in old._lines:
                line.copy_state(old._lines[key])
        for key, feedback in self._back.items():
            if key in old._back:
                feedback.copy_state(old._back[key])
        notes = {step.host.number: {wire.key: wire for wire in step.notes} for step in self.steps}
        for later, before in self.successions:
            copy_previous_state(later, before)
        for step in old.steps:
            number = step.host.number
            if self.hosts.get(number) is step.host:
                step.host.go_on()
                for wire in step.notes:
                    now, sender = notes[number].get(wire.key), wire.key[0]
                    if now is not None and old.hosts.get(sender) is self.hosts.get(sender):
                        now.held, now.pedals = wire.held, wire.pedals
                    else:
                        step.host.endings += wire.endings()
                        step.host.wake()

    def reports(self) -> list[tuple[int, int, float]]:
        """(node, cell, number) of the readonly values that processors have reported since the last call."""
        result = []
        for place, step in enumerate(self.steps):
            values = step.io.reports
            self.native.report(place, values)
            if values:
                for cell, param in enumerate(step.host.info.cells):
                    if param.readonly and param.name in values:
                        result.append((step.host.number, cell, values[param.name]))
                values.clear()
        return result


def _offset(event: Event) -> int:
    return event.offset
