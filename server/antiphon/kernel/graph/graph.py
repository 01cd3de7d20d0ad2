"""Patch's nodes and wires as frozen data, checked against the catalog; `IN` and `OUT` are the graph's own ends.

A wire from `OUT` carries the previous block's output, after the limiter: the reference of an echo canceller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Value, suggest_parameters
from antiphon.kernel.errors import ParamError, PatchError
from antiphon.kernel.graph.macros import Macro, macros_from_json, macros_to_json, without_node
from antiphon.kernel.graph.names import (
    BUSES,
    CANCELLER,
    CUE,
    GUARD,
    IN as IN,
    NAME as NAME,
    OUT as OUT,
    PAIRS,
    RESERVED as RESERVED,
)
from antiphon.kernel.runtime.extras import advice
from antiphon.kernel.runtime.suggestion import instead

MAX_NODES = 512
MAX_WIRES = 2048


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node: its name, its processor type, and its non-default parameter values."""

    name: str
    type: str
    values: Mapping[str, Value] = field(default_factory=dict)


def _drop_rejected_values(node: NodeSpec, info: ProcessorInfo | None) -> NodeSpec:
    cells = {} if info is None else info.by_name
    values = {k: v for k, v in node.values.items() if k in cells and cells[k].takes(v)}
    return node if len(values) == len(node.values) else replace(node, values=values)


@dataclass(frozen=True, slots=True)
class End:
    """One end of a wire: a node (or `IN`, `OUT`) and a port."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}.{self.port}"


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection from an output to an input or to a parameter."""

    source: End
    dest: End


