"""How the loader makes a plan: what is new is tried in the weigher's child, then prepared here, then judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from antiphon.contract.catalog import Catalog
from antiphon.contract.processor import Processor
from antiphon.engine.admission import PATIENCE, Admission, LoadEstimator
from antiphon.engine.loading import LoadingNote, Prepared
from antiphon.errors import NodeError, PluginError
from antiphon.graph.compiler import close_hosts, compile_plan, keeping
from antiphon.graph.graph import Graph, NodeSpec
from antiphon.graph.node_host import NodeHost
from antiphon.graph.plan import Plan
from antiphon.workers.pool import Pool

CRASHED = "hung or crashed the engine while it was prepared: give it another value, or take it out and put it in again"
AGAIN_PATIENCE = 1.0
"""Seconds for the weigher to answer while there is no sound: what has played before is then taken as it is."""


@dataclass(frozen=True, slots=True)
class Made:
    """A plan whose nodes are prepared.

    costs: of each node by name, in ms of CPU a block.  fresh: numbers of nodes that the plan before has not.
    """

    plan: Plan
    costs: Mapping[str, float]
    fresh: frozenset[int]

    @property
    def unprepared(self) -> dict[int, str]:
        """By number, nodes that could not be prepared, and why."""
        return {number: host.unprepared for number, host in self.plan.hosts.items() if host.unprepared}


@dataclass(slots=True)
class PlanMaker:
    """Makes plans that follow one another. Off the block path; `last` is the one that plays, or is to."""

    catalog: Catalog
    make: Callable[[str], Processor]
    scales: LoadEstimator
    loading: LoadingNote
    last: Made | None = None
    _prepared: dict[int, Prepared] = field(default_factory=dict)

    def made(self, graph: Graph, ids: Mapping[str, int], *, again: bool) -> Made:
        """A plan for `graph` to follow the last one.

        Args:
            graph: Nodes and wires, with values.
            ids: The number of every node.
            again: It has played before, and there is nothing to go back to: a node that cannot be prepared any more
                fails by itself.

        Raises:
            PatchError: The graph makes no sense.
            NodeError: A node cannot be prepared, or did not survive its trial.
            PluginError: The trial could not be made.
        """
        unprepared: dict[int, str] = {}
        while True:
            try:
                return self._made(graph, ids, unprepared, again=again)
            except NodeError as error:
                if not again:
                    raise
                unprepared[ids[error.node]] = str(error)
            finally:
                self.loading.beat()

    def _made(self, graph: Graph, ids: Mapping[str, int], unprepared: dict[int, str], *, again: bool) -> Made:
        last = self.last
        old = None if last is None else last.plan
        kept = keeping(graph, self.catalog, ids, old)
        prepared = {ids[n.name]: Prepared.of(ids[n.name], self.catalog[n.type], n.values) for n in graph.nodes}
        for number in prepared.keys() - kept.keys():
            if prepared[number] in self.loading.noted:
                unprepared.setdefault(number, CRASHED)
        new = [n for n in graph.nodes if ids[n.name] not in kept and ids[n.name] not in unprepared]
        before = {} if last is None else last.costs
        costs = {n.name: before.get(n.name, 0.0) if ids[n.name] in kept else 0.0 for n in graph.nodes}
        try:
            patience = AGAIN_PATIENCE if again else PATIENCE
            costs |= zip((n.name for n in new), self.scales.tried(new, patience), strict=True)
        except NodeError:
            raise
        except PluginError:
            if not again:
                raise

        def begin(number: int, node: NodeSpec) -> None:
            self.loading.prepares(prepared[number], node.name)

        plan = compile_plan(graph, self.catalog, self.make, self.scales.spec, ids, old, unprepared, begin)
        self._prepared = prepared
        return Made(plan, costs, frozenset(plan.hosts.keys() - kept.keys()))

    def judged(self, made: Made, pool: Pool | None) -> Admission:
        """Whether it fits."""
        return self.scales.judged(made.costs, pool)

    def take(self, made: Made) -> None:
        """It plays from here: the next one follows it."""
        self.last = made
        self.loading.keep([self._prepared[number] for number in made.unprepared])

    def close(self, hosts: Mapping[int, NodeHost]) -> None:
        """Gives back what processors hold that the last plan has not."""
        close_hosts(hosts.values(), {} if self.last is None else self.last.plan.hosts, self._closes)
        self.loading.beat()

    def _closes(self, host: NodeHost) -> None:
        self.loading.closes(host.name)
