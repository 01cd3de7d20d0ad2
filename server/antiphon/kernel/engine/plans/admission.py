"""Admission of a plan: tries its new nodes and measures their load before the engine prepares them.

Each new node is prepared, run on noise and closed in a separate process, the weigher. So a trial does not delay the
running sound, and a node that hangs or crashes ends only its trial. The load of a worker is the hop time measured at
its start.
"""

import json
import mmap
import os
import socket
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.processor import BlockTime, Processor
from antiphon.kernel.errors import AntiphonError, NodeError, PluginError
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire, in_series
from antiphon.kernel.plugins.checks import in_child
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.plugins.versions import PluginVersions
from antiphon.kernel.runtime.platform import PORTABLE, anonymous_file, short_slices
from antiphon.kernel.runtime.processes import forked, spawning
from antiphon.kernel.runtime.processes.child_process import unblock_signals
from antiphon.kernel.workers.arena import SlotWord, State, WorkerWord
from antiphon.kernel.workers.devices import preferred_device, without_workers
from antiphon.kernel.workers.pool import Pool

TRIAL_BLOCKS = 48
TRIAL_SECONDS = 0.3
"""CPU time after which a node's measurement ends, s; a slow node is measured over fewer than `TRIAL_BLOCKS` blocks."""
_SEVERAL = 8
"""Number of measured blocks from which on the slowest is left out."""
TRIAL_LIMIT = 8.0
"""Time limit in seconds for the trial of all new nodes of a plan, counted by `StallTimeout`; then it is killed."""
TIMEOUT_SECONDS = 10.0
"""Seconds without a message, of which the weigher sends ten a second during a trial, after which it counts as lost."""
_MAX_MESSAGE = 8 << 20
FULL, CLOSE = 0.95, 0.70
"""Load limits, as shares of a block or a hop: above `FULL` a plan is refused, above `CLOSE` it plays with a warning."""
_MAX_COSTS = 512
"""Maximum measured costs cached by the weigher."""
_NO_VERSIONS: Mapping[str, str] = MappingProxyType({})
_MAX_REFUSAL = 1000
"""Maximum characters of a refusal, which the child writes to its pipe in one piece."""


@dataclass(frozen=True, slots=True)
class Share:
    """The load of one node or one worker."""

    what: str
    spent: float  # CPU time for a block or hop, ms
    period: float  # duration of the block or hop, ms

    @property
    def share(self) -> float:
        """Time spent as a share of the period; 1 is full load."""
        return self.spent / self.period


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision on a plan."""

    load: float  # measured load of the engine, as a share of a block
    refused: str = ""  # why the plan is refused, with the numbers; "" when it is admitted
    warning: str = ""  # why the plan may not keep up, with the numbers; "" when it has room


@dataclass(slots=True)
class LoadEstimator:
    """Client of the weigher, for the loader: measures nodes that the engine does not run yet.

    `spec`: rate, block size and channels of the engine; `weigher`: socket to the weigher process.
    """

    spec: StreamSpec
    weigher: socket.socket
    _request: int = field(default_factory=time.monotonic_ns)

    def measure(
        self,
        nodes: list[NodeSpec],
        patience: float = TIMEOUT_SECONDS,
        versions: Mapping[str, str] = _NO_VERSIONS,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[float]:
        """Returns the CPU ms per block of each node, by the weigher; `NodeError` for a failed trial, else
        `PluginError`.

        `patience`: timeout in seconds. `meanwhile` is called at each message of a running trial, and restarts the
        timeout.
        """
        if not nodes:
            return []
        weigher = self.weigher
        self._request += 1
        request = {
            "number": self._request,
            "nodes": [[n.name, n.type, dict(n.values)] for n in nodes],
            "versions": dict(versions),
        }
        try:
            weigher.send(json.dumps(request).encode())
            answer: dict[str, Any] = {}
            until = time.monotonic() + patience
            while answer.keys() <= {"number"} or answer["number"] != self._request:  # that of an earlier one may come
                weigher.settimeout(max(1e-3, until - time.monotonic()))
                answer = json.loads(weigher.recv(_MAX_MESSAGE))
                if meanwhile is not None:
                    meanwhile()
                    until = time.monotonic() + patience
        except OSError as error:
            raise PluginError(f"the patch's new nodes could not be tried: {error}") from error
        if "node" in answer:
            raise NodeError(answer["said"], answer["node"])
        return [float(cost) for cost in answer["costs"]]

    def admit(self, costs: Mapping[str, float], pool: Pool | None) -> Admission:
        """Decides by each node's CPU time, ms for a block, whether a plan fits this machine and its workers."""
        period = self.spec.block * 1e3 / self.spec.rate
        nodes = [Share(name, cost, period) for name, cost in costs.items()]
        return admission_of(nodes, worker_shares(pool) if pool is not None else [], os.cpu_count() or 1)


