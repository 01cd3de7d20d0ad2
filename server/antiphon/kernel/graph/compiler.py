"""Compiles a graph into a plan: prepares its nodes or takes them from the previous plan; `wiring` connects them."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Value
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.contract.runner import ProcessorRunner
from antiphon.kernel.errors import NodeError, sentence
from antiphon.kernel.graph.clips import locate_asset
from antiphon.kernel.graph.graph import Graph, NodeSpec, Wire, check, order
from antiphon.kernel.graph.node_host import NodeHost, Unprepared
from antiphon.kernel.graph.plan import Plan, check_state_transfer, succeeds
from antiphon.kernel.graph.plan_crossfade import PlanCrossfade
from antiphon.kernel.graph.rate_adapter import adapt
from antiphon.kernel.graph.wiring import Wiring

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
        if same and host is not None and host.reusable(node.values, cyclic=node.name in cyclic):
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

    `unprepared`: nodes that must not be prepared: the reason by number. They have failed from the start, unless they
    are taken from the plan before. Raises NodeError: a processor's `prepare` raised an error.
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
            plan.successions = _successions(hosts, old)
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
    """A plan for `graph`, with processors and state of `old`'s equal nodes; `PatchError`, or as `build_plan`."""
    return build_plan(outline_plan(graph, catalog, ids, old), make, spec, unprepared)


def _successions(hosts: Mapping[int, NodeHost], old: Plan) -> tuple[tuple[NodeHost, NodeHost], ...]:
    before = {host.name: host for host in old.hosts.values()}
    found = tuple((host, before[host.name]) for host in hosts.values() if succeeds(host, before.get(host.name)))
    for host, last in found:
        if not host.unprepared and not last.failed:
            check_state_transfer(host, last)
    return found


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


def _checked(info: ProcessorInfo, values: Mapping[str, object]) -> dict[str, Value]:
    cells = {p.name: p for p in info.cells}
    return {key: cells[key].check(value) for key, value in values.items()}


def _failed(
    number: int, name: str, info: ProcessorInfo, spec: StreamSpec, values: Mapping[str, object], reason: str
) -> NodeHost:
    host = NodeHost(number, name, info, ProcessorRunner(Unprepared(), spec.rate), spec, _checked(info, values))
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
    cells = {p.name: p for p in info.cells}
    checked = _checked(info, values)
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
