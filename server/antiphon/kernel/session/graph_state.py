"""Nodes, their values, and the plans requested from the engine; a refused plan restores the last confirmed one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from msgspec import convert, to_builtins

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import PatchError, RequestError
from antiphon.kernel.graph import graph as graphs
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.graph.names import CANCELLER, GUARD, MACRO
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.session.actions import Changed, Effect, EngineLoad, NodeSet, TempoChanged
from antiphon.kernel.session.commands import SetSwing, SetTempo
from antiphon.kernel.session.node_state import (
    MACROS_AT,
    Node,
    Numbers,
    PatchState,
    Scene,
    UndoStep,
    is_sent_as_number,
)
from antiphon.kernel.session.node_table import NodeTable

FADE = 0.05
TAIL = 1.5
"""Seconds in which the last patch's sound fades out: its reverb, its echoes, its notes."""
MAX_FADE = 60.0
_LEAP = 1000
_SCHEDULED = -1.0
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
        self.patch: Patch | None = None  # as it was loaded last
        self.scenes: dict[int, Scene] = {}
        self.clips: Mapping[str, PatchClip] = {}  # by name; another mapping after each change
        self.place: Any = None  # of the patch among others, as in a set list
        self.done: tuple[UndoStep, ...] = ()
        self.undone: tuple[UndoStep, ...] = ()
        self.edits = 0  # loads and edits of the graph so far, refused ones too
        self.serial = 0
        self.loading = False  # while the engine prepares a plan
        self.playing: frozenset[int] = _END_NUMBERS
        self._again_asked = False
        self._new_engine = False  # it plays no plan yet
        self._stale: float | None = None
        self._quantum = self._tail = 0.0  # of the next plan
        self._since: dict[int, float] = {}  # numbers sent while a plan is prepared, and the ends of their ramps
        self._played = self.snapshot()  # what plays while another plan is prepared
        self._asked: PatchState | None = None  # what is being prepared, where there are edits since

    def name_of(self, number: int) -> str:
        """Name of a node of the graph, or of the plan that plays until the next is ready; "" for an unknown number."""
        node = self.find(number)
        return "" if node is None else node.name

    def find(self, number: int) -> Node | None:
        """The node of that number, of the graph or of what plays until the next plan is ready."""
        return self.by_id.get(number) or next((n for n in self._played.nodes.values() if n.id == number), None)

    @property
    def coming(self) -> bool:
        """True while the engine prepares another patch than the one that plays; `name` is already the new one's."""
        return self.loading and (self.name, self.path) != (self._played.name, self._played.path)

    @property
    def goal(self) -> int:
        """Number of the load that will contain all edits so far."""
        return self.serial + (self._stale is not None)

    def put(self, node: Node, cell: int, number: float, until: float = _SCHEDULED) -> None:
        """Stores an encoded value sent to the engine; `until` is the frame at which its ramp ends.

        It is sent again once a plan that is in preparation plays; without `until`, for a scheduled value whose time has
        come, only to a node that the plan prepares anew, as later ones may be on their way.
        """
        self._put(node.base + cell, number, until)

    def put_tempo(self, bpm: float) -> None:
        """Stores a tempo sent to the engine."""
        self._put(0, bpm, 0.0)

    def _put(self, at: int, number: float, until: float) -> None:
        self.numbers[at] = number
        if self.loading:
            self._since[at] = until
            for state in (self._played, self._asked):  # a refusal does not take it back
                if state is not None and at in state.numbers and (at < MACROS_AT or self._has_macros_of(state)):
                    state.numbers[at] = number

    def _has_macros_of(self, state: PatchState) -> bool:
        """True if that patch's macros, which have the same cells in every patch, move the same nodes as the present."""
        nodes = {name: node.id for name, node in self.nodes.items()}
        before = {name: node.id for name, node in state.nodes.items()}
        names = {target.node for macro in self.graph.macros for target in macro.targets}
        return state.graph.macros == self.graph.macros and all(nodes.get(n) == before.get(n) for n in names)

    def snapshot(self) -> PatchState:
        """The patch as it is now."""
        numbers = {0: self.numbers[0]}
        for node in (*self.nodes.values(), *self.panel.values()):
            cells = range(node.base, node.base + len(node.cells))
            numbers |= {at: self.numbers[at] for at, param in zip(cells, node.cells, strict=True) if not param.readonly}
        return PatchState(
            self.current(), dict(self.nodes), numbers, self.catalog.copy(), self.name, self.path, self.patch,
            dict(self.scenes), self.clips, self.place, self.done, self.undone, self.edits,
        )  # fmt: skip

    def _return_to(self, state: PatchState) -> None:
        self.catalog.take(state.catalog)
        self._take_nodes(state.graph, state.nodes)
        for at, number in state.numbers.items():
            self.numbers[at] = number
        self.name, self.path, self.patch = state.name, state.path, state.patch
        self.scenes, self.clips, self.place = dict(state.scenes), state.clips, state.place
        self.done, self.undone = state.done, state.undone

    def _take_nodes(self, graph: Graph, nodes: Mapping[str, Node]) -> None:
        """Replaces graph and nodes; the texts are those of the graph."""
        self.graph, self.nodes = graph, dict(nodes)
        for spec in graph.nodes:
            node = self.nodes[spec.name]
            texts = ((c, spec.values.get(p.name)) for c, p in enumerate(node.cells) if p.kind in ("text", "file"))
            node.texts = {cell: str(text) for cell, text in texts if text is not None}
        self.index()

    def _begin_edit(self) -> None:
        """Keeps what a refusal of the plan with the edit that follows returns to."""
        if not self.loading:
            self._played = self.snapshot()
        elif self._stale is None:
            self._asked = self.snapshot()
        self._played, self._asked = self._keep_rest(self._played), self._asked and self._keep_rest(self._asked)

    def _keep_rest(self, state: PatchState) -> PatchState:
        """That state with the scenes, clips, place and undo of now, if only values were edited since."""
        if state.edits != self.edits:
            return state
        return replace(
            state, patch=self.patch, scenes=dict(self.scenes), clips=self.clips, place=self.place, done=self.done,
            undone=self.undone,
        )  # fmt: skip

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
        self._begin_edit()
        retained = self.arrange(graph, self._plans())
        self.edits += 1
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
            self.numbers[0] = tempo
            changed.append(TempoChanged(tempo))
        return [*self._ask(fade), *changed]

    def _place_macros(self) -> None:
        for node in self.panel.values():
            for cell, macro in enumerate(self.graph.macros):
                there, target = self.param(macro.targets[0].node, macro.targets[0].param), macro.targets[0]
                param = there[0].cells[there[1]]
                self.numbers[node.base + cell] = target.place(param, self.value_at(*there))

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
        self._begin_edit()
        self.catalog.take(catalog)
        self.replace_types(graph, self._plans())
        self.edits += 1
        self._quantum = quantum
        return self._ask(FADE)

    def _edit(self, graph: Graph) -> list[Effect]:
        if graph == self.graph:
            return []
        graphs.check(graph, self.catalog)
        self._begin_edit()
        self.arrange(graph, self._plans())
        self.edits += 1
        return self._ask(FADE)

    def _plans(self) -> list[Mapping[str, Node]]:
        return [self.nodes, self._played.nodes, self.ends, *([] if self._asked is None else [self._asked.nodes])]

    def edit_value(self, node: Node, cell: int, value: Value) -> list[Effect]:
        """Changes a parameter that the engine gets only in a plan, and requests that plan."""
        if node.cells[cell].name == node.info.variant_parameter:
            return self._vary(node, str(value))
        self._begin_edit()
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
        self._begin_edit()
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
            self.numbers[node.base + cell] = param.encode(value)

    def _ask(self, fade: float, *, again: bool = False) -> list[Effect]:
        if self.loading:
            # the engine prepares one plan at a time; `_request_next` requests one with all edits since
            self._stale = max(fade, self._stale or 0.0)
            return []
        self.serial += 1
        self.loading, self._asked, self._again_asked = True, None, again
        ids = {n.name: n.id for n in self.nodes.values()}
        tempo = self.tempo if self._new_engine or self.tempo != self._played.tempo else 0.0
        quantum, self._quantum, tail, self._tail = self._quantum, 0.0, self._tail, 0.0
        versions = self.catalog.versions
        return [EngineLoad(self.serial, self.current(), ids, tempo, fade, again, versions, quantum, tail)]

    def loaded(self, serial: int, sample: float) -> list[Effect]:
        """Handles a loaded plan: sends values that its nodes may lack, since they go on with theirs or are set since.

        A serial other than the pending load's is ignored. Returns the values, the tempo if it changed meanwhile, and
        the request for the next plan if one is due.
        """
        if not self.loading or serial != self.serial:
            return []
        before, now = self._played, self._asked or self.snapshot()
        prepared, prepared_before = now.prepared, before.prepared
        effects: list[Effect] = []
        for node in now.nodes.values():
            goes_on, anew = node.id in self.playing, prepared[node.id] != prepared_before.get(node.id)
            for cell, param in enumerate(node.cells):
                at = node.base + cell
                differs = self._new_engine or (goes_on and now.numbers.get(at) != before.numbers.get(at))
                until = self._since.get(at, _SCHEDULED)
                if is_sent_as_number(param) and (differs or until > _SCHEDULED or (anew and at in self._since)):
                    effects.append(NodeSet(node.id, cell, now.numbers[at], max(0.0, until - sample) / self.rate))
        if 0 in self._since:
            effects.append(SetTempo(now.tempo))
        self.playing = _END_NUMBERS | {n.id for n in now.nodes.values()}
        self._played, self._since, self._new_engine, self.loading = now, {}, False, False
        return effects + self._request_next()

    def refused(self, serial: int) -> list[Effect]:
        """Handles a refused plan: requests a newer one, or returns to what plays."""
        if not self.loading or serial != self.serial:
            return []
        self.loading = False
        if self._stale is not None:
            return self._request_next()
        moved, self._since = self._since, {}
        self._return_to(self._keep_rest(self._played))
        cells = ((node, cell) for node in self.nodes.values() for cell in range(len(node.cells)))
        return [
            change for node, cell in cells if node.base + cell in moved for change in self.follow_by_macros(node, cell)
        ]

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
        again = not self.loading
        if again:
            self._begin_edit()
        self._quantum = self._tail = 0.0
        self.loading, self._stale, self._new_engine = False, None, True
        self.playing = _END_NUMBERS
        self._since.clear()
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
        """The state as JSON, without `numbers`, which are stored by their owner, and what can be undone."""
        return {
            "graph": self.current().to_json(),
            "nodes": {node.name: [node.id, node.base] for node in self.nodes.values()},
            "name": self.name,
            "path": self.path,
            "scenes": {str(number): dict(scene) for number, scene in self.scenes.items()},
            "clips": to_builtins(self.clips),
            "serial": self.serial,
            "next_id": self.next_id,
            "loading": self.loading,
        }

    def restore(self, data: Mapping[str, Any]) -> bool:
        """Restores a state of `to_json`; True if it was played. `PatchError` where a plugin is missing."""
        graph = Graph.from_json(data["graph"])
        graphs.check(graph, self.catalog)
        kinds = {n.name: self.catalog[n.type] for n in graph.nodes}
        self._take_nodes(graph, {name: Node(i, name, kinds[name], base) for name, (i, base) in data["nodes"].items()})
        self.name, self.path = data["name"], data["path"]
        self.scenes = {int(number): dict(scene) for number, scene in data["scenes"].items()}
        self.clips = convert(data["clips"], dict[str, PatchClip])
        # a leap, for the process may have been killed after it requested plans and before it saved their numbers
        self.serial, self.next_id = data["serial"] + _LEAP, data["next_id"] + _LEAP
        self.mend()
        self._played = self.snapshot()
        self.playing = _END_NUMBERS | {n.id for n in self.nodes.values()}
        return not data["loading"]