def run_weigher(requests: socket.socket, catalog: Catalog, plugins: Callable[[], Loaded], spec: StreamSpec) -> int:
    """Answers JSON requests until SIGTERM: tries nodes in copies of the weigher, and caches costs by type and values.

    `plugins` is called in a copy, which may be a fresh interpreter.
    """
    unblock_signals()
    short_slices()
    place = anonymous_file("antiphon-trial", mmap.PAGESIZE)
    if PORTABLE:  # for the patch of the start, while the engine begins
        spawning.prepare(forked.__name__, __name__)
    known: dict[Hashable, float] = {}
    period = spec.block * 1e3 / spec.rate
    while True:
        message = json.loads(requests.recv(_MAX_MESSAGE))
        nodes = [NodeSpec(*item) for item in message["nodes"]]
        versions: dict[str, str] = message.get("versions", {})
        keys = [_key(node, catalog, versions) for node in nodes]
        if len(known) > _MAX_COSTS:
            known.clear()
        new = {key: node for key, node in zip(keys, nodes, strict=True) if key not in known}
        number = message["number"]
        at_it = partial(requests.send, json.dumps({"number": number}).encode())
        answer: dict[str, Any] = {"costs": []}
        if new:
            trial = partial(_try_all, list(new.values()), plugins, versions, spec, place)
            answer = _try_in_child(trial, list(new.values()), place, at_it)
        if "costs" in answer:
            costs = known | dict(zip(new, answer["costs"], strict=True))
            answer = {"costs": [costs[key] for key in keys]}
            # what refuses a patch alone is measured again: a machine that was busy may have slowed it
            known = {key: cost for key, cost in costs.items() if cost < FULL * period}
        requests.send(json.dumps({"number": number, **answer}).encode())


def _key(node: NodeSpec, catalog: Catalog, versions: Mapping[str, str]) -> Hashable:
    """Nodes with equal keys cost the same: same type, prepared with the same values."""
    info = catalog.get(node.type)
    if info is None or info.plugin in versions:
        # a type without a known declaration may be of another version: the key holds all values and all versions
        return (node.type, tuple(sorted(versions.items())), tuple(sorted(node.values.items())))
    return (node.type, tuple(sorted(info.values_for_prepare(node.values).items())))


def _try_in_child(
    trial: Callable[[], str], nodes: list[NodeSpec], place: int, at_it: Callable[[], object]
) -> dict[str, Any]:
    """Runs a trial in a copy: {"costs": [ms]} or {"node": name, "said": why}. `place`: file with the node's index."""
    output = in_child(trial, TRIAL_LIMIT, at_it)
    node = nodes[_mapped(place)[0]]
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        return {"node": node.name, "said": f"{node.name} ({node.type}) did not survive its trial: {output}"}
    return answer


def _mapped(place: int) -> memoryview:
    return memoryview(mmap.mmap(place, mmap.PAGESIZE)).cast("q")


def _try_all(
    nodes: list[NodeSpec], plugins: Callable[[], Loaded], versions: Mapping[str, str], spec: StreamSpec, place: int
) -> str:
    at = _mapped(place)
    used = PluginVersions(plugins())
    used.use(versions)
    # what each trial's own plan costs, and a patch of many nodes has once; the first of a process is slower
    through = Graph((), (Wire(End(IN, IN), End(OUT, OUT)),))
    empty = min(_block_cost(through, used.catalog, used.make, spec) for _ in range(2))
    costs = []
    for at[0], node in enumerate(nodes):
        try:
            cost = try_node(node, used.catalog, used.make, spec)
        except AntiphonError as error:
            return json.dumps({"node": node.name, "said": str(error)[:_MAX_REFUSAL]})
        # tenths of microseconds: the costs of the largest patch then fit the buffer of the pipe to the parent
        costs.append(round(max(0.0, cost - empty), 4))
    return json.dumps({"costs": costs})


