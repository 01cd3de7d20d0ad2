"""Threads of the web process: each route has a lane in the pool, so that no route holds the threads of the others."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any

from antiphon.web.http_message import HttpRefusal

THREADS = 32
SHARE = 2
"""Threads in which one route works at a time, one while half of all are busy; what else it asks waits in its lane."""
MAX_WAITING = 512
"""Maximum calls in one lane; a further one is refused."""
LANE: ContextVar[object] = ContextVar("LANE", default=None)
"""The route of the request that is being answered; None for work of no route, which has no lane."""


class _Lane:
    def __init__(self) -> None:
        self.waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self.running = 0


class LanePool(ThreadPoolExecutor):
    """The executor of `asyncio.to_thread`. Lanes take turns, call by call."""

    def __init__(self) -> None:
        super().__init__(THREADS, "web")
        self._lanes: dict[object, _Lane] = {}
        self._busy = 0
        self._changing = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Runs a call in the lane of the present route. Raises HttpRefusal 503: `MAX_WAITING` calls wait in it."""
        key = LANE.get()
        if key is None:
            return super().submit(fn, *args, **named)
        future: Future[Any] = Future()
        with self._changing:
            lane = self._lanes.setdefault(key, _Lane())
            if len(lane.waiting) >= MAX_WAITING:
                raise HttpRefusal(503, "too many of these requests wait; try again", (("Retry-After", "5"),))
            lane.waiting.append((future, partial(fn, *args, **named)))
        self._begin()
        return future

    def _begin(self) -> None:
        """Begins what may begin: of each lane the first calls that wait, up to its share of threads."""
        ready: list[tuple[object, Future[Any], Callable[[], Any]]] = []
        with self._changing:
            for key, lane in self._lanes.items():
                while lane.waiting and lane.running < (SHARE if self._busy < THREADS // 2 else 1):
                    lane.running += 1
                    self._busy += 1
                    ready.append((key, *lane.waiting.popleft()))
        for one in ready:
            try:
                super().submit(self._work, *one)
            except RuntimeError:  # the server ends
                one[1].cancel()
                with self._changing:
                    for lane in self._lanes.values():
                        while lane.waiting:
                            lane.waiting.popleft()[0].cancel()

    def _work(self, key: object, future: Future[Any], call: Callable[[], Any]) -> None:
        """Does a call of a lane, and lets other lanes go before its next."""
        if future.set_running_or_notify_cancel():
            try:
                found = call()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(found)
        with self._changing:
            lane = self._lanes[key]
            lane.running -= 1
            self._busy -= 1
            if not lane.running and not lane.waiting:
                del self._lanes[key]
        self._begin()
