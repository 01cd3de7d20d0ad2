"""The engine's second thread: plans are made here, off the block path, and news goes to control."""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from antiphon.contract.catalog import Catalog
from antiphon.contract.processor import Processor
from antiphon.engine.admission import LoadEstimator
from antiphon.engine.loading import LoadingNote
from antiphon.engine.loop import EngineLoop, NextPlan
from antiphon.engine.making import Made, PlanMaker
from antiphon.engine.shared import HeaderWord
from antiphon.errors import PatchError, sentence
from antiphon.graph.graph import Graph
from antiphon.runtime.console import say
from antiphon.workers.pool import Pool
from antiphon.workers.status import Health, news, worker_states

_MAX_MESSAGE = 8 << 20
_LOOK_SECONDS = 0.05
WORKER_PATIENCE = 10.0
"""Seconds a plan waits for its workers; after that it plays, dry where they are missing."""
TURN_PATIENCE = 10.0
"""Seconds for the loop to take the plan before this one."""


class Loader:
    """The engine's second thread: makes plans, and says what the loop and the workers have to say."""

    def __init__(
        self,
        loop: EngineLoop,
        peer: socket.socket,
        catalog: Catalog,
        make: Callable[[str], Processor],
        pool: Pool | None,
        weigher: socket.socket,
    ) -> None:
        self._loop, self._peer, self._pool = loop, peer, pool
        self._told: dict[int, Health] = {}
        self._loading = LoadingNote(loop.shared)
        self._maker = PlanMaker(catalog, make, LoadEstimator(loop.stage.spec, weigher), self._loading)
        self._complained = ""
        self._garbage = False
        self.thread = threading.Thread(target=self._run, name="loader", daemon=True)

    def _run(self) -> None:
        self._say({"said": "started", "pid": os.getpid()})
        poll = select.poll()
        poll.register(self._peer.fileno(), select.POLLIN)
        while True:
            self._loading.beat()
            if poll.poll(_LOOK_SECONDS * 1000):
                self._guarded(self._hear)
            self._guarded(self._look_after)

    def _guarded(self, turn: Callable[[], None]) -> None:
        """Without this thread there would be no plan ever again: what goes wrong in one turn is said, once."""
        try:
            turn()
        except (Exception, SystemExit) as error:
            if sentence(error) != self._complained:
                self._complained = sentence(error)
                say(f"the engine's loader: {self._complained}")
            time.sleep(_LOOK_SECONDS)  # it may happen in every turn

    def _hear(self) -> None:
        try:
            data = self._peer.recv(_MAX_MESSAGE, socket.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionError):
            return
        if not data:
            time.sleep(_LOOK_SECONDS)  # control and the supervisor are gone
            return
        message = json.loads(data)
        if message.get("do") == "load":
            self._load(message)

    def _look_after(self) -> None:
        """Frees what has been faded out, and passes on what there is to say."""
        if self._garbage:
            # the automatic collector is off in an engine, and a plan's objects refer to one another; in a turn of its
            # own, when no caller refers to them any more: .1 ms for 5,000 objects
            self._garbage = False
            gc.collect()
        retired = self._loop.stage.retired
        while retired:
            self._maker.close(retired.popleft().old.hosts)
            self._garbage = True
        while self._loop.to_say:
            self._say(self._loop.to_say.popleft())
        if self._pool is not None:
            self._tell_workers(self._pool)

    def _tell_workers(self, pool: Pool) -> None:
        """Says of each node with a worker when that stops running, and when it runs again."""
        states = worker_states(pool)
        for node, state, reason in news(self._told, states):
            self._say({"said": "state", "node": node, "state": state, "reason": reason})
        self._told = states

    def _settle(self, since: int) -> None:
        """Waits for the workers of streams that a plan has just opened: it begins with them."""
        deadline = time.monotonic() + WORKER_PATIENCE
        while self._pool is not None and not self._pool.settled(since) and time.monotonic() < deadline:
            self._loading.beat()
            self._guarded(self._look_after)
            time.sleep(0.005)

    def _load(self, message: dict[str, Any]) -> None:
        """Makes the plan that is asked for, and says what becomes of it."""
        since = self._pool.serial if self._pool is not None else 0
        again = bool(message.get("again"))
        try:
            made = self._maker.made(Graph.from_json(message["graph"]), message["ids"], again=again)
        except (Exception, SystemExit) as error:
            self._refuse(message["serial"], error)
            return
        try:
            self._settle(since)
            verdict = self._maker.judged(made, self._pool)
            if verdict.refused and not again:
                raise PatchError(verdict.refused)
        except (Exception, SystemExit) as error:
            self._maker.close(made.plan.hosts)
            self._refuse(message["serial"], error)
            return
        self._say({"said": "weighed", "load": verdict.load, "warning": verdict.warning or verdict.refused})
        self._hand_over(made, message)

    def _hand_over(self, made: Made, message: dict[str, Any]) -> None:
        """Leaves the plan where the loop takes it between two blocks."""
        plan, words = made.plan, self._loop.shared.words

        def at_work(number: int) -> None:
            words[HeaderWord.AT_WORK] = number

        plan.watched, plan.at_work = True, at_work
        blamed, words[HeaderWord.BLAMED] = words[HeaderWord.BLAMED], 0
        aside = (0, "")
        if blamed in plan.hosts and not plan.hosts[blamed].unprepared:
            aside = (blamed, "hung or crashed the engine")
            plan.hosts[blamed].stand_aside(aside[1])
            self._say({"said": "failed", "node": blamed, "reason": aside[1]})
        unprepared, before = made.unprepared, {} if self._maker.last is None else self._maker.last.plan.hosts
        for number in made.fresh:
            if number in unprepared:
                self._say({"said": "failed", "node": number, "reason": unprepared[number]})
            elif number != aside[0] and number in before and before[number].failed:
                self._say({"said": "state", "node": number, "state": "running", "reason": ""})
        self._maker.take(made)
        deadline = time.monotonic() + TURN_PATIENCE
        while self._loop.next_plan is not None and time.monotonic() < deadline:
            time.sleep(0.001)  # the plan before this one has not been taken yet
        # a replay prepares what was prepared
        text = json.dumps({**message, "unprepared": unprepared} if unprepared else message).encode()
        fade, tempo = float(message.get("fade", 0.0)), float(message.get("tempo", 0.0))
        self._loop.next_plan = NextPlan(plan, int(message["serial"]), fade, tempo, text, aside)

    def _refuse(self, serial: int, error: BaseException) -> None:
        self._garbage = True
        self._say({"said": "refused", "serial": serial, "reason": sentence(error)})

    def _say(self, message: dict[str, object]) -> None:
        try:
            self._peer.send(json.dumps(message).encode())
        except OSError as error:
            say(f"engine could not reach control: {error}")
