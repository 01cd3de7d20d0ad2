"""Whether a plan can be played and fits, found out before the engine makes it.

What is new in a plan is prepared, played on noise and closed in a process of its own: the sound that plays meanwhile
is not held up, and a node that hangs or crashes does it there. A worker has measured its hop itself.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from antiphon.contract.block import StreamSpec
from antiphon.contract.catalog import Catalog
from antiphon.contract.processor import BlockTime, Processor
from antiphon.errors import AntiphonError, NodeError, PluginError
from antiphon.graph.compiler import close_hosts, compile_plan
from antiphon.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire
from antiphon.plugins.checks import in_child
from antiphon.runtime import scheduling
from antiphon.runtime.child_process import listening
from antiphon.workers.arena import SlotWord, State, WorkerWord
from antiphon.workers.pool import Pool, absent

TRIAL_BLOCKS = 48
TRIAL_SECONDS = 0.3
"""A node that is slow is tried for no longer; a few of its blocks tell enough."""
TRIAL_LIMIT = 8.0
PATIENCE = 10.0
"""Seconds for the weigher to answer, which is more than `TRIAL_LIMIT`."""
_MAX_MESSAGE = 8 << 20
FULL, CLOSE = 0.95, 0.70
"""Shares of a block, or of a hop: above the first a plan is refused, above the second it is warned about."""
_KEPT = 512
_SAID = 1000
"""Characters of a refusal: it comes from the child in one piece."""


@dataclass(frozen=True, slots=True)
class Share:
    """One part of the work. what: a node, or a worker's model.  spent, period: ms.  share: of its period."""

    what: str
    spent: float
    period: float

    @property
    def share(self) -> float:
        return self.spent / self.period


@dataclass(frozen=True, slots=True)
class Admission:
    """refused, warning: a sentence with the numbers, or "".  load: the engine's, as a share of a block."""

    load: float
    refused: str = ""
    warning: str = ""


@dataclass(slots=True)
class LoadEstimator:
    """The loader's end: asks the weigher what nodes cost that the engine does not play already."""

    spec: StreamSpec
    weigher: socket.socket
    _asked: int = field(default_factory=time.monotonic_ns)

    def tried(self, nodes: list[NodeSpec], patience: float = PATIENCE) -> list[float]:
        """What each of them costs, in ms of CPU a block. patience: s until the weigher is given up.

        Raises:
            NodeError: One of them cannot be prepared, or hung or crashed.
            PluginError: The weigher did not answer.
        """
        if not nodes:
            return []
        weigher = self.weigher
        weigher.settimeout(patience)
        self._asked += 1
        asked = {"number": self._asked, "nodes": [[n.name, n.type, dict(n.values)] for n in nodes]}
        try:
            weigher.send(json.dumps(asked).encode())
            answer: dict[str, Any] = {}
            while answer.get("number") != self._asked:  # an answer to what was given up on may still come
                answer = json.loads(weigher.recv(_MAX_MESSAGE))
        except OSError as error:
            raise PluginError(f"what is new could not be tried: {error}") from error
        if "node" in answer:
            raise NodeError(answer["said"], answer["node"])
        return [float(cost) for cost in answer["costs"]]

    def judged(self, costs: Mapping[str, float], pool: Pool | None) -> Admission:
        """costs: of every node of a plan by name, in ms a block. Its workers have measured theirs."""
        period = self.spec.block * 1e3 / self.spec.rate
        nodes = [Share(name, cost, period) for name, cost in costs.items()]
        return judge(nodes, worker_shares(pool) if pool is not None else [], os.cpu_count() or 1)


def run_weigher(asked: socket.socket, catalog: Catalog, make: Callable[[str], Processor], spec: StreamSpec) -> int:
    """A process's life: tries nodes, each lot in a child of its own, so that one that crashes or hangs says so.

    It remembers what each kind of node cost, for engines that come after one that ended. SIGTERM ends it as it is,
    and the child with it.
    """
    listening()
    scheduling.short_slices()
    place = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    known: dict[Hashable, float] = {}
    while True:
        message = json.loads(asked.recv(_MAX_MESSAGE))
        nodes = [NodeSpec(*item) for item in message["nodes"]]
        keys = [_key(node, catalog) for node in nodes]
        if len(known) > _KEPT:
            known.clear()
        new = {key: node for key, node in zip(keys, nodes, strict=True) if key not in known}
        answer = _tried(list(new.values()), catalog, make, spec, place) if new else {"costs": []}
        if "costs" in answer:
            known |= dict(zip(new, answer["costs"], strict=True))
            answer = {"costs": [known[key] for key in keys]}
        asked.send(json.dumps({"number": message["number"], **answer}).encode())


