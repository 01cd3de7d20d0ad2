"""The engine's second thread: makes plans off the block path, and sends news to control."""

from __future__ import annotations

import ctypes
import gc
import json
import math
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from msgspec import to_builtins

from antiphon.kernel.engine.driver_change import DriverChange
from antiphon.kernel.engine.link import (
    DeviceUsed,
    EngineStarted,
    LoaderReport,
    NodeState,
    NodeVocabulary,
    PlanRefused,
    PlanWeighed,
)
from antiphon.kernel.engine.loop import EngineLoop, NextPlan
from antiphon.kernel.engine.plans.admission import TIMEOUT_SECONDS, Admission, LoadEstimator
from antiphon.kernel.engine.plans.loading import LoadingNote, PreparedNode
from antiphon.kernel.engine.shared import HeaderWord
from antiphon.kernel.errors import NodeError, ParamError, PatchError, PluginError, sentence
from antiphon.kernel.graph.compiler import PlanOutline, build_plan, close_hosts, outline_plan
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.plugins.versions import PluginVersions
from antiphon.kernel.runtime.console import say
from antiphon.kernel.workers.pool import Pool
from antiphon.kernel.workers.status import Health, news, worker_states
from antiphon.native.compiling import compile_all

CRASHED = "hung or crashed the engine while it was prepared: give it another value, or take it out and put it in again"
RESTART_TIMEOUT = 0.05
"""Maximum wait in seconds, without sound, of a plan after an engine restart: for the weigher, then it is made untried;
and for workers and for what its nodes read, then these begin without."""


@dataclass(frozen=True, slots=True)
class PlanCandidate:
    """A plan with prepared nodes."""

    plan: Plan
    costs: Mapping[str, float]  # CPU time of each node by name, ms for a block
    fresh: frozenset[int]

    @property
    def prepare_faults(self) -> dict[int, str]:
        """Nodes that could not be prepared, with the reason by node number."""
        return {number: host.prepare_fault for number, host in self.plan.hosts.items() if host.prepare_fault}


@dataclass(slots=True)
class PlanMaker:
    """Compiles each plan so that it reuses the previous plan's nodes. Runs in the loader's thread."""

    plugins: PluginVersions
    estimator: LoadEstimator
    loading: LoadingNote
    last: PlanCandidate | None = None
    _prepared: dict[int, PreparedNode] = field(default_factory=dict)

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
            try:
                catalog.get(node.type)
            except ParamError as error:
                raise NodeError(str(error), node.name) from None
        outline = outline_plan(graph, catalog, ids, None if self.last is None else self.last.plan)
        prepared = {ids[n.name]: PreparedNode.of(ids[n.name], catalog[n.type], n.values) for n in graph.nodes}
        fresh = prepared.keys() - outline.reused.keys()
        unprepared = {number: CRASHED for number in fresh if prepared[number] in self.loading.blamed_nodes}

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
        """Returns each node's CPU time: of a new one measured by the weigher, of the others as in the last plan."""
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
        self.loading.keep([self._prepared[number] for number in candidate.prepare_faults])

    def close(self, hosts: Mapping[int, NodeHost]) -> None:
        """Closes the processors of `hosts` that the last plan does not contain."""
        close_hosts(hosts.values(), {} if self.last is None else self.last.plan.hosts, self._begin_close)
        self.loading.beat()

    def _begin_close(self, host: NodeHost) -> None:
        self.loading.begin_close(host.name)


_MAX_MESSAGE = 8 << 20
_LOOK_SECONDS = 0.05
WORKER_TIMEOUT = 10.0
"""Seconds a plan waits for its workers; then it plays without them, and their nodes pass the dry signal."""
TURN_TIMEOUT = 10.0
"""Maximum wait in seconds until the loop takes the previous plan."""


MAX_VOCABULARY = 64 << 10
"""Maximum characters of a node's vocabulary; a larger one is not reported, and no word is called unknown."""


_UNJUDGED = Admission(0.0)


@dataclass(slots=True)
class _Load:
    """A request for a plan, with the results of its steps."""

    message: dict[str, Any]
    since: int = 0  # serial of the newest stream before it
    candidate: PlanCandidate | None = None
    verdict: Admission = _UNJUDGED
    aside: tuple[int, str] = (0, "")  # as of `NextPlan`

    @property
    def again(self) -> bool:
        """True if the graph played before the engine was restarted."""
        return bool(self.message.get("again"))

    @property
    def made(self) -> PlanCandidate:
        """The plan, once it is made."""
        assert self.candidate is not None
        return self.candidate


