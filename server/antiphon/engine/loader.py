"""The engine's second thread: plans are made here, off the block path, and news goes to control."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable

from antiphon.catalog import Catalog
from antiphon.engine.admission import Scales
from antiphon.engine.loop import Loop, NextPlan
from antiphon.engine.shared import Word
from antiphon.errors import AntiphonError
from antiphon.graph import Graph
from antiphon.plan import Plan
from antiphon.planning import close_hosts, compile_plan
from antiphon.processor import Processor
from antiphon.workers.pool import Pool
from antiphon.workers.status import Health, news, worker_states

_MAX_MESSAGE = 8 << 20
WORKER_PATIENCE = 10.0
"""Seconds a plan waits for its workers; after that it plays, dry where they are missing."""


class Loader:
    """The engine's second thread: makes plans, and says what the loop and the workers have to say."""

    def __init__(
        self, loop: Loop, peer: socket.socket, catalog: Catalog, make: Callable[[str], Processor], pool: Pool | None,
        weigher: socket.socket,
    ) -> None:  # fmt: skip
        self._loop, self._peer, self._catalog, self._make, self._pool = loop, peer, catalog, make, pool
        self._plan: Plan | None = None
        self._told: dict[int, Health] = {}
        self._scales = Scales(catalog, loop.stage.spec, weigher)
        self.thread = threading.Thread(target=self._run, name="loader", daemon=True)

    def _run(self) -> None:
        self._say({"said": "started", "pid": os.getpid()})
        poll = select.poll()
        poll.register(self._peer.fileno(), select.POLLIN)
        while True:
            if poll.poll(50):
                try:
                    message = json.loads(self._peer.recv(_MAX_MESSAGE, socket.MSG_DONTWAIT))
                except (BlockingIOError, ConnectionError):
                    message = {}
                if message.get("do") == "load":
                    self._load(message)
            self._look_after()

    def _look_after(self) -> None:
        """Frees what has been faded out, and passes on what there is to say."""
        retired, kept = self._loop.stage.retired, self._plan.hosts if self._plan is not None else {}
        while retired:
            close_hosts(retired.popleft().old.hosts.values(), kept)
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
            self._look_after()
            time.sleep(0.005)

    def _load(self, message: dict[str, object]) -> None:
        serial = message["serial"]
        spec = self._loop.stage.spec
        since = self._pool.serial if self._pool is not None else 0
        try:
            graph = Graph.from_json(message["graph"])  # type: ignore[arg-type]
            ids: dict[str, int] = message["ids"]  # type: ignore[assignment]
            plan = compile_plan(graph, self._catalog, self._make, spec, ids, self._plan)
        except Exception as error:
            self._refuse(serial, error)
            return
        self._settle(since)
        if not self._fits(plan, serial):
            close_hosts(plan.hosts.values(), {} if self._plan is None else self._plan.hosts)
            return
        plan.watched = True
        words = self._loop.shared.words

        def at_work(number: int) -> None:
            words[Word.AT_WORK] = number

        plan.at_work = at_work
        blamed, words[Word.BLAMED] = words[Word.BLAMED], 0
        aside = (0, "")
        if blamed in plan.hosts:
            aside = (blamed, "hung or crashed the engine")
            plan.hosts[blamed].stand_aside(aside[1])
            self._say({"said": "failed", "node": blamed, "reason": aside[1]})
        self._plan = plan
        deadline = time.monotonic() + 10.0
        while self._loop.next_plan is not None and time.monotonic() < deadline:
            time.sleep(0.001)  # the plan before this one has not been taken yet
        fade = float(message.get("fade", 0.0))  # type: ignore[arg-type]
        tempo = float(message.get("tempo", 0.0))  # type: ignore[arg-type]
        text = json.dumps(message).encode()
        self._loop.next_plan = NextPlan(plan, int(serial), fade, tempo, text, aside)  # type: ignore[call-overload]

    def _fits(self, plan: Plan, serial: object) -> bool:
        """Refuses what would not fit, and warns of what nearly does not. A plan that played before is let in."""
        if self._plan is None and self._loop.shared.words[Word.RESTARTS]:
            return True
        try:
            verdict = self._scales.weigh(plan, self._pool)
        except Exception as error:
            self._refuse(serial, error)
            return False
        if verdict.refused:
            self._say({"said": "refused", "serial": serial, "reason": verdict.refused})
            return False
        self._say({"said": "weighed", "load": verdict.load, "warning": verdict.warning})
        return True

    def _refuse(self, serial: object, error: Exception) -> None:
        """Whatever goes wrong with a plan is said of it: without this thread there would be no other."""
        reason = str(error) if isinstance(error, AntiphonError) else f"{type(error).__name__}: {error}"
        self._say({"said": "refused", "serial": serial, "reason": reason})

    def _say(self, message: dict[str, object]) -> None:
        try:
            self._peer.send(json.dumps(message).encode())
        except OSError as error:
            print(f"antiphon: engine could not reach control: {error}", file=sys.stderr, flush=True)