def _key(node: NodeSpec, catalog: Catalog) -> Hashable:
    """Nodes alike in what they are prepared with cost alike."""
    return (node.type, tuple(sorted(catalog[node.type].prepared_with(node.values).items())))


def _tried(
    nodes: list[NodeSpec], catalog: Catalog, make: Callable[[str], Processor], spec: StreamSpec, place: memoryview
) -> dict[str, Any]:
    """The costs, or which node it was and what is said of it. place: shared with the child; which node is tried."""
    said = in_child(partial(_try_all, nodes, catalog, make, spec, place), TRIAL_LIMIT)
    node = nodes[place[0]]
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        return {"node": node.name, "said": f"{node.name} ({node.type}) did not survive its trial: {said}"}
    return answer


def _try_all(
    nodes: list[NodeSpec], catalog: Catalog, make: Callable[[str], Processor], spec: StreamSpec, place: memoryview
) -> str:
    found = []
    for place[0], node in enumerate(nodes):
        try:
            # whole microseconds: those of a patch of 256 nodes fit the pipe they are told by
            found.append(round(try_node(node, catalog, make, spec), 3))
        except AntiphonError as error:
            return json.dumps({"node": node.name, "said": str(error)[:_SAID]})
    return json.dumps({"costs": found})


def try_node(node: NodeSpec, catalog: Catalog, make: Callable[[str], Processor], spec: StreamSpec) -> float:
    """ms of CPU a block of noise takes this node, on average."""
    info = catalog[node.type]
    into, out = info.first("audio", "in"), info.first("audio", "out")
    wires = []
    if into is not None:
        wires.append(Wire(End(IN, IN), End(node.name, into.name)))
    if out is not None:
        wires.append(Wire(End(node.name, out.name), End(OUT, OUT)))
    values = {k: v for k, v in node.values.items() if k not in ("bypass", "mute", "wet")}
    graph = Graph((NodeSpec(node.name, node.type, values),), tuple(wires))
    with absent():
        plan = compile_plan(graph, catalog, make, spec, {node.name: 1})
    noise = np.random.default_rng(1).standard_normal((spec.channels, spec.block)).astype(np.float32)
    plan.input[:] = noise * np.float32(0.1)
    now, spent, blocks, until = BlockTime(), 0, 0, time.monotonic() + TRIAL_SECONDS
    while blocks < TRIAL_BLOCKS and (blocks < 2 or time.monotonic() < until):
        before = time.thread_time_ns()
        plan.run(spec.block, now)
        if blocks:  # the first pays for what is done once
            spent += time.thread_time_ns() - before
        now.sample += spec.block
        blocks += 1
    close_hosts(plan.hosts.values(), {})
    return spent / max(1, blocks - 1) / 1e6


def worker_shares(pool: Pool) -> list[Share]:
    """What each worker measured at its start: a hop of all its slots."""
    found = []
    for entry in pool.arena.entries:
        words = entry.words
        if not words[WorkerWord.WANTED] or words[WorkerWord.STATE] != State.RUNNING:
            continue
        spec = entry.spec()
        if any(entry.slot(slot, SlotWord.OPEN) for slot in range(spec.slots)):
            found.append(Share(spec.name, words[WorkerWord.HOP_P50_NS] / 1e6, spec.hop * 1e3 / spec.rate))
    return found


def judge(nodes: Iterable[Share], workers: Iterable[Share], cores: int) -> Admission:
    """What the shares come to. cores: of the machine."""
    nodes, workers = list(nodes), list(workers)
    load = sum(node.share for node in nodes)
    slow = max(workers, key=lambda w: w.share, default=None)
    total = load + sum(w.share for w in workers)
    said = _engine(nodes, load)
    if load > FULL:
        return Admission(load, refused=f"{said}; take nodes out, or start with a larger --block")
    if slow is not None and slow.share > FULL:
        return Admission(load, refused=f"{_worker(slow)}: it cannot keep up on this machine")
    if total > cores * FULL:
        return Admission(load, refused=f"it would take {total:.1f} of {cores} cores: {_named(nodes + workers)}")
    if load > CLOSE:
        return Admission(load, warning=said)
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
    """The largest, by name."""
    largest = sorted(shares, key=lambda s: -s.share)[:4]
    return ", ".join(f"{s.what} {s.spent:.2f} ms" for s in largest)
