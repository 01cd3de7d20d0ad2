"""Renders a file through a patch like the engine, with tempo, schedule and master limiter."""

import heapq
import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param, suggest_parameters
from antiphon.kernel.contract.processor import BlockTime
from antiphon.kernel.engine.action_schedule import CAPACITY
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.levels import ChosenPairs
from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.io_nodes import OUT_NUMBER, declaration, nodes_outside_plan
from antiphon.kernel.graph.patch import load as load_patch
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.actions import Action, Changed, EngineLoad, TempoChanged
from antiphon.kernel.session.commands import Beat, Command, Sample, SetParam
from antiphon.kernel.session.node_state import SLOTS
from antiphon.kernel.session.schedule import Moment
from antiphon.kernel.session.session import Session
from antiphon.offline.event_file import at_beginning
from antiphon.offline.replay import ReplayedTracks
from antiphon.offline.runner import Make

GAIN = 3
"""Index of the gain among the cells of `out`."""
COUNTS = ("missed", "dropped", "alone")
"""Read-only parameters in which a processor counts lost notes, or notes that it did not play."""
_ALL_DUE = Moment(math.inf, math.inf)


class PlayerRunner:
    """Runs a graph in a graph player, with commands at samples and beats.

    `listener`: called after each block with the plan, the input, the output and the block's first sample. `plan`: the
    graph as the player runs it, without clock, schedule and limiter.
    """

    def __init__(
        self,
        graph: Graph,
        catalog: Catalog,
        make: Make,
        spec: StreamSpec,
        tempo: float = 120.0,
        commands: Sequence[Command] = (),
        pairs: Sequence[str] = (),
    ) -> None:
        """`pairs`: pairs of the output, as in `output_buses`, if there are several."""
        self.spec = spec
        graph, commands = settle(graph, catalog, commands)
        ids, actions = convert_to_actions(graph, catalog, spec.rate, commands)
        self._names = {number: name for name, number in ids.items()}
        self.listener: Callable[[Plan, Samples, Samples, int], None] | None = None
        plan = self.plan = compile_plan(graph, catalog, make, spec, ids)
        self._hosts = plan.hosts
        self._counts = {
            (ids[node.name], cell): (node.name, param)
            for node in graph.nodes
            for cell, param in enumerate(catalog[node.type].cells)
            if param.readonly and param.name in COUNTS
        }
        self._player = GraphPlayer(spec, tempo)
        self._player.load(plan, 1, 0.0)
        self._tracks: ReplayedTracks | None = None
        self._pairs = ChosenPairs(pairs, spec) if len(pairs) > 1 else None
        self.latency = plan.latency + int(getattr(self._player, "latency", 0))  # latency of the graph, frames
        self.failures: list[tuple[str, str]] = []
        self.beyond = 0  # blocks with a frame beyond full scale, before the limiter, which bends more and for longer
        self._by_sample: list[tuple[int, int, Action]] = []
        self._by_beat: list[tuple[float, int, Action]] = []
        for place, action in enumerate(actions):
            match action.when:
                case Sample(n):
                    self._by_sample.append((n, place, action))
                case Beat(b):
                    self._by_beat.append((b, place, action))
                case _:
                    self._by_sample.append((0, place, action))
        heapq.heapify(self._by_sample)
        heapq.heapify(self._by_beat)

    def record(self, tracks: ReplayedTracks) -> None:
        """Keeps each strip's sound too, from the first block on."""
        self._player.strips.keep(True)
        self._tracks = tracks

    @property
    def clock(self) -> BlockTime:
        """The clock at the beginning of the last block."""
        return self._player.time

    def beat(self) -> float | None:
        """Beat at the beginning of the last block; None while the clock is stopped."""
        return self.clock.beat if self.clock.playing else None

    @property
    def gain(self) -> float:
        """Level of the output, dB."""
        end = self._player.host(OUT_NUMBER)
        assert end is not None
        return float(end.cells[GAIN].target)

    @property
    def dropped(self) -> int:
        """Number of commands dropped by a full schedule."""
        return self._player.counters.schedule_dropped

    def vocabularies(self) -> dict[str, Mapping[str, tuple[str, ...]]]:
        """Vocabularies of the nodes' text parameters, by node and parameter."""
        return {self._names[number]: host.processor.vocabulary for number, host in self._hosts.items()}

    def counts(self) -> list[tuple[str, Param, int]]:
        """(node, readonly parameter, number) of the nodes' lost notes, by the names in `COUNTS`."""
        found = []
        for number, cell, value in self.plan.reports():
            if value > 0 and (number, cell) in self._counts:
                node, param = self._counts[number, cell]
                found.append((node, param, int(value)))
        return found

    def run(self, x: Samples) -> Samples:
        player = self._player
        end = player.sample + x.shape[1]
        while self._by_sample and self._by_sample[0][0] < end:
            player.take(heapq.heappop(self._by_sample)[2])
        # actions by beat are scheduled ahead, up to half of the schedule: a tempo change may make them due now
        while self._by_beat and len(player.schedule) < CAPACITY // 2:
            player.take(heapq.heappop(self._by_beat)[2])
        limited = player.counters.limited_blocks
        y = player.run(x)
        if player.counters.limited_blocks > limited and player.buses.source is not None:
            raw = np.abs(player.buses.source[:, : x.shape[1]]).max(initial=0.0)
            self.beyond += bool(raw * 10.0 ** (self.gain / 20.0) > 1.0)
        if self._tracks is not None:
            self._tracks.keep(player, end - x.shape[1], x, y)
        if self.listener is not None:
            self.listener(self.plan, x, y, end - x.shape[1])
        while player.reports:
            report = player.reports.popleft()
            if report.kind == "failed":
                self.failures.append((self._names[report.node], report.text))
        return y if self._pairs is None else self._pairs.gather(player.buses)[:, : x.shape[1]]

    def close(self) -> None:
        """Closes the processors."""
        close_hosts(self._hosts.values(), {})


