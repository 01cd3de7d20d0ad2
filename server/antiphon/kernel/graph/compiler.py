"""Compiles a graph into a plan: prepares its nodes or takes them from the previous plan; `wiring` connects them."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.ports import MIXED, PORT, Port
from antiphon.kernel.contract.processor import IO, BlockTime, Processor
from antiphon.kernel.contract.runner import ProcessorRunner
from antiphon.kernel.errors import NodeError, PatchError, sentence
from antiphon.kernel.graph.clips import locate_asset
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire, check, order
from antiphon.kernel.graph.modulation import Modulation
from antiphon.kernel.graph.names import BUSES, CUE
from antiphon.kernel.graph.native_plan import NodeStep
from antiphon.kernel.graph.node_host import NodeHost, UnpreparedProcessor
from antiphon.kernel.graph.plan import Plan, check_state_transfer, is_new_version_of
from antiphon.kernel.graph.plan_crossfade import PlanCrossfade
from antiphon.kernel.graph.rate_adapter import adapt
from antiphon.kernel.graph.wire_signals import DelayLine, FeedbackDelay, InputMix, NoteWire, SourceKey, WireKey

# ---- Connects prepared nodes into a plan by a graph's wires, with latency compensation at each node

MAX_LATENCY_SECONDS = 10.0
"""Longest latency of a path through a graph; it bounds the memory of delay lines."""


class Wiring:
    """Connects the hosts of one plan; it is used once."""

    def __init__(
        self,
        graph: Graph,
        hosts: Mapping[int, NodeHost],
        spec: StreamSpec,
        ids: Mapping[str, int],
        back: Collection[Wire],
    ) -> None:
        """Creates the output buffers of all nodes; `back`: wires that close a cycle, by `graph.order`."""
        self._graph, self._hosts, self._spec, self._ids, self._back = graph, hosts, spec, ids, back
        self._source = np.zeros((spec.channels, spec.block), np.float32)
        self._played = np.zeros_like(self._source)
        self._buffers: dict[End, Samples] = {End(IN, IN): self._source, End(OUT, OUT): self._played}
        self._events: dict[End, tuple[list[Event], int]] = {}
        self._ios: dict[str, IO] = {}
        self._lag: dict[str, int] = {IN: 0, OUT: 0}
        self._lines: dict[WireKey, DelayLine] = {}
        self._feedbacks: dict[WireKey, FeedbackDelay] = {}
        for node in graph.nodes:
            self._lay_out(node.name, hosts[ids[node.name]])

    def _lay_out(self, name: str, host: NodeHost) -> None:
        io = self._ios[name] = IO((), (), host.by_name, BlockTime())
        for port, out in zip(_signals(host.info.outputs), host.outs, strict=True):
            self._buffers[End(name, port.name)] = out
        for port in host.info.outputs:
            if port.kind == "events":
                self._events[End(name, port.name)] = io.events_out, port.midi

    def plan(self, names: Iterable[str]) -> Plan:
        """Builds the plan of nodes in this order; `PatchError` where a latency exceeds `MAX_LATENCY_SECONDS`."""
        steps = [self._step(name) for name in names]
        arriving = {port: self._sources_of(End(OUT, port)) for port in (OUT, *BUSES)}
        latency = self._latest(end for port, ends in arriving.items() if port != CUE for end in ends)
        lines: list[DelayLine] = []
        last = self._mix(arriving[OUT], End(OUT, OUT), self._spec.channels, latency, lines)
        # the cue is not latency-compensated: monitoring is as early as possible
        buses = tuple(
            self._mix(arriving[bus], End(OUT, bus), 2, self._latest(arriving[bus]) if bus == CUE else latency, lines)
            for bus in BUSES
        )
        heard = any(wire.source.node == OUT for wire in self._graph.wires)
        strips = {self._strip_of_signal(end): sound for end, sound in self._strips(arriving[OUT], last, steps)}
        return Plan(
            self._spec, self._graph, self._hosts, latency, self._source, last.buffer, steps, last, tuple(lines),
            tuple(self._feedbacks.values()), buses=buses, played=self._played if heard else None,
            strips={name: (number, sound) for (name, number), sound in strips.items()},
            _lines=self._lines, _back=self._feedbacks,
        )  # fmt: skip

    def _strips(self, ends: Sequence[End], mix: InputMix, steps: Iterable[NodeStep]) -> list[tuple[End, Samples]]:
        """The signals of the mix: what is wired to the output; where all passes one node, what that node mixes."""
        before = {step.host.name: step for step in steps}
        at, its = ends, mix
        while len(at) == 1 and (step := before.get(at[0].node)) is not None:
            mixes = [one for one in step.gathers[: len(step.ins)] if one.sources]
            if len(mixes) != 1:
                break
            its = mixes[0]
            at = self._sources_of(End(at[0].node, step.input_names[step.gathers.index(its)]))
            if len(at) > 1:
                return list(zip(at, its.sources, strict=False))
        return list(zip(ends, mix.sources, strict=False))

    def _strip_of_signal(self, end: End) -> tuple[str, int]:
        """Name and number of a signal's strip in the output: its node's, and for a further port the port's own."""
        if end.node not in self._ids:
            return end.node, MIXED
        number = self._ids[end.node]
        place = [port.name for port in _signals(self._hosts[number].info.outputs)].index(end.port)
        return (f"{end.node}.{end.port}" if place else end.node), MIXED + number + place * PORT

    def _step(self, name: str) -> NodeStep:
        host = self._hosts[self._ids[name]]
        ports = _signals(host.info.inputs)
        modulated = _modulated(self._graph, name, host.info)
        channels = {port.name: port.channels or self._spec.channels for port in ports} | dict.fromkeys(modulated, 1)
        sources = {inlet: self._sources_of(End(name, inlet)) for inlet in channels}
        at = self._latest(end for ends in sources.values() for end in ends)
        lag = at + host.latency
        # stores a node's output latency relative to the plan's input, in frames
        rate = self._spec.rate
        if lag > MAX_LATENCY_SECONDS * rate:
            raise PatchError(f"{name} would lag by {lag / rate:.1f} s; at most {MAX_LATENCY_SECONDS:g} s")
        self._lag[name] = lag
        lines: list[DelayLine] = []
        # a node that shortens its delay, because it closes a cycle, gets its other inputs as late as the cycle's
        mixes = tuple(
            self._mix(ends, End(name, inlet), channels[inlet], at + host.feedback, lines)
            for inlet, ends in sources.items()
        )
        moves = tuple(
            Modulation(host.by_name[param], mix.buffer, self._spec.rate)
            for param, mix in zip(modulated, mixes[len(ports) :], strict=True)
        )
        return NodeStep(
            host, mixes, tuple(lines), self._ios[name], [mix.view for mix in mixes[: len(ports)]], list(host.outs),
            self._notes(name), moves, self._nodes_needed_by(name), tuple(sources),
        )  # fmt: skip

    def _sources_of(self, dest: End) -> list[End]:
        """The signal outputs that are wired to `dest`, without wires that close a cycle."""
        return [
            wire.source
            for wire in self._graph.wires
            if wire.dest == dest and wire not in self._back and wire.source in self._buffers
        ]

    def _latest(self, ends: Iterable[End]) -> int:
        return max((self._lag[end.node] for end in ends), default=0)

    def _mix(self, sources: Sequence[End], dest: End, channels: int, to: int, lines: list[DelayLine]) -> InputMix:
        """Mixes the sources at one input, each delayed to a latency of `to` frames; new delay lines go to `lines`."""
        buffers: list[Samples] = []
        keys: list[SourceKey] = []
        for end in sources:
            extra = to - self._lag[end.node]
            keys.append((self._ids.get(end.node, 0), end.port, max(0, extra)))
            if extra > 0:
                line = self._lines[self._key(end, dest, extra)] = DelayLine(self._sound(end, dest), extra)
                lines.append(line)
                buffers.append(line.out)
            else:
                buffers.append(self._sound(end, dest))
        for wire in self._graph.wires:
            if wire in self._back and wire.dest == dest:
                loop = self._feedbacks[self._key(wire.source, dest, 0)] = FeedbackDelay(self._buffers[wire.source])
                buffers.append(loop.out)
                keys.append((self._ids[wire.source.node], wire.source.port, -1))
        return InputMix(buffers, channels, self._spec.block, keys)

    def _sound(self, source: End, dest: End) -> Samples:
        """Source buffer of a wire; for the cue, a node's first output before its mute."""
        buffer = self._buffers[source]
        if dest == End(OUT, CUE) and source.node in self._ids:
            host = self._hosts[self._ids[source.node]]
            if buffer is host.outs[0]:
                if host.unmuted is None:
                    host.unmuted = np.zeros_like(buffer)
                return host.unmuted
        return buffer

    def _key(self, source: End, dest: End, extra: int) -> WireKey:
        ids, channels = self._ids, self._buffers[source].shape[0]
        return ids.get(source.node, 0), source.port, ids.get(dest.node, 0), dest.port, extra, channels

    def _notes(self, name: str) -> tuple[NoteWire, ...]:
        return tuple(
            NoteWire((self._ids[wire.source.node], wire.source.port), *self._events[wire.source])
            for wire in self._graph.wires
            if wire.dest.node == name and wire.source in self._events
        )

    def _nodes_needed_by(self, name: str) -> frozenset[int]:
        """Nodes whose output of the same block a node depends on, by number."""
        return frozenset(
            self._ids[wire.source.node]
            for wire in self._graph.wires
            if wire.dest.node == name and wire.source.node in self._ids and wire not in self._back
        )


