"""A graph compiled into a plan: its nodes are prepared, or kept from the plan before; `wiring` joins them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from antiphon.contract.block import StreamSpec
from antiphon.contract.catalog import Catalog, ProcessorInfo
from antiphon.contract.params import Value
from antiphon.contract.processor import Processor
from antiphon.contract.runner import ProcessorRunner
from antiphon.errors import NodeError, sentence
from antiphon.graph.asset_names import located
from antiphon.graph.graph import Graph, NodeSpec, check, order
from antiphon.graph.node_host import NodeHost, Unprepared
from antiphon.graph.plan import Plan
from antiphon.graph.plan_crossfade import PlanCrossfade
from antiphon.graph.rate_adapter import adapt
from antiphon.graph.wiring import Wiring

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
    kept = keeping(graph, catalog, ids, old)
    names, back = order(graph, catalog)
    cyclic = {wire.dest.node for wire in back}
    hosts: dict[int, NodeHost] = {}
    try:
        for name in names:
            node, number = graph.node(name), ids[name]
            info = catalog[node.type]
            if number in kept:
                hosts[number] = kept[number]
            elif number in unprepared:
                hosts[number] = _failed(number, name, info, spec, node.values, unprepared[number])
            else:
                if begin is not None:
                    begin(number, node)
                hosts[number] = _host(number, name, info, make, spec, node.values, cyclic=name in cyclic)
        plan = Wiring(graph, hosts, spec, ids, back).plan(names)
        if old is not None:
            plan.crossing = PlanCrossfade(old, plan)
    except BaseException:
        close_hosts(hosts.values(), {} if old is None else old.hosts)
        raise
    return plan


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


def _checked(info: ProcessorInfo, values: Mapping[str, object]) -> dict[str, Value]:
    cells = {p.name: p for p in info.cells}
    return {key: cells[key].check(value) for key, value in values.items()}


def _failed(
    number: int, name: str, info: ProcessorInfo, spec: StreamSpec, values: Mapping[str, object], reason: str
) -> NodeHost:
    """A node that has failed before its first block."""
    host = NodeHost(number, name, info, ProcessorRunner(Unprepared(), spec.rate), spec, _checked(info, values))
    host.stand_aside(reason)
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
