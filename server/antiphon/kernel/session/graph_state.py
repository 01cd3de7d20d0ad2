"""The shown patch: its nodes and values in an array that may outlive the process, and its edits.

A refused plan restores the last confirmed one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from msgspec import convert, to_builtins

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import PatchError, RequestError
from antiphon.kernel.graph import graph as graphs
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.graph.clock import BAR, EIGHTH, MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.graph.macros import MACRO_NUMBER, macro_info
from antiphon.kernel.graph.names import CANCELLER, GUARD, MACRO
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.actions import Changed, Effect, NodeSet, TempoChanged
from antiphon.kernel.session.commands import SetSwing
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
)
from antiphon.kernel.session.states import SCHEDULED, PatchStates, Transition

FADE = 0.05
TAIL = 1.5
"""Seconds in which the last patch's sound fades out: its reverb, its echoes, its notes."""
MAX_FADE = 60.0
_LEAP = 1000
_END_NUMBERS = frozenset(number for number, _ in ENDS.values())


class GraphState:
    """The graph, its nodes with their values in an array, and what the engine is asked for, in `states`.

    Edits while the engine prepares a plan are collected and requested as one further plan once it has answered.
    `panel`: the macros as the parameters of a node, by its name; empty where there are none.
    """

    def __init__(self, catalog: Catalog, numbers: Numbers, rate: int) -> None:
        """An empty graph; `numbers` may hold a previous run's values, see `restore`."""
        self.catalog = catalog
        self.numbers = numbers  # at least `SLOTS` floats: the tempo in bpm, then every node's cells
        self.rate = rate  # frames per second
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
            for end in self.ends.values():
                self._reset(end)
        self.mend()
        self.states = PatchStates((PatchState(catalog.copy(), numbers={0: self.tempo}),))
        self.before = self.shown  # the patch that the last load or edit of the graph left
        self.engine_nodes = _END_NUMBERS  # numbers of the nodes that the engine plays

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
        nodes = tuple(NodeSpec(n.name, n.type, self._values(n.name)) for n in self.graph.nodes)
        return Graph(nodes, self.graph.wires, self.graph.macros)

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
            self._reset(node)
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

    def _reset(self, node: Node) -> None:
        for at, number in enumerate(node.defaults, node.base):
            self.numbers[at] = number

    def _values(self, name: str) -> dict[str, Value]:
        node, values = self.nodes[name], dict[str, Value]()
        for cell, param in node.settable:
            if param.kind in ("text", "file") or self.numbers[node.base + cell] != node.defaults[cell]:
                value = self.value_at(node, cell)
                if value != param.default:
                    values[param.name] = value
        return values

    def mend(self) -> None:
        """Resets every invalid number to its default, as the process may have been killed at any point."""
        if not MIN_TEMPO <= self.numbers[0] <= MAX_TEMPO:
            self.numbers[0] = 120.0
        for node in self.every.values():
            for cell, param in enumerate(node.cells):
                if not fits(param, self.numbers[node.base + cell]):
                    self.numbers[node.base + cell] = node.defaults[cell]

    @property
    def shown(self) -> PatchState:
        """The patch of nodes and graph, with the values of its last edit."""
        return self.states.shown

    @property
    def loading(self) -> bool:
        """True while the engine prepares a plan."""
        return self.states.loading

    @property
    def coming(self) -> bool:
        """True while the engine prepares another patch than the one that plays; the new one is shown already."""
        shown, playing = self.shown, self.states.playing
        return self.loading and (shown.name, shown.path) != (playing.name, playing.path)

    def name_of(self, number: int) -> str:
        """Name of a node of the graph, or of the plan that plays until the next is ready; "" for an unknown number."""
        node = self.find(number)
        return "" if node is None else node.name

    def find(self, number: int) -> Node | None:
        """The node of that number, of the graph or of what plays until the next plan is ready."""
        nodes = self.states.playing.nodes.values()
        return self.by_id.get(number) or next((node for node in nodes if node.id == number), None)

    def put(self, node: Node, cell: int, number: float, until: float = SCHEDULED) -> None:
        """Stores an encoded value sent to the engine; `until` is the frame at which its ramp ends.

        It is sent again once a plan that is in preparation plays; without `until`, for a scheduled value whose time has
        come, only to a node that the plan prepares anew, as later ones may be on their way.
        """
        self.numbers[node.base + cell] = number
        self.states = self.states.put(node.base + cell, number, until)

    def put_tempo(self, bpm: float) -> None:
        """Stores a tempo sent to the engine."""
        self.numbers[0] = bpm
        self.states = self.states.put(0, bpm, 0.0)

    def keep(self, **changes: Any) -> None:
        """Changes attributes of the shown patch that the engine does not play; a refused value does not undo it."""
        self.states = self.states.keep(**changes)

    def present(self) -> PatchState:
        """The shown patch with the values of now."""
        numbers = {0: self.tempo}
        for node in (*self.nodes.values(), *self.panel.values()):
            cells = enumerate(node.cells, node.base)
            numbers |= {at: self.numbers[at] for at, param in cells if not param.readonly}
        return replace(self.shown, graph=self.current(), numbers=numbers, catalog=self.catalog.copy())

    def _write(self, state: PatchState) -> None:
        self.catalog.take(state.catalog)
        self.index(state.graph, state.nodes)
        for at, number in state.numbers.items():
            self.numbers[at] = number

    def _step(self, after: tuple[PatchStates, list[Effect]]) -> list[Effect]:
        self.states, effects = after
        playing = () if self.states.fresh else self.states.playing.nodes.values()
        self.engine_nodes = _END_NUMBERS | {node.id for node in playing}
        return effects

    def _show(
        self,
        before: PatchState,
        graph: Graph,
        due: Transition = (FADE, 0.0, 0.0),
        tempo: float | None = None,
        **changes: Any,
    ) -> list[Effect]:
        """Shows another graph, which is valid but for its values, than the present one, and requests its plan.

        `before`: the present patch; `tempo`: in bpm, None keeps it; `changes`: its other attributes that are new.
        """
        catalog = changes.get("catalog", before.catalog)
        nodes = self.nodes_of(graph, catalog, [state.nodes for state in self.states.states])
        graph, numbers = values_in(graph, nodes, before)
        numbers[0] = before.tempo if tempo is None else tempo
        fixed = {"graph": graph, "nodes": nodes, "numbers": numbers}
        new = replace(before, **{"edits": before.edits + 1, **changes, **fixed})
        self.before = before
        self._write(new)
        numbers |= self._place_macros(before)
        return self._step(self.states.show(before, new, due))

    def _place_macros(self, before: PatchState) -> dict[int, float]:
        """Places each macro where its first target has its value, if it is not where it has it; returns the numbers."""
        were = {macro.name: before.numbers[MACROS_AT + at] for at, macro in enumerate(before.graph.macros)}
        places = {}
        for at, macro in enumerate(self.graph.macros, MACROS_AT):
            target, place = macro.targets[0], were.get(macro.name)
            node, cell = self.param(target.node, target.param)
            param, value = node.cells[cell], self.value_at(node, cell)
            if place is None or target.value(param, place) != value:
                place = target.place(param, value)
            self.numbers[at] = places[at] = place
        return places

    # Each edit below raises `PatchError`, and changes nothing, where the new graph is not valid.
    def add(self, kind: str, name: str, after: str | None = None) -> list[Effect]:
        """Adds a node of type `kind` behind the node `after`, or at the end of the chain."""
        return self._edit(self.current().add(NodeSpec(name, kind), self.catalog, after))

    def remove(self, name: str) -> list[Effect]:
        """Removes a node; its neighbours are wired together."""
        return self._edit(self.current().remove(name, self.catalog))

    def beside_loudspeakers(self, on: bool, beside: Callable[[Graph], Graph]) -> list[Effect]:
        """Adds a canceller or guard in front of the input by `beside`, or removes them."""
        graph = self.current()
        if on:
            return self._edit(beside(graph))
        for name in filter(graph.has, (CANCELLER, GUARD)):
            graph = graph.remove(name, self.catalog)
        return self._edit(graph)

    def move(self, name: str, after: str = graphs.IN) -> list[Effect]:
        """Moves a node behind the node `after`."""
        return self._edit(self.current().move(name, after, self.catalog))

    def connect(self, source: str, dest: str, *, guarded: bool = False) -> list[Effect]:
        """Adds a wire. `source` and `dest` are "node", "node.port" or, for `dest`, "node.param".

        `guarded`: a wire from the input, if its sound is played, gets a guard against howling in between.
        """
        first = self.graph.end(source, "out", self.catalog)
        kind = "audio"
        if first.node != graphs.IN:
            port = self.node(first.node).info.port(first.port, "out")
            kind = port.kind if port is not None else kind
        graph = self.current().connect(first, self.graph.end(dest, "in", self.catalog, kind), self.catalog)
        return self._edit(graph.guard_input(self.catalog) if guarded else graph)

    def disconnect(self, source: str, dest: str) -> list[Effect]:
        """Removes a wire, named as for `connect`."""
        first, last = self.graph.end(source, "out", self.catalog), self.graph.end(dest, "in", self.catalog)
        return self._edit(self.current().disconnect(first, last))

    def load(
        self, graph: Graph, name: str, path: str = "", tempo: float | None = None, fade: float = FADE, **changes: Any
    ) -> list[Effect]:
        """Replaces the graph; nodes of the same name and type keep their state and take the patch's values.

        `tempo` in bpm, None keeps it; `fade` in seconds, 0 to `MAX_FADE`; `changes`: other attributes of the
        patch that are new. Returns the plan request, and the changes for subscribers.
        """
        if not 0.0 <= fade <= MAX_FADE:
            raise RequestError(f"a fade takes 0 to {MAX_FADE:g} s, not {fade:g}")
        if tempo is not None and not MIN_TEMPO <= tempo <= MAX_TEMPO:
            raise PatchError(f"tempo takes {MIN_TEMPO:g} to {MAX_TEMPO:g} bpm, not {tempo:g}")
        graphs.check(graph, self.catalog)
        before = self.present()
        had = {spec.name: spec.values for spec in before.graph.nodes}
        changed: list[Effect] = [] if tempo is None or tempo == before.tempo else [TempoChanged(tempo)]
        effects = self._show(before, graph, (fade, 0.0, TAIL), tempo, name=name, path=path, **changes)
        for spec in self.graph.nodes:
            node = self.nodes[spec.name]
            if before.nodes.get(spec.name) is node and spec.values != (was := had[spec.name]):
                values = ((p, spec.values.get(p.name, p.default), was.get(p.name, p.default)) for p in node.cells)
                changed += [Changed(node.name, param, new) for param, new, old in values if new != old]
        return effects + changed

    def follow_by_macros(self, node: Node, cell: int) -> list[Changed]:
        """Places the macros whose first target is that parameter where they have its value, or nearest to it."""
        changed: list[Changed] = []
        param = node.cells[cell]
        for place, macro in enumerate(self.graph.macros):
            target = macro.targets[0]
            if target.node != node.name or target.param != param.name:
                continue
            panel, value = self.panel[MACRO], self.value_at(node, cell)
            if self.numbers[node.base + cell] != param.encode(target.value(param, self.numbers[panel.base + place])):
                found = round(target.place(param, value), 6)
                if found != self.numbers[panel.base + place]:
                    self.put(panel, place, found)
                    changed.append(Changed(panel.name, panel.cells[place], found))
        return changed

    def renew(self, catalog: Catalog, quantum: float) -> list[Effect]:
        """Switches to a catalog with another version of a plugin, and requests a plan with it.

        It plays from the next multiple of `quantum` beats; 0 from the next block. Nodes keep their values. A node whose
        type declares other parameters gets another number, and keeps the values valid for its new parameters. Raises
        PatchError: the nodes and wires are not valid with that version; nothing has changed.
        """
        specs = (replace(spec, values=self._values_for(spec.name, catalog.get(spec.type))) for spec in self.graph.nodes)
        graph = replace(self.graph, nodes=tuple(specs)).without_rejected_values(catalog)
        graphs.check(graph, catalog)
        return self._show(self.present(), graph, (FADE, quantum, 0.0), catalog=catalog.copy())

    def _values_for(self, name: str, info: ProcessorInfo | None) -> dict[str, Value]:
        """The node's values, the defaults too, by parameters that are of the same kind in another version."""
        node, kinds = self.nodes[name], {p.name: p.kind for p in info.cells} if info is not None else {}
        return {p.name: self.value_at(node, cell) for cell, p in node.settable if kinds.get(p.name) == p.kind}

    def _edit(self, graph: Graph) -> list[Effect]:
        present = self.present()
        if graph == present.graph:
            return []
        graphs.check(graph, self.catalog)
        return self._show(present, graph)

    def edit_value(self, node: Node, cell: int, value: Value) -> list[Effect]:
        """Changes a parameter that the engine gets only in a plan, and requests that plan.

        A node of another variant of its type is another node; it keeps the values that fit and its wires.
        """
        name, before = node.cells[cell].name, self.present()
        spec = before.graph.node(node.name)
        varied = name == node.info.variant_parameter
        if varied:
            kind = self.catalog.varied(node.info.variant[0], {name: str(value)})
            graphs.known_type(kind, self.catalog)
            spec = replace(spec, type=kind)
        else:
            spec = replace(spec, values={**spec.values, name: value})
        graph = replace(before.graph, nodes=tuple(spec if n.name == node.name else n for n in before.graph.nodes))
        if varied:
            graph = graph.without_rejected_values(self.catalog)
            graphs.check(graph, self.catalog)
        return self._show(before, graph, edits=before.edits)

    def confirm(self, serial: int, sample: float) -> list[Effect]:
        """Handles a confirmed plan, see `PatchStates.confirm`."""
        return self._step(self.states.confirm(serial, sample, self.rate, self.present))

    def refuse(self, serial: int) -> list[Effect]:
        """Handles a refused plan: requests a newer one, or returns to what plays."""
        before = self.states
        effects = self._step(before.refuse(serial, self.present))
        if self.loading or self.states is before:
            return effects
        self._write(self.shown)
        cells = ((node, cell) for node in self.nodes.values() for cell in range(len(node.cells)))
        moved = (place for place in cells if place[0].base + place[1] in before.ramps)
        return [change for node, cell in moved for change in self.follow_by_macros(node, cell)]

    def restart(self) -> list[Effect]:
        """Requests the present plan, with the present values, from a newly started engine.

        All values are sent again once it plays, for the ring may still hold old commands.
        """
        # the ends exist in every engine, at their defaults, before any plan does
        levels = [
            NodeSet(end.id, cell, self.numbers[end.base + cell])
            for end in self.ends.values()
            for cell, default in enumerate(end.defaults)
            if self.numbers[end.base + cell] != default
        ]
        # a new engine begins without swing
        swing = [SetSwing(*self.swing)] if self.swing[0] else []
        return [*levels, *swing, *self._step(self.states.restart(self.present()))]

    def to_json(self) -> dict[str, Any]:
        """The state as JSON, without `numbers`, which are stored by their owner, and what can be undone."""
        return {
            "graph": self.graph.to_json(),
            "nodes": {node.name: [node.id, node.base] for node in self.nodes.values()},
            "name": self.shown.name,
            "path": self.shown.path,
            "scenes": {str(number): dict(scene) for number, scene in self.shown.scenes.items()},
            "clips": to_builtins(self.shown.clips),
            "serial": self.states.serial,
            "next_id": self.next_id,
            "loading": self.loading,
        }

    def restore(self, data: Mapping[str, Any]) -> bool:
        """Restores a state of `to_json`; True if it was played. `PatchError` where a plugin is missing."""
        graph = Graph.from_json(data["graph"])
        graphs.check(graph, self.catalog)
        kinds = {n.name: self.catalog[n.type] for n in graph.nodes}
        nodes = {name: Node(i, name, kinds[name], base) for name, (i, base) in data["nodes"].items()}
        scenes = {int(number): dict(scene) for number, scene in data["scenes"].items()}
        clips = convert(data["clips"], dict[str, PatchClip])
        self.index(graph, nodes)
        # a leap, for the process may have been killed after it requested plans and before it saved their numbers
        self.next_id = data["next_id"] + _LEAP
        self.mend()
        self.keep(nodes=nodes, name=data["name"], path=data["path"], scenes=scenes, clips=clips)
        self._step((PatchStates((self.present(),), data["serial"] + _LEAP), []))
        return not data["loading"]


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
        for cell, param in node.settable:
            numbers[node.base + cell] = node.defaults[cell]
            if param.name in spec.values:
                value = param.check(spec.values[param.name])
                if value != param.default:
                    values[param.name] = value
                if param.kind not in ("text", "file"):
                    numbers[node.base + cell] = param.encode(value)
        specs.append(NodeSpec(spec.name, spec.type, values))
    return Graph(tuple(specs), graph.wires, graph.macros), numbers


_SHARE, _FLOOR = 5e-4, 1e-3
"""Share of a float reported by a node, and of its range up to 1, below which a change is displayed as no change."""


def _displayed_alike(param: Param, number: float, before: float) -> bool:
    """True if a float's change is below its display's precision; a change to an end or the default never is.

    Changes of beats never are, because others play by them.
    """
    if param.unit == "beats" or number in (param.low, param.high, param.default):
        return False
    least = max(_SHARE * abs(number), _FLOOR * min(1.0, param.high - param.low))
    # the last digit that the page shows of a number of that size
    size = abs(number)
    last = 1.0 if size >= 1000.0 else 0.1 if size >= 100.0 else 0.01 if size >= 1.0 else 0.001
    return abs(number - before) < min(least, last / 2.0)
