"""Who computed, waited for a processor or slept in a stretch of time: what a stall is to be blamed on."""

from __future__ import annotations

import contextlib
import os
import time

TURNS = 2
"""Intervals of a watcher that one look counts at most: a watcher that was late itself must not blame others."""


def thread_clocks() -> tuple[int, int]:
    """(time computed, time waited for a processor) of the calling thread since its start, ns.

    It takes some 10 µs. Where the system does not tell (it is not Linux), all that was not computed counts as waited.
    """
    try:
        fd = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        try:
            ran, waited, _ = os.read(fd, 96).split()
        finally:
            os.close(fd)
        return int(ran), int(waited)
    except (OSError, ValueError):
        ran_ns = time.thread_time_ns()
        return ran_ns, time.perf_counter_ns() - ran_ns


def threads_waited(pid: int) -> dict[str, int]:
    """Time that each thread of a process has waited for a processor, ns by its id; empty where that is not known."""
    waited = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file:
                waited[thread] = int(file.read(96).split()[1])
    return waited


class Standstill:
    """How long a process has made no progress, by the looks of a watcher.

    Neither the time counts that one of its threads waited for a processor, nor the time that the watcher was late.
    """

    def __init__(self, interval: float) -> None:
        """interval: seconds between two looks of the watcher."""
        self._most_ns = round(TURNS * interval * 1e9)
        self._mark, self._pid, self._looked_ns, self._still_ns = 0, 0, 0, 0
        self._waited: dict[str, int] = {}

    def look(self, pid: int, mark: int) -> int:
        """The time that `mark`, which changes with the process's progress, has not changed, ns; 0 expects none."""
        now = time.monotonic_ns()
        passed, self._looked_ns = now - self._looked_ns, now
        if not mark or mark != self._mark or pid != self._pid:
            self._mark, self._pid, self._still_ns = mark, pid, 0
            self._waited.clear()
            return 0
        before, self._waited = self._waited, threads_waited(pid)
        waited = max((ns - before.get(thread, ns) for thread, ns in self._waited.items()), default=0)
        self._still_ns += max(0, min(passed, self._most_ns) - waited)
        return self._still_ns
