"""Makes plans for the loader: new nodes are tried in the weigher, prepared here, then admitted by their load."""

import gc
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.engine.plans.admission import TIMEOUT_SECONDS, Admission, LoadEstimator
from antiphon.kernel.engine.plans.loading import LoadingNote, Prepared
from antiphon.kernel.errors import NodeError, ParamError, PluginError
from antiphon.kernel.graph.compiler import PlanOutline, build_plan, close_hosts, outline_plan
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.native import compile_all
from antiphon.kernel.plugins.versions import PluginVersions
from antiphon.kernel.workers.pool import Pool

CRASHED = "hung or crashed the engine while it was prepared: give it another value, or take it out and put it in again"
RESTART_TIMEOUT = 1.0
"""Maximum wait in seconds for the weigher after an engine restart, without sound; then a plan is made untried."""


def _check_type(catalog: Catalog, node: NodeSpec) -> None:
    """Raises NodeError: what the node's type is a variant of cannot be had any more."""
    try:
        catalog.get(node.type)
    except ParamError as error:
        raise NodeError(str(error), node.name) from None


@dataclass(frozen=True, slots=True)
class PlanCandidate:
    """A plan with prepared nodes."""

    plan: Plan
    costs: Mapping[str, float]  # CPU time of each node by name, ms for a block
    fresh: frozenset[int]

    @property
    def unprepared(self) -> dict[int, str]:
        """Nodes that could not be prepared, with the reason by node number."""
        return {number: host.unprepared for number, host in self.plan.hosts.items() if host.unprepared}


@dataclass(slots=True)
class PlanMaker:
    """Compiles each plan so that it reuses the previous plan's nodes. Runs in the loader's thread."""

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
        prepared fails alone. `versions` as for `PluginVersions.use`. Raises NodeError: a node cannot be prepared, or
        did not survive its trial.
        """
        self.plugins.use(versions)
        catalog = self.plugins.catalog
        for node in graph.nodes:
            _check_type(catalog, node)
        outline = outline_plan(graph, catalog, ids, None if self.last is None else self.last.plan)
        prepared = {ids[n.name]: Prepared.of(ids[n.name], catalog[n.type], n.values) for n in graph.nodes}
        fresh = prepared.keys() - outline.reused.keys()
        unprepared = {number: CRASHED for number in fresh if prepared[number] in self.loading.blamed}

        def begin(number: int, node: NodeSpec) -> None:
            self.loading.begin_prepare(prepared[number], node.name)

        known = len(sys.modules)
        while True:
            try:
                new = [n for n in graph.nodes if ids[n.name] in fresh and ids[n.name] not in unprepared]
                costs = self._costs(outline, new, versions, again=again)
                plan = build_plan(outline, self.plugins.make, self.estimator.spec, unprepared, begin)
                break
            except NodeError as error:
                if not again:
                    raise
                unprepared[ids[error.node]] = str(error)
            finally:
                self.loading.beat()
        if len(sys.modules) > known:  # for the first node of its type
            compile_all()
            gc.freeze()  # as what is imported before blocks are played: collections take no time for it
        self._prepared = prepared
        return PlanCandidate(plan, costs, frozenset(fresh))

    def _costs(
        self, outline: PlanOutline, new: list[NodeSpec], versions: Mapping[str, str], *, again: bool
    ) -> dict[str, float]:
        """The CPU time of each node: as the last plan has it, of the new ones as the weigher measures it."""
        before = {} if self.last is None else self.last.costs
        kept = {host.name for host in outline.reused.values()}
        costs = {name: before.get(name, 0.0) if name in kept else 0.0 for name in outline.names}
        try:
            if again:
                measured = self.estimator.measure(new, RESTART_TIMEOUT, versions)
            else:
                measured = self.estimator.measure(new, TIMEOUT_SECONDS, versions, self.loading.beat)
        except PluginError as error:
            if not again or isinstance(error, NodeError):
                raise
            return costs
        return costs | dict(zip((n.name for n in new), measured, strict=True))

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