def _signals(ports: Iterable[Port]) -> list[Port]:
    return [port for port in ports if port.signal]


def _modulated(graph: Graph, name: str, info: ProcessorInfo) -> list[str]:
    ends = {wire.dest.port for wire in graph.wires if wire.dest.node == name}
    return [p.name for p in info.cells if p.name in ends and info.port(p.name, "in") is None]


_NONE: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PlanOutline:
    """A checked graph in the order in which its nodes run."""

    graph: Graph
    catalog: Catalog
    ids: Mapping[str, int]
    old: Plan | None  # the plan that this one follows, or None
    names: Sequence[str]
    back: Collection[Wire]
    cyclic: frozenset[str]
    reused: Mapping[int, NodeHost]  # the hosts of `old`, by number, that the plan uses again


def outline_plan(graph: Graph, catalog: Catalog, ids: Mapping[str, int], old: Plan | None) -> PlanOutline:
    """The outline of a plan for `graph` to follow `old`. Raises PatchError for an invalid graph."""
    check(graph, catalog)
    names, back = order(graph, catalog)
    cyclic = frozenset(wire.dest.node for wire in back)
    reused = {}
    for node in graph.nodes:
        host = old.hosts.get(ids[node.name]) if old is not None else None
        info = catalog[node.type]
        same = host is not None and (host.info.type, host.info.version) == (info.type, info.version)
        if same and host is not None and host.is_reusable_with(node.values, cyclic=node.name in cyclic):
            reused[host.number] = host
    return PlanOutline(graph, catalog, ids, old, names, back, cyclic, reused)


