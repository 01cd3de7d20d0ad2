"""A graph compiled into a plan: nodes prepared or kept, wires aligned, cycles closed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from antiphon.contract.block import Samples, StreamSpec
from antiphon.contract.catalog import Catalog, ProcessorInfo
from antiphon.contract.params import Value
from antiphon.contract.processor import IO, BlockTime, Event, Processor
from antiphon.contract.runner import ProcessorRunner
from antiphon.errors import NodeError, PatchError, sentence
from antiphon.graph.asset_names import located
from antiphon.graph.graph import IN, OUT, End, Graph, NodeSpec, check, order
from antiphon.graph.modulation import Modulation
from antiphon.graph.node_host import NodeHost, Unprepared
from antiphon.graph.plan import DelayLine, FeedbackDelay, InputMix, NoteWire, Plan, SourceKey, Step, WireKey
from antiphon.graph.plan_crossfade import PlanCrossfade
from antiphon.graph.rate_adapter import adapt

MAX_LATENCY_SECONDS = 10.0
_NONE: Mapping[int, str] = MappingProxyType({})


def compile_plan(
    graph: Graph,
    catalog: Catalog,
    make: Callable[[str], Processor],
    spec: StreamSpec,
    ids: Mapping[str, int],
    old: Plan | None = None,
    unprepared: Mapping[int, str] = _NONE,
    begin: Callable[[int, NodeSpec], None] | None = None,
) -> Plan:
    """A plan for `graph`. Nodes whose number `old` holds, of the same type, keep their processor and state.

    Args:
        unprepared: By number, nodes that are not prepared, and why: they have failed from the start. What `old`
            holds is kept all the same.
        begin: Called before each node that is made and prepared, with its number.

    Raises:
        PatchError: The graph makes no sense.
        NodeError: A processor would not prepare.
    """
    hosts: dict[int, NodeHost] = {}
    try:
        return _compile(graph, catalog, make, spec, ids, old, hosts, unprepared, begin)
    except BaseException:
        close_hosts(hosts.values(), {} if old is None else old.hosts)
        raise


def keeping(graph: Graph, catalog: Catalog, ids: Mapping[str, int], old: Plan | None) -> dict[int, NodeHost]:
    """Those hosts of `old`, by number, that a plan for `graph` goes on with.

    Raises PatchError (the graph makes no sense).
    """
    check(graph, catalog)
    _, back = order(graph, catalog)
    cyclic = {wire.dest.node for wire in back}
    found = {}
    for node in graph.nodes:
        kept = old.hosts.get(ids[node.name]) if old is not None else None
        if kept is not None and kept.info.type == node.type and kept.settled(node.values, cyclic=node.name in cyclic):
            found[kept.number] = kept
    return found


def close_hosts(
    hosts: Iterable[NodeHost], kept: Mapping[int, NodeHost], begin: Callable[[NodeHost], None] | None = None
) -> None:
    """Gives back what processors hold, but for those that `kept` holds too. Off the block path.

    begin: called before each.
    """
    for host in hosts:
        if kept.get(host.number) is not host:
            if begin is not None:
                begin(host)
            _close(host.processor, host.name, host.info.type)


def _close(processor: Processor, name: str, kind: str) -> None:
    """One that raises keeps nothing from the others: it is said."""
    try:
        processor.close()
    except (Exception, SystemExit) as error:
        said = f"antiphon: {name} ({kind}) would not close: {sentence(error)}"
        print(said, file=sys.stderr, flush=True)


def _compile(
    graph: Graph,
    catalog: Catalog,
    make: Callable[[str], Processor],
    spec: StreamSpec,
    ids: Mapping[str, int],
    old: Plan | None,
    hosts: dict[int, NodeHost],
    unprepared: Mapping[int, str],
    begin: Callable[[int, NodeSpec], None] | None,
) -> Plan:
    kept = keeping(graph, catalog, ids, old)
    names, back = order(graph, catalog)
    cyclic = {wire.dest.node for wire in back}
    for name in names:
        node, number = graph.node(name), ids[name]
        info = catalog[node.type]
        if number in kept:
            hosts[number] = kept[number]
        elif number in unprepared:
            runner = ProcessorRunner(Unprepared(), spec.rate)
            hosts[number] = NodeHost(number, name, info, runner, spec, _checked(info, node.values))
            hosts[number].stand_aside(unprepared[number])
        else:
            if begin is not None:
                begin(number, node)
            hosts[number] = _host(number, name, info, make, spec, node.values, cyclic=name in cyclic)
    source = np.zeros((spec.channels, spec.block), np.float32)
    buffers: dict[End, Samples] = {End(IN, IN): source}
    events: dict[End, list[Event]] = {}
    ios: dict[str, IO] = {}
    for name in names:
        host = hosts[ids[name]]
        ports = [p for p in host.info.outputs if p.signal]
        for port, out in zip(ports, host.outs, strict=True):
            buffers[End(name, port.name)] = out
        ios[name] = IO((), (), host.by_name, BlockTime())
        for port in host.info.outputs:
            if port.kind == "events":
                events[End(name, port.name)] = ios[name].events_out
    lag: dict[str, int] = {IN: 0}
    feedbacks: list[FeedbackDelay] = []
    steps: list[Step] = []

    def arriving(dest: End) -> list[End]:
        return [w.source for w in graph.wires if w.dest == dest and w not in back and w.source in buffers]

    every: dict[WireKey, DelayLine] = {}
    around: dict[WireKey, FeedbackDelay] = {}

    def key(source: End, dest: End, extra: int) -> WireKey:
        return (
            ids.get(source.node, 0), source.port, ids.get(dest.node, 0), dest.port, extra, buffers[source].shape[0]
        )  # fmt: skip

    def aligned(sources: list[End], dest: End, to: int, lines: list[DelayLine], keys: set[SourceKey]) -> list[Samples]:
        found = []
        for end in sources:
            extra = to - lag[end.node]
            keys.add((ids.get(end.node, 0), end.port, max(0, extra)))
            if extra > 0:
                line = every[key(end, dest, extra)] = DelayLine(buffers[end], extra)
                lines.append(line)
                found.append(line.out)
            else:
                found.append(buffers[end])
        return found

    for name in names:
        host = hosts[ids[name]]
        ports = [p for p in host.info.inputs if p.signal]
        moved = _moved(graph, name, host.info)
        into = {port: arriving(End(name, port)) for port in (*(p.name for p in ports), *moved)}
        at = max((lag[e.node] for ends in into.values() for e in ends), default=0)
        lag[name] = at + host.latency
        if lag[name] > MAX_LATENCY_SECONDS * spec.rate:
            raise PatchError(f"{name} would lag by {lag[name] / spec.rate:.1f} s; at most {MAX_LATENCY_SECONDS:g} s")
        lines: list[DelayLine] = []
        gathers = []
        for port_name, channels in (*((p.name, p.channels or spec.channels) for p in ports), *((m, 1) for m in moved)):
            end = End(name, port_name)
            # a node that shortens its line for the cycle's sake gets everything else as late as the cycle
            keys: set[SourceKey] = set()
            found = aligned(into[port_name], end, at + host.feedback, lines, keys)
            for wire in graph.wires:
                if wire in back and wire.dest == end:
                    loop = FeedbackDelay(buffers[wire.source])
                    feedbacks.append(loop)
                    around[key(wire.source, wire.dest, 0)] = loop
                    found.append(loop.out)
                    keys.add((ids[wire.source.node], wire.source.port, -1))
            gathers.append(InputMix(found, channels, spec.block, frozenset(keys)))
        notes = tuple(
            NoteWire((ids[w.source.node], w.source.port), events[w.source])
            for w in graph.wires
            if w.dest.node == name and w.source in events
        )
        hears = frozenset(
            ids[w.source.node] for w in graph.wires if w.dest.node == name and w.source.node in ids and w not in back
        )
        io = ios[name]
        ins = [g.view for g in gathers[: len(ports)]]
        moves = tuple(
            Modulation(host.by_name[param], gather.buffer, spec.rate)
            for param, gather in zip(moved, gathers[len(ports) :], strict=True)
        )
        steps.append(
            Step(host, tuple(gathers), tuple(lines), io, ins, list(host.outs), notes, moves, hears, tuple(into))
        )
    ends = arriving(End(OUT, OUT))
    latency = max((lag[e.node] for e in ends), default=0)
    out_lines: list[DelayLine] = []
    last_keys: set[SourceKey] = set()
    sources = aligned(ends, End(OUT, OUT), latency, out_lines, last_keys)
    last = InputMix(sources, spec.channels, spec.block, frozenset(last_keys))
    plan = Plan(
        spec, graph, hosts, latency, source, last.buffer, steps, last, tuple(out_lines), tuple(feedbacks),
        _lines=every, _back=around,
    )  # fmt: skip
    if old is not None:
        plan.crossing = PlanCrossfade(old, plan)
    return plan


def _checked(info: ProcessorInfo, values: Mapping[str, object]) -> dict[str, Value]:
    cells = {p.name: p for p in info.cells}
    return {key: cells[key].check(value) for key, value in values.items()}


def _moved(graph: Graph, name: str, info: ProcessorInfo) -> list[str]:
    """The parameters of a node that control wires end in, in declared order."""
    ends = {wire.dest.port for wire in graph.wires if wire.dest.node == name}
    return [p.name for p in info.cells if p.name in ends and info.port(p.name, "in") is None]


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
    checked = _checked(info, values)
    processor: Processor | None = None
    try:
        processor = adapt(make(info.type), spec)
        processor.node = number
        for key, value in checked.items():
            if key in processor.settings:
                processor.settings[key] = located(str(value)) if cells[key].kind == "file" else value
        feedback = spec.block if cyclic and processor.compensates else 0
        runner = ProcessorRunner(processor, spec.rate)
        runner.prepare(replace(spec, feedback=feedback))
    except (Exception, SystemExit) as error:
        if processor is not None:
            _close(processor, name, info.type)
        raise NodeError(f"{name} ({info.type}) would not prepare: {sentence(error)}", name) from error
    return NodeHost(number, name, info, runner, spec, checked, feedback)
