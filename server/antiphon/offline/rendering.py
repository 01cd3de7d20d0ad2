"""A patch over a file, as the engine would play it: with tempo, schedule and master limiter."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence

from antiphon.contract.block import Samples, StreamSpec
from antiphon.contract.catalog import Catalog
from antiphon.contract.params import Param
from antiphon.engine.actions import CAPACITY, EVENT_OPS, Action, Op
from antiphon.engine.graph_player import GraphPlayer
from antiphon.errors import UsageError
from antiphon.graph.compiler import close_hosts, compile_plan
from antiphon.graph.graph import Graph
from antiphon.offline.runner import Make
from antiphon.runtime.suggestion import instead
from antiphon.session.commands import (
    Beat,
    Bend,
    ClearSchedule,
    Command,
    Control,
    NoteOff,
    NoteOn,
    Panic,
    ResetNode,
    Sample,
    SetParam,
    SetTempo,
    Transport,
)
from antiphon.session.notes import Players, checked


class StageRunner:
    """A graph in the engine's stage, played by commands at samples and beats.

    Failures of nodes are kept in `failures`, as (node name, reason): the node is heard dry, as live.
    """

    def __init__(
        self,
        graph: Graph,
        catalog: Catalog,
        make: Make,
        spec: StreamSpec,
        tempo: float = 120.0,
        commands: Sequence[Command] = (),
    ) -> None:
        self.spec = spec
        self._ids = {node.name: number for number, node in enumerate(graph.nodes, 1)}
        self._names = {number: name for name, number in self._ids.items()}
        self._actions = Actions(graph, catalog, self._ids)
        plan = compile_plan(graph, catalog, make, spec, self._ids)
        self._hosts = plan.hosts
        self._stage = GraphPlayer(spec, tempo)
        self._stage.load(plan, 1, 0.0)
        self.latency = plan.latency + int(getattr(self._stage, "latency", 0))
        self.failures: list[tuple[str, str]] = []
        self._by_sample: list[tuple[int, int, Action]] = []
        self._by_beat: list[tuple[float, int, Beat, Action]] = []
        asked = ((command, action) for command in commands for action in self._actions.of(command))
        for place, (command, action) in enumerate(asked):
            match command.when:
                case Sample(n):
                    self._by_sample.append((n, place, action))
                case Beat() as when:
                    self._by_beat.append((when.b, place, when, action))
                case _:
                    self._by_sample.append((0, place, action))
        heapq.heapify(self._by_sample)
        heapq.heapify(self._by_beat)

    @property
    def dropped(self) -> int:
        """Commands that were too many at once."""
        return self._stage.counters.schedule_dropped

    def run(self, x: Samples) -> Samples:
        stage = self._stage
        end = stage.sample + x.shape[1]
        while self._by_sample and self._by_sample[0][0] < end:
            sample, _, action = heapq.heappop(self._by_sample)
            stage.at_sample(sample, action)
        # By beat everything goes ahead, as far as the schedule holds: a tempo change may move it here.
        while self._by_beat and len(stage.schedule) < CAPACITY // 2:
            _, _, when, action = heapq.heappop(self._by_beat)
            stage.at_beat(when.b, when.quantum, action)
        y = stage.run(x)
        while stage.reports:
            report = stage.reports.popleft()
            if report.kind == "failed":
                self.failures.append((self._names[report.node], report.text))
        return y

    def close(self) -> None:
        close_hosts(self._hosts.values(), {})


class Actions:
    """Commands as the engine's records: node and parameter as numbers, values checked and encoded."""

    def __init__(self, graph: Graph, catalog: Catalog, ids: Mapping[str, int]) -> None:
        self._ids = ids
        self._find = param_finder(graph, catalog)
        self._players = Players(graph, catalog)
        self._places = {
            node.name: {param.name: i for i, param in enumerate(catalog[node.type].cells)} for node in graph.nodes
        }

    def of(self, command: Command) -> tuple[Action, ...]:
        """The actions of a command: one, or for a note one for each node that plays it.

        Raises `ParamError` (a value that is not allowed), `WireError` (a note nobody takes) or `UsageError` (no such
        node or parameter).
        """
        match command:
            case NoteOn() | NoteOff() | Control() | Bend():
                kind, number, value = checked(command)
                nodes = [self._ids[name] for name in self._players.of(command.node)]
                return tuple(Action(EVENT_OPS[kind], node, number, value, token=command.channel) for node in nodes)
        return (self._one(command),)

    def _one(self, command: Command) -> Action:
        match command:
            case SetParam(node, name, value, ramp):
                param = self._find(node, name)
                return Action(Op.SET, self._ids[node], self._places[node][name], param.encode(param.check(value)), ramp)
            case ResetNode(node):
                if node not in self._ids:
                    raise UsageError(f"there is no node {node!r}{instead(node, self._ids)}")
                return Action(Op.RESET, self._ids[node])
            case SetTempo(bpm, beats):
                return Action(Op.TEMPO, number=bpm, ramp=beats)
            case Transport(playing, beat):
                cell = -1 if playing is None else int(playing)
                return Action(Op.TRANSPORT, cell=cell, number=float("nan") if beat is None else beat)
            case Panic():
                return Action(Op.PANIC)
            case ClearSchedule():
                return Action(Op.CLEAR)
        raise UsageError(f"{type(command).__name__} cannot be played from a file of events")


def param_finder(graph: Graph, catalog: Catalog) -> Callable[[str, str], Param]:
    """Finds a node's parameter by name, or says which there are with a `UsageError`."""
    nodes = {node.name: {param.name: param for param in catalog[node.type].cells} for node in graph.nodes}

    def find(node: str, name: str) -> Param:
        if node not in nodes:
            raise UsageError(f"there is no node {node!r}{instead(node, nodes)}")
        if name not in nodes[node]:
            raise UsageError(f"{node} has no parameter {name!r}{instead(name, nodes[node], 'it has')}")
        return nodes[node][name]

    return find
