"""The nodes and the graph's ends with their values, in an array of numbers that may outlive the process."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import ParamError, RequestError
from antiphon.kernel.graph.clock import BAR, EIGHTH, MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.graph.macros import MACRO_NUMBER, macro_info
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.actions import Changed
from antiphon.kernel.session.node_state import (
    BAR_AT,
    MACROS_AT,
    STEP,
    SWING,
    Node,
    Numbers,
    allocate_ranges,
    fits,
    have_equal_cells,
)


class NodeTable:
    """The graph, its nodes, and the values of their parameters.

    `panel`: the macros as the parameters of a node, by its name; empty where there are none.
    """

    def __init__(self, catalog: Catalog, numbers: Numbers) -> None:
        """An empty graph; `numbers` may hold a previous run's values."""
        self.catalog = catalog
        self.numbers = numbers  # at least `SLOTS` floats: the tempo in bpm, then every node's cells
        self.graph = Graph()
        self.nodes: dict[str, Node] = {}
        self.ends: dict[str, Node] = {}
        for name, (number, info) in ENDS.items():
            self.ends[name] = Node(number, name, info, 1 + len(info.cells) * len(self.ends))
        self.panel: dict[str, Node] = {}
        self.by_id: dict[int, Node] = {}
        self.next_id = 1
        self.index()
        if not MIN_TEMPO <= numbers[0] <= MAX_TEMPO:
            numbers[0] = 120.0
            for end in self.ends.values():
                for cell, param in enumerate(end.cells):
                    self.store_initial(end, cell, param.default)
        self._reset_unfit_values(self.ends)

    @property
    def tempo(self) -> float:
        """Last requested tempo, bpm."""
        return self.numbers[0]

    @property
    def swing(self) -> tuple[float, float]:
        """Last requested swing: the share of a step, and the step in beats."""
        return self.numbers[SWING], self.numbers[STEP] or EIGHTH

    @property
    def bar(self) -> int:
        """Beats of a bar."""
        return int(self.numbers[BAR_AT]) or BAR

    def put_swing(self, amount: float, step: float) -> None:
        """Stores a swing sent to the engine."""
        self.numbers[SWING], self.numbers[STEP] = amount, step

    def put_bar(self, beats: int) -> None:
        """Stores the beats of a bar."""
        self.numbers[BAR_AT] = float(beats)

    @property
    def every(self) -> dict[str, Node]:
        """Nodes, `in`, `out` and the macros, by name: all that have OSC addresses."""
        return {**self.nodes, **self.ends, **self.panel}

    def node(self, name: str) -> Node:
        """The node, or end of the graph, of that name; `RequestError` where there is none."""
        state = self.nodes.get(name) or self.ends.get(name) or self.panel.get(name)
        if state is None:
            raise RequestError(f"there is no node {name!r}{instead(name, self.nodes, 'the nodes are')}")
        return state

    def param(self, node: str, name: str) -> tuple[Node, int]:
        """The node and the parameter's cell; `RequestError` where there is no such node or parameter."""
        if node == MACRO and name not in (macros := [macro.name for macro in self.graph.macros]):
            raise RequestError(f"the patch has no macro {name!r}{instead(name, macros)}")
        state = self.node(node)
        cell = state.index.get(name)
        if cell is None:
            raise RequestError(f"{node} has no parameter {name!r}{instead(name, state.index, 'it has')}")
        return state, cell

    def value(self, node: str, name: str) -> Value:
        """Last requested value that is due by now; `advance` has to be called first, to apply the schedule."""
        state, cell = self.param(node, name)
        return self.value_at(state, cell)

    def value_at(self, node: Node, cell: int) -> Value:
        """The value of a node's cell, by the rules of `value`."""
        param = node.cells[cell]
        if param.kind in ("text", "file"):
            return node.texts.get(cell, str(param.default))
        return param.decode(self.numbers[node.base + cell])

    def current(self) -> Graph:
        """The graph with the present values in it: those that differ from their defaults."""
        return replace(
            self.graph, nodes=tuple(NodeSpec(n.name, n.type, self._values(n.name)) for n in self.graph.nodes)
        )

    def reported(self, node_id: int, cell: int, number: float) -> Changed | None:
        """Stores the value of a readonly parameter.

        Returns None for an unknown node, a cell that is not readonly, and a value displayed like the previous one.
        """
        node = self.by_id.get(node_id)
        if node is None or not 0 <= cell < len(node.cells) or not node.cells[cell].readonly:
            return None
        param, before = node.cells[cell], self.numbers[node.base + cell]
        if number == before or (param.kind == "float" and _displayed_alike(param, number, before)):
            return None
        self.numbers[node.base + cell] = number
        return Changed(node.name, param, param.decode(number))

    def arrange(self, graph: Graph, plans: Iterable[Mapping[str, Node]]) -> set[str]:
        """Replaces the graph; new nodes get numbers and cells not used in `plans`. Returns the kept nodes' names."""
        sizes = {n.name: len(self.catalog[n.type].cells) for n in graph.nodes}
        retained = {n.name for n in graph.nodes if n.name in self.nodes and self.nodes[n.name].info.type == n.type}
        taken = [(n.base, n.base + len(n.cells)) for plan in plans for n in plan.values()]
        bases = allocate_ranges([sizes[n.name] for n in graph.nodes if n.name not in retained], taken)
        nodes: dict[str, Node] = {}
        for spec in graph.nodes:
            if spec.name in retained:
                nodes[spec.name] = self.nodes[spec.name]
                continue
            node = Node(self.next_id, spec.name, self.catalog[spec.type], bases.pop(0))
            self.next_id += 1
            for cell, param in enumerate(node.cells):
                self.store_initial(node, cell, param.default)
            nodes[spec.name] = node
        self.graph, self.nodes = graph, nodes
        self.index()
        return retained

    def replace_types(self, graph: Graph, plans: Iterable[Mapping[str, Node]]) -> None:
        """Updates the declarations of nodes whose type has another version in the catalog.

        `graph` has the same nodes and wires as a new object, for caches keyed by it.
        """
        taken = [(n.base, n.base + len(n.cells)) for plan in plans for n in plan.values()]
        nodes = dict(self.nodes)
        for name, node in self.nodes.items():
            info = self.catalog[node.info.type]
            if info == node.info:
                continue
            if have_equal_cells(info, node.info):
                nodes[name] = replace(node, info=info, vocabulary={})
                continue
            (base,) = allocate_ranges([len(info.cells)], taken)
            taken.append((base, base + len(info.cells)))
            nodes[name] = self._carry_values_over(node, Node(self.next_id, name, info, base))
            self.next_id += 1
        self.graph, self.nodes = graph, nodes
        self.index()

    def _carry_values_over(self, old: Node, new: Node) -> Node:
        for cell, param in enumerate(new.cells):
            value = param.default
            before = old.index.get(param.name)
            if before is not None and not param.readonly and old.cells[before].kind == param.kind:
                with contextlib.suppress(ParamError):
                    value = param.check(self.value_at(old, before))
            if param.kind in ("text", "file"):
                new.texts[cell] = str(value)
            self.store_initial(new, cell, value)
        return new

    def index(self) -> None:
        """Updates `panel` and `by_id` after a change of graph or nodes."""
        info = macro_info(macro.word for macro in self.graph.macros)
        if [node.info.type for node in self.panel.values()] != [info.type]:
            self.panel = {MACRO: Node(MACRO_NUMBER, MACRO, info, MACROS_AT)} if self.graph.macros else {}
        self.by_id = {n.id: n for n in self.every.values()}

    def store_initial(self, node: Node, cell: int, value: Value) -> None:
        """Stores the initial value of a cell; texts are stored in their node."""
        param = node.cells[cell]
        self.numbers[node.base + cell] = 0.0 if param.kind in ("text", "file") else param.encode(value)

    def _values(self, name: str) -> dict[str, Value]:
        node = self.nodes[name]
        values = {}
        for cell, param in enumerate(node.cells):
            if not param.readonly and param.kind != "trigger":
                value = self.value_at(node, cell)
                if value != param.default:
                    values[param.name] = value
        return values

    def mend(self) -> None:
        """Resets every invalid number to its default, as the process may have been killed at any point."""
        if not MIN_TEMPO <= self.numbers[0] <= MAX_TEMPO:
            self.numbers[0] = 120.0
        self._reset_unfit_values(self.every)

    def _reset_unfit_values(self, nodes: Mapping[str, Node]) -> None:
        for node in nodes.values():
            for cell, param in enumerate(node.cells):
                number = self.numbers[node.base + cell]
                if not fits(param, number):
                    self.store_initial(node, cell, param.default)


_SHARE, _FLOOR = 5e-4, 1e-3
"""Share of a float reported by a node, and of its range up to 1, below which a change is displayed as no change."""


def _displayed_alike(param: Param, number: float, before: float) -> bool:
    """True if a float's change is below its display's precision; a change to an end or the default never is.

    Changes of beats never are, because others play by them.
    """
    if param.unit == "beats" or number in (param.low, param.high, param.default):
        return False
    least = max(_SHARE * abs(number), _FLOOR * min(1.0, param.high - param.low))
    return abs(number - before) < min(least, _last_digit(abs(number)) / 2.0)


def _last_digit(size: float) -> float:
    """The last digit that the page shows of a number of that size."""
    if size >= 1000.0:
        return 1.0
    if size >= 100.0:
        return 0.1
    return 0.01 if size >= 1.0 else 0.001