def try_node(node: NodeSpec, catalog: Catalog, make: Callable[[str], Processor], spec: StreamSpec) -> float:
    """Returns a node's mean CPU time per block of noise at -20 dB, in ms, measured for up to `TRIAL_SECONDS`."""
    values = {k: v for k, v in node.values.items() if k not in ("bypass", "mute", "wet")}
    return _block_cost(in_series([NodeSpec(node.name, node.type, values)], catalog), catalog, make, spec)


def _block_cost(graph: Graph, catalog: Catalog, make: Callable[[str], Processor], spec: StreamSpec) -> float:
    """Mean CPU time of a graph per block, ms."""
    with without_workers(preferred_device()):
        plan = compile_plan(graph, catalog, make, spec, {node.name: 1 for node in graph.nodes})
    # as flat a spectrum as noise has; `np.random` is 15 ms of a fresh interpreter
    frames = np.arange(plan.input.size, dtype=np.float64).reshape(plan.input.shape)
    plan.input[:] = 0.14 * np.sin(frames * frames)
    now, spent, most, blocks = BlockTime(), 0, 0, -1
    # CPU time: on a busy machine a node is measured over as many blocks
    while blocks < 1 or (blocks < TRIAL_BLOCKS and spent < TRIAL_SECONDS * 1e9):
        before = time.thread_time_ns()
        plan.run(spec.block, now)
        if blocks >= 0:  # the first block includes work that is done once
            took = time.thread_time_ns() - before
            spent, most = spent + took, max(most, took)
        now.sample += spec.block
        blocks += 1
    close_hosts(plan.hosts.values(), {})
    if blocks >= _SEVERAL:  # so may a later one: what a node imports, or compiles, with its first hop
        spent, blocks = spent - most, blocks - 1
    return spent / blocks / 1e6


def worker_shares(pool: Pool) -> list[Share]:
    """The load of every running worker with an open slot: a hop of all its slots, as measured at its start."""
    shares = []
    for entry in pool.arena.entries:
        words = entry.words
        if not words[WorkerWord.WANTED] or words[WorkerWord.STATE] != State.RUNNING:
            continue
        spec = entry.spec()
        if any(entry.slot(slot, SlotWord.OPEN) for slot in range(spec.slots)):
            shares.append(Share(spec.name, words[WorkerWord.HOP_P50_NS] / 1e6, spec.hop * 1e3 / spec.rate))
    return shares


def admission_of(nodes: Iterable[Share], workers: Iterable[Share], cores: int) -> Admission:
    """Decides by `FULL` and `CLOSE`: nodes must fit a block, each worker its hop, both together the CPU cores."""
    nodes, workers = list(nodes), list(workers)
    load = sum(node.share for node in nodes)
    slow = max(workers, key=lambda w: w.share, default=None)
    total = load + sum(w.share for w in workers)
    engine = _engine(nodes, load)
    if load > FULL:
        return Admission(load, refused=f"{engine}; take nodes out, or start with a larger --block")
    if slow is not None and slow.share > FULL:
        return Admission(load, refused=f"{_worker(slow)}: it cannot keep up on this machine")
    if total > cores * FULL:
        return Admission(load, refused=f"it would take {total:.1f} of {cores} cores: {_named(nodes + workers)}")
    if load > CLOSE:
        return Admission(load, warning=engine)
    if slow is not None and slow.share > CLOSE:
        return Admission(load, warning=_worker(slow))
    if total > cores * CLOSE:
        return Admission(load, warning=f"it takes {total:.1f} of {cores} cores: {_named(nodes + workers)}")
    return Admission(load)


def _engine(nodes: list[Share], load: float) -> str:
    if not nodes:
        return ""
    return f"it would take {load:.0%} of a block of {nodes[0].period:.2f} ms: {_named(nodes)}"


def _worker(worker: Share) -> str:
    return f"the model {worker.what} takes {worker.spent:.1f} ms for each {worker.period:.1f} ms hop"


def _named(shares: list[Share]) -> str:
    largest = sorted(shares, key=lambda s: -s.share)[:4]
    return ", ".join(f"{s.what} {s.spent:.2f} ms" for s in largest)
