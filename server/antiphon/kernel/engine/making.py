"""Makes plans for the loader: new nodes are tried in the weigher, prepared here, then admitted by their load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from antiphon.kernel.engine.admission import PATIENCE, Admission, LoadEstimator
from antiphon.kernel.engine.loading import LoadingNote, Prepared
from antiphon.kernel.errors import NodeError, PluginError
from antiphon.kernel.graph.compiler import close_hosts, compile_plan, reusable_hosts
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.plugins.versions import PluginVersions
from antiphon.kernel.workers.pool import Pool

CRASHED = "hung or crashed the engine while it was prepared: give it another value, or take it out and put it in again"
AGAIN_PATIENCE = 1.0
"""Maximum wait in seconds for the weigher after an engine restart, without sound; then a plan is made untried."""


@dataclass(frozen=True, slots=True)
class PlanCandidate:
    """A plan with prepared nodes.

    Attributes:
        costs: CPU time of each node by name, ms for a block.
        fresh: Numbers of nodes that the previous plan does not have.
    """

    plan: Plan
    costs: Mapping[str, float]
    fresh: frozenset[int]

    @property
    def unprepared(self) -> dict[int, str]:
        """Nodes that could not be prepared, with the reason by node number."""
        return {number: host.unprepared for number, host in self.plan.hosts.items() if host.unprepared}


@dataclass(slots=True)
class PlanMaker:
    """Compiles each plan so that it reuses the previous plan's nodes. Runs in the loader's thread.

    Attributes:
        loading: Shared note of the node that is being prepared, read by the supervisor.
        last: The plan that plays, or that the loop has not taken yet.
    """

    plugins: PluginVersions
    estimator: LoadEstimator
    loading: LoadingNote
    last: PlanCandidate | None = None
    _prepared: dict[int, Prepared] = field(default_factory=dict)

    def make_plan(
        self, graph: Graph, ids: Mapping[str, int], *, again: bool, versions: Mapping[str, str] = MappingProxyType({})
    ) -> PlanCandidate:
        """Compiles a plan for `graph` as successor of the last one.

        `again`: the graph played before an engine restart, so there is no plan to fall back to: a node that cannot be
        prepared fails alone. `versions` as for `PluginVersions.use`.

        Raises:
            PatchError: The graph makes no sense.
            NodeError: A node cannot be prepared, or did not survive its trial.
            PluginError: The trial could not be made, or a version cannot be imported.
        """
        self.plugins.use(versions)
        unprepared: dict[int, str] = {}
        while True:
            try:
                return self._compile(graph, ids, unprepared, versions, again=again)
            except NodeError as error:
                if not again:
                    raise
                unprepared[ids[error.node]] = str(error)
            finally:
                self.loading.beat()

    def _compile(
        self,
        graph: Graph,
        ids: Mapping[str, int],
        unprepared: dict[int, str],
        versions: Mapping[str, str],
        *,
        again: bool,
    ) -> PlanCandidate:
        catalog, last = self.plugins.catalog, self.last
        old = None if last is None else last.plan
        reused = reusable_hosts(graph, catalog, ids, old)
        prepared = {ids[n.name]: Prepared.of(ids[n.name], catalog[n.type], n.values) for n in graph.nodes}
        for number in prepared.keys() - reused.keys():
            if prepared[number] in self.loading.blamed:
                unprepared.setdefault(number, CRASHED)
        new = [n for n in graph.nodes if ids[n.name] not in reused and ids[n.name] not in unprepared]
        before = {} if last is None else last.costs
        costs = {n.name: before.get(n.name, 0.0) if ids[n.name] in reused else 0.0 for n in graph.nodes}
        try:
            patience = AGAIN_PATIENCE if again else PATIENCE
            costs |= zip((n.name for n in new), self.estimator.measure(new, patience, versions), strict=True)
        except NodeError:
            raise
        except PluginError:
            if not again:
                raise

        def begin(number: int, node: NodeSpec) -> None:
            self.loading.begin_prepare(prepared[number], node.name)

        plan = compile_plan(graph, catalog, self.plugins.make, self.estimator.spec, ids, old, unprepared, begin)
        self._prepared = prepared
        return PlanCandidate(plan, costs, frozenset(plan.hosts.keys() - reused.keys()))

    def admit(self, candidate: PlanCandidate, pool: Pool | None) -> Admission:
        """Decides if a plan's load fits this machine."""
        return self.estimator.admit(candidate.costs, pool)

    def take(self, candidate: PlanCandidate) -> None:
        """Makes `candidate` the predecessor of the next plan."""
        self.last = candidate
        self.loading.keep([self._prepared[number] for number in candidate.unprepared])

    def close(self, hosts: Mapping[int, NodeHost]) -> None:
        """Closes the processors of `hosts` that the last plan does not contain."""
        close_hosts(hosts.values(), {} if self.last is None else self.last.plan.hosts, self._begin_close)
        self.loading.beat()

    def _begin_close(self, host: NodeHost) -> None:
        self.loading.begin_close(host.name)
