"""A graph compiled into the flat list of steps that the engine runs, block by block.

Parallel branches are latency-compensated: where wires meet, the earlier ones are delayed. A wire that
closes a cycle is fed exactly `spec.block` frames late, so that any split of blocks gives the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from antiphon.block import Samples, StreamSpec
from antiphon.catalog import Catalog, ProcessorInfo
from antiphon.errors import PatchError, PluginError
from antiphon.graph import IN, OUT, End, Graph, check, order
from antiphon.host import NodeHost
from antiphon.native import dsp
from antiphon.processor import IO, BlockTime, Event, Processor
from antiphon.rates import adapt

MAX_LATENCY_SECONDS = 10.0


class _Line:
    """A delay of `lag` frames, for compensation. `lag` 0 is not made."""

    def __init__(self, source: Samples, lag: int) -> None:
        self.source = source
        self.out = np.zeros_like(source)
        self._ring = np.zeros((source.shape[0], lag + 1), np.float32)
        self._lag, self._at = lag, 0

    def run(self, frames: int) -> None:
        size, channels, row = self._ring.shape[1], self.source.shape[0], self.source.shape[1]
        dsp.delay_line(self.source, row, self.out, row, self._ring, size, self._at, self._lag, channels, frames)
        self._at = (self._at + frames) % size

    def clear(self) -> None:
        self._ring.fill(0.0)

    def go_on(self, old: _Line) -> None:
        """From where another plan's line of the same lag and channels is."""
        self._ring[:] = old._ring
        self._at = old._at


class _Feedback:
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

    def go_on(self, old: _Feedback) -> None:
        """From where another plan's wire of the same channels is."""
        self._ring[:] = old._ring
        self._at = old._at


class _Gather:
    """What flows into one audio port: nothing, one wire as it is, or several summed and adapted."""

    def __init__(self, sources: list[Samples], channels: int, block: int) -> None:
        self.sources = sources
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


@dataclass(slots=True)
class _Step:
    host: NodeHost
    gathers: tuple[_Gather, ...]
    lines: tuple[_Line, ...]
    io: IO
    ins: list[Samples]
    outs: list[Samples]
    event_sources: tuple[list[Event], ...] = ()


@dataclass(slots=True)
class NodeFailure:
    """A node failed in this block."""

    number: int
    name: str
    reason: str


_Wire = tuple[int, str, int, str, int, int]
"""A wire that remembers: number and port of its source and its destination, frames of lag, channels."""


@dataclass(slots=True)
class Plan:
    """Runs a graph. Built off the block path by `compile_plan`; `run` is the block path."""

    spec: StreamSpec
    graph: Graph
    hosts: Mapping[int, NodeHost]
    latency: int
    input: Samples
    output: Samples
    _steps: list[_Step] = field(default_factory=list)
    _out: _Gather | None = None
    _out_lines: tuple[_Line, ...] = ()
    _feedbacks: tuple[_Feedback, ...] = ()
    failures: list[NodeFailure] = field(default_factory=list)
    watched: bool = False
    at_work: Callable[[int], None] | None = None
    input_at: int = 0
    _lines: Mapping[_Wire, _Line] = field(default_factory=dict)
    _back: Mapping[_Wire, _Feedback] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.input_at = self.input.ctypes.data

    def run(self, frames: int, time: BlockTime, skip: frozenset[int] = frozenset()) -> Samples:
        """One block of at most `spec.block` frames from `input[:, :frames]`; returns a view of `output`.

        skip: numbers of nodes that another plan has run in this block.
        """
        full = frames == self.spec.block
        for feedback in self._feedbacks:
            feedback.read(frames)
        for step in self._steps:
            host = step.host
            if host.number in skip:
                step.io.events_out.clear()
                continue
            for line in step.lines:
                line.run(frames)
            for gather in step.gathers:
                gather.run(frames)
            io = step.io
            io.frames, io.base = frames, 0
            io.time = time
            io.audio_in = step.ins if full else [x[:, :frames] for x in step.ins]
            io.audio_out = list(step.outs) if full else [y[:, :frames] for y in step.outs]
            if step.event_sources:
                io.events_in.clear()
                for source in step.event_sources:
                    io.events_in.extend(source)
                io.events_in.sort(key=_offset)
            if io.events_out:
                io.events_out.clear()
            if self.at_work is not None:
                self.at_work(host.number)
            reason = host.run(io, self.watched)
            if reason:
                self.failures.append(NodeFailure(host.number, host.name, reason))
        for feedback in self._feedbacks:
            feedback.write(frames)
        for line in self._out_lines:
            line.run(frames)
        assert self._out is not None
        self._out.run(frames)
        return self._out.buffer[:, :frames]

    def clear(self) -> None:
        """Silence from here: delay lines and processors forget."""
        for step in self._steps:
            step.host.cut()
            for line in step.lines:
                line.clear()
        for line in self._out_lines:
            line.clear()
        for feedback in self._feedbacks:
            feedback.clear()

    def inherit(self, old: Plan) -> None:
        """Takes over what is on its way in the wires both plans have, before the first block."""
        for key, line in self._lines.items():
            if key in old._lines:
                line.go_on(old._lines[key])
        for key, feedback in self._back.items():
            if key in old._back:
                feedback.go_on(old._back[key])

    def reports(self) -> list[tuple[int, int, float]]:
        """Readonly values given since the last call: (node, cell, number)."""
        found = []
        for step in self._steps:
            given = step.io.reports
            if given:
                for place, param in enumerate(step.host.info.cells):
                    if param.readonly and param.name in given:
                        found.append((step.host.number, place, given[param.name]))
                given.clear()
        return found


