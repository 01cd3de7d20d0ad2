"""The nodes and the graph's ends with their values, in an array of numbers that may outlive the process."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import RequestError
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
    PatchState,
    allocate_ranges,
    fits,
    have_equal_cells,
    is_settable,
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
        self.nodes: Mapping[str, Node] = {}
        self.texts: dict[int, str] = {}  # values of `text` and `file` parameters, by index, as `numbers`
        self.ends: dict[str, Node] = {}
        for name, (number, info) in ENDS.items():
            self.ends[name] = Node(number, name, info, 1 + len(info.cells) * len(self.ends))
        self.panel: dict[str, Node] = {}
        self.by_id: dict[int, Node] = {}
        self.next_id = 1
        self.index(self.graph, self.nodes)
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
            return self.texts.get(node.base + cell, str(param.default))
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

    def nodes_of(self, graph: Graph, catalog: Catalog, states: Iterable[Mapping[str, Node]]) -> dict[str, Node]:
        """The nodes of another graph, by name: the present ones of the same name and type, else new ones.

        A new node gets a number and cells that no node in `states` uses; so does one whose type has other parameters in
        the catalog.
        """
        taken = [(n.base, n.base + len(n.cells)) for nodes in (*states, self.ends) for n in nodes.values()]
        nodes: dict[str, Node] = {}
        new = []
        for spec in graph.nodes:
            node, info = self.nodes.get(spec.name), catalog[spec.type]
            same = node is not None and node.info.type == info.type
            if node is None or not (same and (node.info == info or have_equal_cells(info, node.info))):
                node = Node(0, spec.name, info, 0)
                new.append(node)
            nodes[spec.name] = node if node.info == info else replace(node, info=info, vocabulary={})
        for node, base in zip(new, allocate_ranges([len(n.cells) for n in new], taken), strict=True):
            node.id, node.base = self.next_id, base
            self.next_id += 1
            for cell, param in enumerate(node.cells):
                self.store_initial(node, cell, param.default)
        return nodes

    def index(self, graph: Graph, nodes: Mapping[str, Node]) -> None:
        """Replaces graph and nodes; the texts are those of the graph."""
        self.graph, self.nodes = graph, nodes
        self.texts = {
            nodes[spec.name].base + nodes[spec.name].index[name]: value
            for spec in graph.nodes
            for name, value in spec.values.items()
            if isinstance(value, str)  # a choice's is in the numbers
        }
        info = macro_info(macro.word for macro in graph.macros)
        if [node.info.type for node in self.panel.values()] != [info.type]:
            self.panel = {MACRO: Node(MACRO_NUMBER, MACRO, info, MACROS_AT)} if graph.macros else {}
        self.by_id = {n.id: n for n in self.every.values()}

    def store_initial(self, node: Node, cell: int, value: Value) -> None:
        """Stores the initial value of a cell; texts are stored in their node."""
        param = node.cells[cell]
        self.numbers[node.base + cell] = 0.0 if param.kind in ("text", "file") else param.encode(value)

    def _values(self, name: str) -> dict[str, Value]:
        node = self.nodes[name]
        values = ((p, self.value_at(node, cell)) for cell, p in enumerate(node.cells) if is_settable(p))
        return {param.name: value for param, value in values if value != param.default}

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


def values_in(graph: Graph, nodes: Mapping[str, Node], before: PatchState) -> tuple[Graph, dict[int, float]]:
    """A graph with its values checked, without defaults, and the numbers for them, by index.

    What is checked in the state before, the same specification of the same node, is taken from it.
    """
    specs, numbers = [], dict[int, float]()
    checked = {spec.name: spec for spec in before.graph.nodes}
    for spec in graph.nodes:
        node, values = nodes[spec.name], dict[str, Value]()
        if checked.get(spec.name) is spec and before.nodes.get(spec.name) is node:
            cells = range(node.base, node.base + len(node.cells))
            numbers |= {at: before.numbers[at] for at in cells if at in before.numbers}
            specs.append(spec)
            continue
        for cell, param in enumerate(node.cells):
            if is_settable(param):
                value = param.check(spec.values.get(param.name, param.default))
                if value != param.default:
                    values[param.name] = value
                if param.kind not in ("text", "file"):
                    numbers[node.base + cell] = param.encode(value)
        specs.append(NodeSpec(spec.name, spec.type, values))
    return replace(graph, nodes=tuple(specs)), numbers


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