class Loader:
    """The engine's second thread: makes plans, closes old ones, and reports for the loop and the workers."""

    def __init__(
        self,
        loop: EngineLoop,
        peer: socket.socket,
        plugins: Loaded,
        pool: Pool | None,
        weigher: socket.socket,
        driver: DriverChange | None = None,
    ) -> None:
        self._loop, self._peer, self._pool, self._driver = loop, peer, pool, driver
        self._reported: dict[int, Health] = {}
        self._loading = LoadingNote(loop.shared)
        self._maker = PlanMaker(PluginVersions(plugins), LoadEstimator(loop.player.spec, weigher), self._loading)
        self._last_error = ""
        self._garbage = False
        self.thread = threading.Thread(target=self._run, name="loader", daemon=True)

    def _run(self) -> None:
        self._say(EngineStarted(os.getpid()))
        poll = select.poll()
        poll.register(self._peer.fileno(), select.POLLIN)
        while True:
            self._loading.beat()
            if poll.poll(_LOOK_SECONDS * 1000):
                self._run_turn(self._receive)
            self._run_turn(self._collect_and_report)

    def _run_turn(self, turn: Callable[[], None]) -> None:
        """Runs one turn and prints its error, a repeated one once: without this thread no plan can be loaded."""
        try:
            turn()
        except (Exception, SystemExit) as error:
            if sentence(error) != self._last_error:
                self._last_error = sentence(error)
                say(f"the engine's loader: {self._last_error}")
            time.sleep(_LOOK_SECONDS)  # an error in every turn must not take a whole core

    def _receive(self) -> None:
        try:
            data = self._peer.recv(_MAX_MESSAGE, socket.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionError):
            return
        if not data:
            time.sleep(_LOOK_SECONDS)  # control and the supervisor have ended
            return
        message = json.loads(data)
        if message.get("do") == "load":
            self._load(message)
        elif message.get("do") == "device" and self._driver is not None and message["engine"] == os.getpid():
            try:
                problem = self._driver.change_to(message["driver"], message["options"])
            except Exception as error:
                problem = sentence(error)
            self._say(DeviceUsed(problem, self._loop.driver.name, message["device"], message["serial"]))
            self._garbage = True

    def _collect_and_report(self) -> None:
        if self._garbage:
            # the automatic collector is off in an engine, and a plan's objects form cycles. They are collected in a
            # turn of its own, once no caller refers to them: 0.1 ms for 5,000 objects
            self._garbage = False
            gc.collect()
        retired = self._loop.player.retired
        while retired:
            self._maker.close(retired.popleft().old.hosts)
            self._garbage = True
        while self._loop.to_say:
            self._say(self._loop.to_say.popleft())
        if self._pool is not None:
            # reports, for each node with a worker, when the worker stops and when it runs again
            states = worker_states(self._pool)
            for node, state, reason in news(self._reported, states):
                self._say(NodeState(node, state, reason))
            self._reported = states

    def _load(self, message: dict[str, Any]) -> None:
        """Loads a graph by these steps, or reports why it is refused."""
        load = _Load(message)
        try:
            for step in (self._make, self._settle, self._judge):
                step(load)
        except (Exception, SystemExit) as error:
            if load.candidate is not None:
                self._maker.close(load.candidate.plan.hosts)
            self._garbage = True
            self._say(PlanRefused(load.message["serial"], sentence(error)))
            return
        for step in (self._tell, self._fail_blamed, self._report_states, self._take, self._hand_over):
            step(load)

    def _make(self, load: _Load) -> None:
        """Makes the plan: new nodes are tried and prepared, and their workers asked for."""
        if self._pool is not None and (self._maker.last is not None or load.again):
            # else all are waited for: the synth asked for at the start joins JACK, which may break sound, before there
            # is any
            load.since = self._pool.serial
        if self._pool is not None:
            self._pool.settle_by = time.monotonic() + RESTART_TIMEOUT if load.again else math.inf
        message, graph = load.message, Graph.from_json(load.message["graph"])
        versions = message.get("versions", {})
        load.candidate = self._maker.make_plan(graph, message["ids"], again=load.again, versions=versions)

    def _settle(self, load: _Load) -> None:
        """Waits until the workers of the plan's new streams are ready."""
        if self._pool is not None and not load.again:
            self._pool.settle_by = time.monotonic() + WORKER_TIMEOUT
        while (
            (pool := self._pool) is not None and not pool.is_settled(load.since) and time.monotonic() < pool.settle_by
        ):
            self._loading.beat()
            self._run_turn(self._collect_and_report)
            time.sleep(0.005)

    def _judge(self, load: _Load) -> None:
        """Decides if the plan's load fits this machine; raises PatchError where it does not."""
        load.verdict = self._maker.admit(load.made, self._pool)
        if load.verdict.refused and not load.again:
            raise PatchError(load.verdict.refused)

    def _tell(self, load: _Load) -> None:
        """Reports the plan's load, and the words that its nodes know."""
        verdict = load.verdict
        self._say(PlanWeighed(verdict.load, verdict.warning or verdict.refused))
        for report in vocabularies(load.made.plan.hosts):
            self._say(report)

    def _fail_blamed(self, load: _Load) -> None:
        """Fails the node that hung or crashed the engine, and lets the watchdog see which node is running."""
        words, plan = self._loop.shared.words, load.made.plan
        plan.watch(ctypes.c_int64.from_address(self._loop.shared.address(HeaderWord.AT_WORK)))
        blamed, words[HeaderWord.BLAMED] = words[HeaderWord.BLAMED], 0
        if blamed in plan.hosts and not plan.hosts[blamed].prepare_fault:
            load.aside = blamed, "hung or crashed the engine"
            plan.hosts[blamed].mark_failed(load.aside[1])
            self._say(NodeState(blamed, "failed", load.aside[1]))

    def _report_states(self, load: _Load) -> None:
        """Reports each new node that could not be prepared, and each that runs again."""
        unprepared, last = load.made.prepare_faults, self._maker.last
        before = {} if last is None else last.plan.hosts
        for number in load.made.fresh:
            if number in unprepared:
                self._say(NodeState(number, "failed", unprepared[number]))
            elif number != load.aside[0] and number in before and before[number].failed:
                self._say(NodeState(number, "running"))

    def _take(self, load: _Load) -> None:
        """Makes the plan the predecessor of the next, and waits until the loop has taken the one before."""
        self._maker.take(load.made)
        deadline = time.monotonic() + TURN_TIMEOUT
        while self._loop.next_plan is not None and time.monotonic() < deadline:
            time.sleep(0.001)

    def _hand_over(self, load: _Load) -> None:
        """Publishes the plan for the loop."""
        message, made = load.message, load.made
        # for the session log: a replay must prepare the same nodes
        logged = {key: value for key, value in message.items() if key not in ("versions", "quantum")}
        if unprepared := made.prepare_faults:
            logged["unprepared"] = unprepared
        fade, tempo, tail, quantum = (float(message.get(key, 0.0)) for key in ("fade", "tempo", "tail", "quantum"))
        if load.again and (self._loop.player.again or self._loop.player.plan is not None):
            tempo = 0.0  # the clock goes on as it was led, or set, in the engine
        text = json.dumps(logged).encode()
        serial = int(message["serial"])
        self._loop.next_plan = NextPlan(made.plan, serial, fade, tempo, text, tail, load.aside, quantum)

    def _say(self, report: LoaderReport) -> None:
        try:
            # as ASCII, for a name of a file may be no UTF-8
            self._peer.send(json.dumps(to_builtins(report)).encode())
        except OSError as error:
            say(f"engine could not reach control: {error}")


def vocabularies(hosts: Mapping[int, NodeHost]) -> Iterator[NodeVocabulary]:
    """Reports on nodes' text vocabularies, for a control restarted while the engine plays on."""
    for number, host in hosts.items():
        # a plugin's words may be of a kind of text that the report cannot hold, as numpy's
        words = {str(param): tuple(map(str, known)) for param, known in (host.processor.vocabulary or {}).items()}
        if words and sum(len(word) + 4 for known in words.values() for word in known) <= MAX_VOCABULARY:
            yield NodeVocabulary(number, words)