def _offset(event: Event) -> int:
    return event.offset


def compile_plan(
    graph: Graph,
    catalog: Catalog,
    make: Callable[[str], Processor],
    spec: StreamSpec,
    ids: Mapping[str, int],
    old: Plan | None = None,
) -> Plan:
    """A plan for `graph`. Nodes whose number `old` holds, of the same type, keep their processor and state.

    Raises PatchError (the graph makes no sense) or PluginError (a processor would not prepare).
    """
    check(graph, catalog)
    names, back = order(graph, catalog)
    hosts: dict[int, NodeHost] = {}
    cyclic = {wire.dest.node for wire in back}
    for name in names:
        node, number = graph.node(name), ids[name]
        info = catalog[node.type]
        kept = old.hosts.get(number) if old is not None else None
        if kept is not None and kept.info.type == node.type and kept.settled(node.values, cyclic=name in cyclic):
            hosts[number] = kept
            continue
        hosts[number] = _host(number, name, info, make, spec, node.values, cyclic=name in cyclic)
    source = np.zeros((spec.channels, spec.block), np.float32)
    buffers: dict[End, Samples] = {End(IN, IN): source}
    events: dict[End, list[Event]] = {}
    ios: dict[str, IO] = {}
    for name in names:
        host = hosts[ids[name]]
        ports = [p for p in host.info.outputs if p.kind == "audio"]
        for port, out in zip(ports, host.outs, strict=True):
            buffers[End(name, port.name)] = out
        ios[name] = IO((), (), host.by_name, BlockTime())
        for port in host.info.outputs:
            if port.kind == "events":
                events[End(name, port.name)] = ios[name].events_out
    lag: dict[str, int] = {IN: 0}
    feedbacks: list[_Feedback] = []
    steps: list[_Step] = []

    def arriving(dest: End) -> list[End]:
        return [w.source for w in graph.wires if w.dest == dest and w not in back and w.source in buffers]

    every: dict[_Wire, _Line] = {}
    around: dict[_Wire, _Feedback] = {}

    def key(source: End, dest: End, extra: int) -> _Wire:
        return (
            ids.get(source.node, 0), source.port, ids.get(dest.node, 0), dest.port, extra, buffers[source].shape[0]
        )  # fmt: skip

    def aligned(sources: list[End], dest: End, to: int, lines: list[_Line]) -> list[Samples]:
        found = []
        for end in sources:
            extra = to - lag[end.node]
            if extra > 0:
                line = every[key(end, dest, extra)] = _Line(buffers[end], extra)
                lines.append(line)
                found.append(line.out)
            else:
                found.append(buffers[end])
        return found

    for name in names:
        host = hosts[ids[name]]
        ports = [p for p in host.info.inputs if p.kind == "audio"]
        into = {p.name: arriving(End(name, p.name)) for p in ports}
        at = max((lag[e.node] for ends in into.values() for e in ends), default=0)
        lag[name] = at + host.latency
        if lag[name] > MAX_LATENCY_SECONDS * spec.rate:
            raise PatchError(f"{name} would lag by {lag[name] / spec.rate:.1f} s; at most {MAX_LATENCY_SECONDS:g} s")
        lines: list[_Line] = []
        gathers = []
        for port in ports:
            # a node that shortens its line for the cycle's sake gets everything else as late as the cycle
            found = aligned(into[port.name], End(name, port.name), at + host.feedback, lines)
            for wire in graph.wires:
                if wire in back and wire.dest == End(name, port.name):
                    loop = _Feedback(buffers[wire.source])
                    feedbacks.append(loop)
                    around[key(wire.source, wire.dest, 0)] = loop
                    found.append(loop.out)
            gathers.append(_Gather(found, port.channels or spec.channels, spec.block))
        notes = tuple(events[w.source] for w in graph.wires if w.dest.node == name and w.source in events)
        io = ios[name]
        ins = [g.view for g in gathers]
        steps.append(_Step(host, tuple(gathers), tuple(lines), io, ins, list(host.outs), notes))
    ends = arriving(End(OUT, OUT))
    latency = max((lag[e.node] for e in ends), default=0)
    out_lines: list[_Line] = []
    last = _Gather(aligned(ends, End(OUT, OUT), latency, out_lines), spec.channels, spec.block)
    return Plan(
        spec, graph, hosts, latency, source, last.buffer, steps, last, tuple(out_lines), tuple(feedbacks),
        _lines=every, _back=around,
    )  # fmt: skip


def _host(
    number: int,
    name: str,
    info: ProcessorInfo,
    make: Callable[[str], Processor],
    spec: StreamSpec,
    values: Mapping[str, object],
    *,
    cyclic: bool,
) -> NodeHost:
    cells = {p.name: p for p in info.cells}
    checked = {key: cells[key].check(value) for key, value in values.items()}
    try:
        processor = adapt(make(info.type), spec)
        processor.settings.update({k: v for k, v in checked.items() if k in processor.settings})
        feedback = spec.block if cyclic and hasattr(processor, "feedback_frames") else 0
        if feedback:
            processor.feedback_frames = feedback  # type: ignore[attr-defined]
        processor.prepare(spec)
    except Exception as error:
        raise PluginError(f"{name} ({info.type}) would not prepare: {type(error).__name__}: {error}") from error
    if not isinstance(processor.latency, int) or processor.latency < 0:
        raise PluginError(f"{name} ({info.type}) declares a latency of {processor.latency!r}; frames, 0 or more")
    return NodeHost(number, name, info, processor, spec, checked, feedback)
