"""Nodes, their values, and the plans requested from the engine; a refused plan restores the last confirmed one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import PatchError, RequestError
from antiphon.kernel.graph import graph as graphs
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.graph.names import CANCELLER, GUARD, MACRO
from antiphon.kernel.session.actions import Changed, Effect, EngineLoad, NodeSet, TempoChanged
from antiphon.kernel.session.commands import SetSwing, SetTempo
from antiphon.kernel.session.node_state import LoadRequest, Node, Numbers, is_sent_as_number
from antiphon.kernel.session.node_table import NodeTable, PendingValues

FADE = 0.05
TAIL = 1.5
"""Seconds in which the last patch's sound fades out: its reverb, its echoes, its notes."""
MAX_FADE = 60.0
_LEAP = 1000
_END_NUMBERS = frozenset(number for number, _ in ENDS.values())


class GraphState(NodeTable):
    """Nodes with their values, and at most one plan in preparation by the engine.

    Edits during that time are collected and sent as one further plan once the engine has answered.
    """

    def __init__(self, catalog: Catalog, numbers: Numbers, rate: int) -> None:
        """An empty graph; `numbers` may hold a previous run's values, see `restore`."""
        super().__init__(catalog, numbers)
        self.rate = rate  # frames per second
        self.name, self.path = "", ""
        self.serial = 0
        self.playing: frozenset[int] = _END_NUMBERS
        self._confirmed = LoadRequest(catalog=catalog.copy())
        self._again_asked = False
        self._loading: LoadRequest | None = None
        self._stale: float | None = None
        self._quantum = self._tail = 0.0  # of the next plan
        self._pending = PendingValues()
        self._plan_tempo = 0.0  # sent with the next plan; 0 for none
        self._resend_tempo = False  # it was set otherwise while the plan was prepared

    @property
    def loading(self) -> bool:
        """True while the engine prepares a plan."""
        return self._loading is not None

    def name_of(self, number: int) -> str:
        """Name of a node of the graph, or of the plan that plays until the next is ready; "" for an unknown number."""
        node = self.by_id.get(number) or next((n for n in self._confirmed.nodes.values() if n.id == number), None)
        return "" if node is None else node.name

    @property
    def coming(self) -> bool:
        """True while the engine prepares another patch than the one that plays; `name` is already the new one's."""
        return self.loading and (self.name, self.path) != (self._confirmed.name, self._confirmed.path)

    @property
    def goal(self) -> int:
        """Number of the load that will contain all edits so far."""
        return self.serial + (self._stale is not None)

    def put(self, node: Node, cell: int, number: float) -> bool:
        """Stores an encoded value sent to the engine; returns True while the engine prepares a plan."""
        self.numbers[node.base + cell] = number
        if self._loading is None:
            return False
        self._pending.drop_rollback(node.base + cell)
        return True

    def resend(self, node: Node, cell: int, until: float) -> None:
        """Schedules a value to be sent again once the pending plan plays; its ramp ends at frame `until`."""
        self._pending.resend_pending(node.id, cell, until)

    def put_tempo(self, bpm: float) -> None:
        """Stores a tempo sent to the engine."""
        self.numbers[0] = bpm
        if self._loading is not None:
            self._pending.drop_rollback(0)
        self._plan_tempo = 0.0
        self._resend_tempo = self._loading is not None

    # Each edit below raises `PatchError`, and changes nothing, where the new graph is not valid.
    def add(self, kind: str, name: str, after: str | None = None) -> list[Effect]:
        """Adds a node of type `kind` behind the node `after`, or at the end of the chain."""
        return self._edit(self.graph.add(NodeSpec(name, kind), self.catalog, after))

    def remove(self, name: str) -> list[Effect]:
        """Removes a node; its neighbours are wired together."""
        return self._edit(self.graph.remove(name, self.catalog))

    def beside_loudspeakers(self, on: bool, beside: Callable[[Graph], Graph]) -> list[Effect]:
        """Adds a canceller or guard in front of the input by `beside`, or removes them."""
        if on:  # loaded, since the canceller comes with a value
            present = self.current()
            graph = beside(present)
            return self.load(graph, self.name, self.path) if graph is not present else []
        return [effect for name in (CANCELLER, GUARD) if self.graph.has(name) for effect in self.remove(name)]

    def move(self, name: str, after: str = graphs.IN) -> list[Effect]:
        """Moves a node behind the node `after`."""
        return self._edit(self.graph.move(name, after, self.catalog))

    def connect(self, source: str, dest: str, *, guarded: bool = False) -> list[Effect]:
        """Adds a wire. `source` and `dest` are "node", "node.port" or, for `dest`, "node.param".

        `guarded`: a wire from the input, if its sound is played, gets a guard against howling in between.
        """
        first = self.graph.end(source, "out", self.catalog)
        kind = "audio"
        if first.node != graphs.IN:
            port = self.node(first.node).info.port(first.port, "out")
            kind = port.kind if port is not None else kind
        graph = self.graph.connect(first, self.graph.end(dest, "in", self.catalog, kind), self.catalog)
        return self._edit(graph.guarded(self.catalog) if guarded else graph)

    def disconnect(self, source: str, dest: str) -> list[Effect]:
        """Removes a wire, named as for `connect`."""
        first, last = self.graph.end(source, "out", self.catalog), self.graph.end(dest, "in", self.catalog)
        return self._edit(self.graph.disconnect(first, last))

    def load(
        self, graph: Graph, name: str, path: str = "", tempo: float | None = None, fade: float = FADE
    ) -> list[Effect]:
        """Replaces the graph; nodes of the same name and type keep their state and take the patch's values.

        `tempo` in bpm, None keeps it; `fade` in seconds, 0 to `MAX_FADE`. Returns the plan request, and the changes for
        subscribers.
        """
        if not 0.0 <= fade <= MAX_FADE:
            raise RequestError(f"a fade takes 0 to {MAX_FADE:g} s, not {fade:g}")
        graphs.check(graph, self.catalog)
        if tempo is not None and not MIN_TEMPO <= tempo <= MAX_TEMPO:
            raise PatchError(f"tempo takes {MIN_TEMPO:g} to {MAX_TEMPO:g} bpm, not {tempo:g}")
        retained = self.arrange(graph, self._plans())
        changed: list[Effect] = []
        for spec in graph.nodes:
            node = self.nodes[spec.name]
            for cell, param in enumerate(node.cells):
                if param.readonly or param.kind == "trigger":
                    continue
                value = param.check(spec.values.get(param.name, param.default))
                if spec.name in retained and self.value_at(node, cell) != value:
                    changed.append(Changed(node.name, param, value))
                self._edit_value(node, cell, value)
        self._place_macros()
        self.name, self.path = name, path
        self._tail = TAIL
        if tempo is not None and tempo != self.tempo:
            self._store_overwritten(0)
            self.numbers[0] = self._plan_tempo = tempo
            changed.append(TempoChanged(tempo))
        return [*self._ask(fade), *changed]

    def _place_macros(self) -> None:
        for node in self.panel.values():
            for cell, macro in enumerate(self.graph.macros):
                there, target = self.param(macro.targets[0].node, macro.targets[0].param), macro.targets[0]
                param = there[0].cells[there[1]]
                self._edit_number(node, cell, target.place(param, self.value_at(*there)))

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
        graph = self.graph.without_rejected_values(catalog)
        graphs.check(graph, catalog)
        self.catalog.take(catalog)
        self.replace_types(graph, self._plans())
        self._quantum = quantum
        return self._ask(FADE)

    def _edit(self, graph: Graph) -> list[Effect]:
        if graph == self.graph:
            return []
        graphs.check(graph, self.catalog)
        self.arrange(graph, self._plans())
        return self._ask(FADE)

    def _plans(self) -> list[Mapping[str, Node]]:
        loading = [] if self._loading is None else [self._loading.nodes]
        return [self.nodes, self._confirmed.nodes, self.ends, *loading]

    def edit_value(self, node: Node, cell: int, value: Value) -> list[Effect]:
        """Changes a parameter that the engine gets only in a plan, and requests that plan."""
        if node.cells[cell].name == node.info.variant_parameter:
            return self._vary(node, str(value))
        self._edit_value(node, cell, value)
        return self._ask(FADE)

    def _vary(self, node: Node, variant: str) -> list[Effect]:
        """Replaces a node by one of another variant of its type; it keeps the values that fit and its wires."""
        base, now = node.info.variant[0], self.current()
        kind = self.catalog.varied(base, {node.info.variant_parameter: variant})
        graphs.known_type(kind, self.catalog)
        varied = tuple(replace(n, type=kind) if n.name == node.name else n for n in now.nodes)
        graph = replace(now, nodes=varied).without_rejected_values(self.catalog)
        graphs.check(graph, self.catalog)
        self.arrange(graph, self._plans())
        new, values = self.nodes[node.name], graph.node(node.name).values
        for cell, param in enumerate(new.cells):
            if param.name in values:
                self._edit_value(new, cell, param.check(values[param.name]))
        return self._ask(FADE)

    def _edit_value(self, node: Node, cell: int, value: Value) -> None:
        param = node.cells[cell]
        if param.kind in ("text", "file"):
            node.texts[cell] = str(value)
        else:
            self._edit_number(node, cell, param.encode(value))

    def _edit_number(self, node: Node, cell: int, number: float) -> None:
        at = node.base + cell
        if self.numbers[at] == number:
            return
        self._store_overwritten(at)
        self.numbers[at] = number
        if node.id in self.playing:
            self._pending.resend_pending(node.id, cell)

    def _store_overwritten(self, at: int) -> None:
        self._pending.store_for_rollback(at, self.numbers[at], preparing=self._loading is not None)

    def _ask(self, fade: float, *, again: bool = False) -> list[Effect]:
        if self._loading is not None:
            # the engine prepares one plan at a time; `_request_next` requests one with all edits since
            self._stale = max(fade, self._stale or 0.0)
            return []
        self.serial += 1
        self._again_asked = again
        self._loading = self._request()
        ids = {n.name: n.id for n in self.nodes.values()}
        tempo, self._plan_tempo = self._plan_tempo, 0.0
        quantum, self._quantum, tail, self._tail = self._quantum, 0.0, self._tail, 0.0
        versions = self.catalog.versions
        return [EngineLoad(self.serial, self.current(), ids, tempo, fade, again, versions, quantum, tail)]

    def _request(self) -> LoadRequest:
        texts, catalog = {n.name: dict(n.texts) for n in self.nodes.values()}, self.catalog.copy()
        return LoadRequest(self.serial, self.graph, self.nodes, texts, self.name, self.path, self.tempo, catalog)

    def loaded(self, serial: int, sample: float) -> list[Effect]:
        """Handles a loaded plan: sends again the values set while it was prepared.

        A serial other than the pending load's is ignored. Returns the values, the tempo if it changed meanwhile, and
        the request for the next plan if one is due.
        """
        if self._loading is None or serial != self._loading.serial:
            return []
        self._confirmed, self._loading = self._loading, None
        self.playing = _END_NUMBERS | {n.id for n in self._confirmed.nodes.values()}
        self._pending.handle_confirmed_plan()
        effects: list[Effect] = []
        for node_id, cell, until in self._pending.restore_pending():
            node = self.by_id.get(node_id)
            param = None if node is None else node.cells[cell]
            if node is not None and param is not None and node_id in self.playing and is_sent_as_number(param):
                ramp = max(0.0, until - sample) / self.rate
                effects.append(NodeSet(node_id, cell, self.numbers[node.base + cell], ramp))
        if self._resend_tempo:
            effects.append(SetTempo(self.tempo))
            self._resend_tempo = False
        return effects + self._request_next()

    def refused(self, serial: int) -> list[Effect]:
        """Handles a refused plan: requests a newer one, or restores the last confirmed one."""
        if self._loading is None or serial != self._loading.serial:
            return []
        self._loading = None
        if self._stale is not None:
            self._pending.handle_superseded_plan()
            return self._request_next()
        self._pending.restore_numbers(self.numbers)
        back = self._confirmed
        self.catalog.take(back.catalog)
        self.graph, self.nodes = back.graph, dict(back.nodes)
        self.index()
        for name, texts in back.texts.items():
            self.nodes[name].texts = dict(texts)
        self.name, self.path = back.name, back.path
        return []

    def _request_next(self) -> list[Effect]:
        if self._stale is None:
            return []
        fade, self._stale = self._stale, None
        return self._ask(fade)

    def restarted(self) -> list[Effect]:
        """Requests the present plan, with the present values, from a newly started engine.

        If that plan has never played and is refused, `silent` becomes true, and the caller requests the last confirmed
        one. All values are sent again once it plays, for the ring may still hold old commands.
        """
        again = self._loading is None
        self._quantum = self._tail = 0.0
        self._loading, self._stale = None, None
        self.playing = _END_NUMBERS
        self._pending.drop_repeated()
        for node in self.nodes.values():
            for cell, param in enumerate(node.cells):
                if is_sent_as_number(param):
                    self._pending.resend_pending(node.id, cell)
        self._plan_tempo = self.tempo
        # the ends exist in every engine, at their defaults, before any plan does
        levels = [
            NodeSet(end.id, cell, self.numbers[end.base + cell])
            for end in self.ends.values()
            for cell, param in enumerate(end.cells)
            if self.numbers[end.base + cell] != param.encode(param.default)
        ]
        # a new engine begins without swing
        swing = [SetSwing(*self.swing)] if self.swing[0] else []
        return [*levels, *swing, *self._ask(0.0, again=again)]

    @property
    def silent(self) -> bool:
        """True if a new engine plays no plan, and was not sent one that has played before."""
        return self.playing == _END_NUMBERS and bool(self.nodes) and not self._again_asked

    def to_json(self) -> dict[str, Any]:
        """The state as JSON, without `numbers`, which are stored by their owner."""
        return {
            "graph": self.graph.to_json(),
            "nodes": [
                {"id": n.id, "name": n.name, "base": n.base, "texts": {str(c): t for c, t in n.texts.items()}}
                for n in self.nodes.values()
            ],
            "name": self.name,
            "path": self.path,
            "serial": self.serial,
            "next_id": self.next_id,
            "loading": self._loading is not None,
        }

    def restore(self, data: Mapping[str, Any]) -> bool:
        """Restores a state of `to_json`; True if it was played. `PatchError` where a plugin is missing."""
        graph = Graph.from_json(data["graph"])
        graphs.check(graph, self.catalog)
        kinds = {n.name: self.catalog[n.type] for n in graph.nodes}
        nodes = {}
        for item in data["nodes"]:
            texts = {int(c): str(t) for c, t in item["texts"].items()}
            nodes[item["name"]] = Node(item["id"], item["name"], kinds[item["name"]], item["base"], texts)
        self.graph, self.nodes = graph, nodes
        self.index()
        self.name, self.path = data["name"], data["path"]
        # a leap, for the process may have been killed after it requested plans and before it saved their numbers
        self.serial, self.next_id = data["serial"] + _LEAP, data["next_id"] + _LEAP
        self.mend()
        self._confirmed = self._request()
        self.playing = _END_NUMBERS | {n.id for n in nodes.values()}
        return not data["loading"]