def build_plan(
    outline: PlanOutline,
    make: Callable[[str], Processor],
    spec: StreamSpec,
    unprepared: Mapping[int, str] = _NONE,
    begin: Callable[[int, NodeSpec], None] = lambda _number, _node: None,
) -> Plan:
    """Prepares the nodes of an outline that are new, and connects all.

    `unprepared`: reasons by number of nodes that must not be prepared. They have failed from the start, unless they are
    taken from the previous plan. Raises NodeError: a processor's `prepare` raised an error.
    """
    old, hosts = outline.old, dict[int, NodeHost]()
    try:
        for name in outline.names:
            node, number = outline.graph.node(name), outline.ids[name]
            info = outline.catalog[node.type]
            if number in outline.reused:
                hosts[number] = outline.reused[number]
            elif number in unprepared:
                hosts[number] = _failed(number, name, info, spec, node.values, unprepared[number])
            else:
                begin(number, node)
                hosts[number] = _host(number, name, info, make, spec, node.values, cyclic=name in outline.cyclic)
        plan = Wiring(outline.graph, hosts, spec, outline.ids, outline.back).plan(outline.names)
        if old is not None:
            before = {host.name: host for host in old.hosts.values()}
            found = tuple(
                (host, before[host.name]) for host in hosts.values() if is_new_version_of(host, before.get(host.name))
            )
            for host, last in found:
                if not host.prepare_fault and not last.failed:
                    check_state_transfer(host, last)
            plan.successions = found
            plan.crossing = PlanCrossfade(old, plan)
    except BaseException:
        close_hosts(hosts.values(), {} if old is None else old.hosts)
        raise
    return plan


def compile_plan(
    graph: Graph,
    catalog: Catalog,
    make: Callable[[str], Processor],
    spec: StreamSpec,
    ids: Mapping[str, int],
    old: Plan | None = None,
    unprepared: Mapping[int, str] = _NONE,
) -> Plan:
    """Compiles a plan for `graph`, with processors and state of `old`'s equal nodes. Errors as for `build_plan`."""
    return build_plan(outline_plan(graph, catalog, ids, old), make, spec, unprepared)


def close_hosts(
    hosts: Iterable[NodeHost], in_use: Mapping[int, NodeHost], begin: Callable[[NodeHost], None] | None = None
) -> None:
    """Closes the processors of hosts. Off the block path; an error of a processor is printed."""
    for host in hosts:
        if in_use.get(host.number) is not host:
            if begin is not None:
                begin(host)
            _close(host.processor, host.name, host.info.type)


def _close(processor: Processor, name: str, kind: str) -> None:
    """Closes a processor; its error is printed, so that the others are closed too."""
    try:
        processor.close()
    except (Exception, SystemExit) as error:
        print(f"antiphon: {name} ({kind}) would not close: {sentence(error)}", file=sys.stderr, flush=True)


def _failed(
    number: int, name: str, info: ProcessorInfo, spec: StreamSpec, values: Mapping[str, object], reason: str
) -> NodeHost:
    host = NodeHost(number, name, info, ProcessorRunner(UnpreparedProcessor(), spec.rate), spec, info.checked(values))
    host.mark_failed(reason)
    return host


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
    cells = info.by_name
    checked = info.checked(values)
    processor: Processor | None = None
    try:
        processor = make(info.type)
        for key, value in checked.items():
            if key in processor.settings or cells[key].restart:  # those of a variant are not the class's
                processor.settings[key] = locate_asset(str(value)) if cells[key].kind == "file" else value
        processor = adapt(processor, spec)  # the rate it needs may be that of a file among its settings
        processor.node = number
        feedback = spec.block if cyclic and processor.compensates else 0
        runner = ProcessorRunner(processor, spec.rate)
        runner.prepare(replace(spec, feedback=feedback))
    except (Exception, SystemExit) as error:
        if processor is not None:
            _close(processor, name, info.type)
        raise NodeError(f"{name} ({info.type}) would not prepare: {sentence(error)}", name) from error
    return NodeHost(number, name, info, runner, spec, checked, feedback)