def patch_runner(name_or_path: str | Path, loaded: Loaded, spec: StreamSpec, *, trusted: bool = True) -> PlayerRunner:
    """Runner of a patch by name or, if `trusted`, by file. Raises `AntiphonError`: it cannot be played."""
    graph = load_patch(name_or_path, loaded.catalog, trusted=trusted).graph
    return PlayerRunner(graph, loaded.catalog, loaded.make, spec)


def settle(graph: Graph, catalog: Catalog, commands: Sequence[Command]) -> tuple[Graph, list[Command]]:
    """Sets initial values that need a new plan: texts, `restart`. Raises ParamError: a value is not allowed."""
    nodes, rest = {node.name: node for node in graph.nodes}, list[Command]()
    for command in commands:
        param = None
        if isinstance(command, SetParam) and command.node in nodes and at_beginning(command.when):
            cells = catalog[nodes[command.node].type].cells
            param = next(
                (p for p in cells if p.name == command.param and (p.restart or p.kind in ("text", "file"))), None
            )
        if param is None:
            rest.append(command)
        else:
            assert isinstance(command, SetParam)
            node = nodes[command.node]
            nodes[node.name] = replace(node, values={**node.values, param.name: param.check(command.value)})
    return replace(graph, nodes=tuple(nodes.values())), rest


def convert_to_actions(
    graph: Graph, catalog: Catalog, rate: int, commands: Iterable[Command]
) -> tuple[dict[str, int], list[Action]]:
    """Converts commands to engine actions by a session, as live; returns every node's number, and the actions in order.

    Raises ParamError: a value is not allowed. Raises RequestError: there is no such node or parameter, or no node takes
    a note. Raises UsageError: a parameter cannot change without a new plan.
    """
    session = Session(catalog, array("d", bytes(8 * SLOTS)), rate)
    (load,) = [effect for effect in session.state.load(graph, "") if isinstance(effect, EngineLoad)]
    session.state.loaded(load.serial, 0.0)
    actions: list[Action] = []
    for command in commands:
        for effect in session.handle(command, _ALL_DUE):
            if isinstance(effect, EngineLoad):
                raise UsageError(f"{command} cannot change while a file plays; set it in the patch")
            if not isinstance(effect, Changed | TempoChanged):
                actions.append(effect if effect.when is command.when else replace(effect, when=command.when))
    return load.ids, actions


def param_finder(graph: Graph, catalog: Catalog) -> Callable[[str, str], Param]:
    """Function that looks up a parameter by node and name, and raises UsageError if there is none."""
    infos = [(node.name, declaration(node, catalog)) for node in (*graph.nodes, *nodes_outside_plan(graph))]
    nodes = {name: {param.name: param for param in info.cells} for name, info in infos if info is not None}

    def find(node: str, name: str) -> Param:
        if node not in nodes:
            raise UsageError(f"there is no node {node!r}{instead(node, nodes)}")
        if name not in nodes[node]:
            raise UsageError(f"{node} has no parameter {name!r}{suggest_parameters(name, nodes[node].values())}")
        return nodes[node][name]

    return find