@dataclass(frozen=True)
class Graph:
    """Nodes in patch order, wires, and macros (which no plan contains)."""

    nodes: tuple[NodeSpec, ...] = ()
    wires: tuple[Wire, ...] = ()
    macros: tuple[Macro, ...] = ()

    @cached_property
    def _by_name(self) -> Mapping[str, NodeSpec]:
        return {node.name: node for node in self.nodes}

    def node(self, name: str) -> NodeSpec:
        """The node of that name. Raises PatchError, which lists the nodes, when there is none."""
        if name not in self._by_name:
            raise PatchError(f"there is no node {name!r}{instead(name, self._by_name, 'the nodes are')}")
        return self._by_name[name]

    def without_rejected_values(self, catalog: Catalog) -> Graph:
        """The graph without parameter values that the catalog's version of a type rejects."""
        return replace(self, nodes=tuple(_drop_rejected_values(node, catalog.get(node.type)) for node in self.nodes))

    def with_nodes_of(self, other: Graph) -> Graph:
        """The graph with the other's values of nodes that have the same name and type in both."""
        there = {(node.name, node.type): node for node in other.nodes}
        return replace(self, nodes=tuple(there.get((node.name, node.type), node) for node in self.nodes))

    def has(self, name: str) -> bool:
        """True if the graph contains a node of that name."""
        return name in self._by_name

    def add(self, node: NodeSpec, catalog: Catalog, after: str | None = None) -> Graph:
        """Returns the graph with `node`, which takes over the outgoing audio wires of `after`; without `after` it gets
        no wires.

        The output of a node without audio inputs, an instrument, is mixed into the destinations of those wires.
        """
        check_name(node.name)
        if self.has(node.name):
            raise PatchError(f"there is a node {node.name!r} already; choose another name")
        if len(self.nodes) >= MAX_NODES:
            raise PatchError(f"a patch holds at most {MAX_NODES} nodes")
        info = known_type(node.type, catalog)
        if after is None:
            return replace(self, nodes=(*self.nodes, node))
        place = 0 if after == IN else self.nodes.index(self.node(after)) + 1
        into, out_of = info.first("audio", "in"), info.first("audio", "out")
        wires: list[Wire] = list(self.wires)
        source = self._audio_source(after, catalog)
        if out_of is not None and source is not None:
            outgoing = [w for w in wires if w.source == source]
            if into is not None:
                wires = [w for w in wires if w.source != source]
                wires.append(Wire(source, End(node.name, into.name)))
            wires += [Wire(End(node.name, out_of.name), w.dest) for w in outgoing]
        nodes = (*self.nodes[:place], node, *self.nodes[place:])
        return replace(self, nodes=nodes, wires=tuple(wires))

    def remove(self, name: str, catalog: Catalog) -> Graph:
        """Returns the graph without a node: the sources of its first audio input feed its first output's destinations.

        A wire that closes a cycle through the node is removed with it, since the cycle may lack a delay without it.
        Raises PatchError when there is no such node.
        """
        node = self.node(name)
        info = known_type(node.type, catalog)
        into, out_of = info.first("audio", "in"), info.first("audio", "out")
        wires = [w for w in self.wires if name not in (w.source.node, w.dest.node)]
        if into is not None and out_of is not None:
            back = order(self, catalog)[1]
            feeding = [w.source for w in self.wires if w.dest == End(name, into.name) and w not in back]
            fed = [w.dest for w in self.wires if w.source == End(name, out_of.name) and w.dest.node != name]
            fed = [dest for dest in fed if dest != End(OUT, CUE)]  # it was this node that was listened to
            bridge = [Wire(a, b) for a in feeding for b in fed]
            wires += [w for w in bridge if w not in wires]
        nodes = tuple(n for n in self.nodes if n.name != name)
        return Graph(nodes, tuple(wires), without_node(self.macros, name))

    def move(self, name: str, after: str, catalog: Catalog) -> Graph:
        """Returns the graph with a node removed and added again after the node `after`, or after `IN`."""
        if name == after:
            raise PatchError(f"{name} cannot be moved behind itself")
        node = self.node(name)
        if after != IN:
            self.node(after)
        return replace(self.remove(name, catalog).add(node, catalog, after), macros=self.macros)

    def connect(self, source: End, dest: End, catalog: Catalog) -> Graph:
        """Returns the graph with a wire added. Raises PatchError when the graph is not valid with it."""
        wire = Wire(source, dest)
        if wire in self.wires:
            return self
        grown = replace(self, wires=(*self.wires, wire))
        check(grown, catalog)
        return grown

    def disconnect(self, source: End, dest: End) -> Graph:
        """Returns the graph without a wire. Raises PatchError when there is no such wire."""
        wire = Wire(source, dest)
        if wire not in self.wires:
            raise PatchError(f"there is no wire from {source} to {dest}")
        return replace(self, wires=tuple(w for w in self.wires if w != wire))

    def end(self, text: str, side: str, catalog: Catalog, like: str = "audio") -> End:
        """Wire end from "node.port" or "node" (first of kind `like`, else first); `side` "out" or "in"."""
        name, _, port = text.partition(".")
        if (name == IN and side == "out") or (name == OUT and side == "in"):
            if name == OUT and port in BUSES:
                return End(OUT, port)
            if port not in ("", name):
                others = f", or out.{PAIRS[0]} to out.{PAIRS[-1]}, or out.{CUE}" if name == OUT else ""
                raise PatchError(f"{name} has one port; write {name!r}{others}, not {text!r}")
            return End(name, name)
        if name == OUT:
            if port not in ("", name):
                raise PatchError(f"{name} gives one sound, what was played; write {name!r}, not {text!r}")
            return End(name, name)
        if name == IN:
            raise PatchError(f"{name!r} cannot be the end of a wire")
        info = known_type(self.node(name).type, catalog)
        if port:
            chosen = info.port(port, side)
            if chosen is None and (side == "out" or info.moved(port) is None):
                targets = [p.name for p in info.cells if p.glides] if side == "in" else []
                also = f"; a control can move: {', '.join(targets)}" if targets else ""
                there = instead(port, [p.name for p in (info.inputs if side == "in" else info.outputs)], "it has")
                raise PatchError(f"{name} has no {side}put port {port!r}{there}{also}")
            return End(name, port)
        ports = info.inputs if side == "in" else info.outputs
        chosen = info.first(like, side) or (ports[0] if ports else None)
        if chosen is None:
            raise PatchError(f"{name} has no {side}put ports")
        return End(name, chosen.name)

    def beside_loudspeakers(self, catalog: Catalog, delay: float = 0.0) -> Graph:
        """The graph with a canceller of the played sound between the input and all nodes it feeds.

        `delay`: of the loudspeakers, ms, where it is known; one outside the canceller's range is left out.

        The unchanged graph where the input's sound is played, which would be taken for its own echo, where the input
        feeds no node, or where the graph is full, has a canceller, or no such type is installed.
        """
        if OUT in self._reached_by_input(catalog):
            return self
        info = catalog.get(CANCELLER)
        ports = [] if info is None else [port.name for port in info.inputs if port.kind == "audio"]
        taken = self.has(CANCELLER) or any(node.type == CANCELLER for node in self.nodes)
        full = len(self.nodes) >= MAX_NODES or len(self.wires) + 2 > MAX_WIRES
        feeds = any(wire.source.node == IN for wire in self.wires)
        if len(ports) < 2 or taken or full or not feeds:
            return self
        known = any(param.name == "delay" and 0.0 < delay <= param.high for param in info.params) if info else False
        graph = self.add(NodeSpec(CANCELLER, CANCELLER, {"delay": delay} if known else {}), catalog, IN)
        return graph.connect(End(OUT, OUT), End(CANCELLER, ports[1]), catalog)

    def guard_input(self, catalog: Catalog) -> Graph:
        """The graph with a guard between the input and all it feeds but a canceller, if the input's sound is played."""
        info = catalog.get(GUARD)
        heard, played = ([port.name for port in ports] for ports in ((info.inputs, info.outputs) if info else ((), ())))
        types = {node.name: node.type for node in self.nodes}
        passing = {w for w in self.wires if w.source.node == IN and types.get(w.dest.node) not in (CANCELLER, GUARD)}
        added = types.get(GUARD) is None
        full = len(self.nodes) + added > MAX_NODES or len(self.wires) + 2 * added > MAX_WIRES
        if len(heard) < 2 or types.get(GUARD, GUARD) != GUARD or full or not passing:
            return self
        if OUT not in self._reached_by_input(catalog):
            return self
        kept = [replace(w, source=End(GUARD, played[0])) if w in passing else w for w in self.wires]
        first = [Wire(End(IN, IN), End(GUARD, heard[0])), Wire(End(OUT, OUT), End(GUARD, heard[1]))] if added else []
        nodes = (NodeSpec(GUARD, GUARD), *self.nodes) if added else self.nodes
        grown = replace(self, nodes=nodes, wires=(*first, *kept))
        check(grown, catalog)
        return grown

    def _reached_by_input(self, catalog: Catalog) -> set[str]:
        """Names of the nodes that the input's sound goes through."""
        sound = [
            (wire.source.node, wire.dest.node)
            for wire in self.wires
            if _kind(self, wire.source, "out", catalog) == _kind(self, wire.dest, "in", catalog) == "audio"
        ]
        found = {IN}
        while more := {dest for source, dest in sound if source in found} - found:
            found |= more
        return found

    def _audio_source(self, name: str, catalog: Catalog) -> End | None:
        if name == IN:
            return End(IN, IN)
        port = known_type(self.node(name).type, catalog).first("audio", "out")
        return End(name, port.name) if port is not None else None

    def to_json(self) -> dict[str, Any]:
        """The graph as JSON data, for `from_json`."""
        return {
            "nodes": [{"name": n.name, "type": n.type, "values": dict(n.values)} for n in self.nodes],
            "wires": [[str(w.source), str(w.dest)] for w in self.wires],
            **({"macros": macros_to_json(self.macros)} if self.macros else {}),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Graph:
        """The graph that `to_json` wrote; it is not checked."""
        nodes = tuple(NodeSpec(n["name"], n["type"], n["values"]) for n in data["nodes"])
        wires = tuple(Wire(_end(a), _end(b)) for a, b in data["wires"])
        return Graph(nodes, wires, macros_from_json(data.get("macros", {})))


def check_name(name: str) -> None:
    """Raises PatchError for a name that a node cannot have."""
    if name in RESERVED:
        raise PatchError(f"{name!r} is a reserved name; choose another")
    if not NAME.fullmatch(name):
        raise PatchError(f"{name!r} is not a node name: letters, digits, _ and -, a letter first, at most 64")


def known_type(name: str, catalog: Catalog) -> ProcessorInfo:
    """The declaration of a processor type. Raises PatchError when it is unknown or its plugin did not load."""
    info = catalog.get(name)
    if info is None:
        for failure in catalog.failures:
            if failure.name == name:
                raise PatchError(f"the plugin {name!r} did not load: {failure.reason}")
        raise PatchError(advice("node", name) or f"there is no processor type {name!r}{instead(name, sorted(catalog))}")
    return info


def in_series(nodes: Sequence[NodeSpec], catalog: Catalog) -> Graph:
    """The nodes in a row from the input to the output, by their first audio ports; a missing port has no wire."""
    wires, last = list[Wire](), End(IN, IN)
    for node in nodes:
        info = known_type(node.type, catalog)
        into, out = info.first("audio", "in"), info.first("audio", "out")
        wires += [Wire(last, End(node.name, into.name))] if into is not None else []
        last = End(node.name, out.name) if out is not None else last
    return Graph(tuple(nodes), (*wires, Wire(last, End(OUT, OUT))) if last.node != IN else tuple(wires))


def check(graph: Graph, catalog: Catalog) -> None:
    """Raises PatchError unless all nodes, values and wires are valid and every cycle contains a delay."""
    if len(graph.nodes) > MAX_NODES or len(graph.wires) > MAX_WIRES:
        raise PatchError(f"a patch holds at most {MAX_NODES} nodes and {MAX_WIRES} wires")
    names = set()
    for node in graph.nodes:
        check_name(node.name)
        if node.name in names:
            raise PatchError(f"there are two nodes named {node.name!r}")
        names.add(node.name)
        info = known_type(node.type, catalog)
        for key, value in node.values.items():
            if key not in info.by_name:
                raise PatchError(
                    f"{node.name} ({node.type}) has no parameter {key!r}{suggest_parameters(key, info.cells)}"
                )
            try:
                info.by_name[key].check(value)
            except ParamError as error:
                raise PatchError(f"{node.name}.{error}") from None
    for wire in graph.wires:
        source, dest = _kind(graph, wire.source, "out", catalog), _kind(graph, wire.dest, "in", catalog)
        if wire.source.node == wire.dest.node == OUT:
            raise PatchError(f"what was played cannot be played again: the wire {wire.source} to {wire.dest}")
        if source != dest:
            raise PatchError(f"{wire.source} carries {source} and {wire.dest} takes {dest}; they cannot be wired")
    order(graph, catalog)


def order(graph: Graph, catalog: Catalog) -> tuple[tuple[str, ...], frozenset[Wire]]:
    """Topological order, and the wires of cycles, delayed by a block; `PatchError` for a cycle without `holds`."""
    holding = {n.name for n in graph.nodes if known_type(n.type, catalog).holds}
    names = [n.name for n in graph.nodes]
    waiting: dict[str, set[str]] = {name: set() for name in names}
    for wire in graph.wires:
        if wire.source.node in waiting and wire.dest.node in waiting:
            waiting[wire.dest.node].add(wire.source.node)
    done: list[str] = []
    placed: set[str] = set()
    while len(done) < len(names):
        free = next((n for n in names if n not in placed and waiting[n] <= placed), None)
        if free is None:
            stuck = _first_cycle(next(n for n in names if n not in placed), waiting, placed)
            free = next((n for n in names if n in stuck and n in holding), None)
            if free is None:
                raise PatchError(f"the wires among {', '.join(sorted(stuck))} make a cycle; put a delay node into it")
        done.append(free)
        placed.add(free)
    place = {name: i for i, name in enumerate(done)}
    back = {
        w
        for w in graph.wires
        if w.source.node in place and w.dest.node in place and place[w.source.node] >= place[w.dest.node]
    }
    return tuple(done), frozenset(back)


def _first_cycle(name: str, waiting: Mapping[str, set[str]], placed: set[str]) -> set[str]:
    """A cycle upstream of `name`: nodes that feed each other and that no other unplaced node feeds."""
    fed: dict[str, set[str]] = {n: set() for n in waiting}
    for node, sources in waiting.items():
        for source in sources:
            fed[source].add(node)
    while True:
        before = _reach(name, waiting, placed)
        others = before - _reach(name, fed, placed) if name in before else before
        if not others:
            return before
        name = min(others)


def _reach(name: str, along: Mapping[str, set[str]], placed: set[str]) -> set[str]:
    """Nodes that can be reached from a node without placed ones; the node itself only through a cycle."""
    seen: set[str] = set()
    stack = list(along[name] - placed)
    while stack:
        at = stack.pop()
        if at not in seen:
            seen.add(at)
            stack.extend(along[at] - placed)
    return seen


def _kind(graph: Graph, end: End, side: str, catalog: Catalog) -> str:
    checked = graph.end(str(end), side, catalog)
    if checked.node in (IN, OUT):
        return "audio"
    port = known_type(graph.node(checked.node).type, catalog).port(checked.port, side)
    return "control" if port is None else port.kind


def _end(text: str) -> End:
    node, _, port = text.partition(".")
    return End(node, port)
