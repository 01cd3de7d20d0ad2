"""The shown patch: its nodes and values in an array, and its edits; a refused plan restores the last confirmed one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from msgspec import convert, to_builtins

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import PatchError, RequestError
from antiphon.kernel.graph import graph as graphs
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.graph.names import CANCELLER, GUARD, MACRO
from antiphon.kernel.session.actions import Changed, Effect, NodeSet, TempoChanged
from antiphon.kernel.session.commands import SetSwing
from antiphon.kernel.session.node_state import (
    MACROS_AT,
    Node,
    Numbers,
    PatchState,
    is_settable,
)
from antiphon.kernel.session.node_table import NodeTable, values_in
from antiphon.kernel.session.states import SCHEDULED, PatchStates, Transition

FADE = 0.05
TAIL = 1.5
"""Seconds in which the last patch's sound fades out: its reverb, its echoes, its notes."""
MAX_FADE = 60.0
_LEAP = 1000
_END_NUMBERS = frozenset(number for number, _ in ENDS.values())


class GraphState(NodeTable):
    """Nodes with their values in an array, and what the engine is asked for, in `states`.

    Edits while the engine prepares a plan are collected and requested as one further plan once it has answered.
    """

    def __init__(self, catalog: Catalog, numbers: Numbers, rate: int) -> None:
        """An empty graph; `numbers` may hold a previous run's values, see `restore`."""
        super().__init__(catalog, numbers)
        self.rate = rate  # frames per second
        self.states = PatchStates((PatchState(catalog.copy(), numbers={0: self.tempo}),))
        self.engine_nodes = _END_NUMBERS  # numbers of the nodes that the engine plays

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
        self, before: PatchState, graph: Graph, due: Transition = (FADE, 0.0, 0.0), **changes: Any
    ) -> list[Effect]:
        """Shows another graph than the present one with its values, and requests its plan.

        `before`: the present patch; `changes`: its other attributes that are new.
        """
        new = replace(before, graph=graph, **{"edits": before.edits + 1, **changes})
        graphs.check(graph, new.catalog)
        nodes = self.nodes_of(graph, new.catalog, [state.nodes for state in self.states.states])
        graph, numbers = values_in(graph, nodes, before)
        new = replace(new, graph=graph, nodes=nodes, numbers={0: new.numbers[0], **numbers})
        self._write(new)
        places = self._place_macros(before)
        return self._step(self.states.show(before, replace(new, numbers={**new.numbers, **places}), due))

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
        if on:
            return self._edit(beside(self.current()))
        return [effect for name in (CANCELLER, GUARD) if self.graph.has(name) for effect in self.remove(name)]

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
        self, graph: Graph, name: str, path: str = "", tempo: float | None = None, fade: float = FADE
    ) -> list[Effect]:
        """Replaces the graph; nodes of the same name and type keep their state and take the patch's values.

        `tempo` in bpm, None keeps it; `fade` in seconds, 0 to `MAX_FADE`. Returns the plan request, and the changes for
        subscribers.
        """
        if not 0.0 <= fade <= MAX_FADE:
            raise RequestError(f"a fade takes 0 to {MAX_FADE:g} s, not {fade:g}")
        if tempo is not None and not MIN_TEMPO <= tempo <= MAX_TEMPO:
            raise PatchError(f"tempo takes {MIN_TEMPO:g} to {MAX_TEMPO:g} bpm, not {tempo:g}")
        before = self.present()
        had = {spec.name: spec.values for spec in before.graph.nodes}
        numbers = {0: before.tempo if tempo is None else tempo}
        changed: list[Effect] = [] if numbers[0] == before.tempo else [TempoChanged(numbers[0])]
        effects = self._show(before, graph, (fade, 0.0, TAIL), numbers=numbers, name=name, path=path)
        for spec in self.graph.nodes:
            node = self.nodes[spec.name]
            if before.nodes.get(spec.name) is node:
                was = had[spec.name]
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
        return self._show(self.present(), graph, (FADE, quantum, 0.0), catalog=catalog.copy())

    def _values_for(self, name: str, info: ProcessorInfo | None) -> dict[str, Value]:
        """The node's values, the defaults too, by parameters that are of the same kind in another version."""
        node, kinds = self.nodes[name], {p.name: p.kind for p in info.cells} if info is not None else {}
        values = {p.name: self.value_at(node, cell) for cell, p in enumerate(node.cells) if is_settable(p)}
        return {p.name: values[p.name] for p in node.cells if p.name in values and kinds.get(p.name) == p.kind}

    def _edit(self, graph: Graph) -> list[Effect]:
        present = self.present()
        return self._show(present, graph) if graph != present.graph else []

    def edit_value(self, node: Node, cell: int, value: Value) -> list[Effect]:
        """Changes a parameter that the engine gets only in a plan, and requests that plan.

        A node of another variant of its type is another node; it keeps the values that fit and its wires.
        """
        name, before = node.cells[cell].name, self.present()
        spec = before.graph.node(node.name)
        if name == node.info.variant_parameter:
            kind = self.catalog.varied(node.info.variant[0], {name: str(value)})
            graphs.known_type(kind, self.catalog)
            spec = replace(spec, type=kind)
        else:
            spec = replace(spec, values={**spec.values, name: value})
        nodes = tuple(spec if n.name == node.name else n for n in before.graph.nodes)
        graph = replace(before.graph, nodes=nodes).without_rejected_values(self.catalog)
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
            for cell, param in enumerate(end.cells)
            if self.numbers[end.base + cell] != param.encode(param.default)
        ]
        # a new engine begins without swing
        swing = [SetSwing(*self.swing)] if self.swing[0] else []
        return [*levels, *swing, *self._step(self.states.restart(self.present()))]

    def to_json(self) -> dict[str, Any]:
        """The state as JSON, without `numbers`, which are stored by their owner, and what can be undone."""
        return {
            "graph": self.current().to_json(),
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
