"""Who computed, waited for a processor or slept in a stretch of time, and limits that count no wait."""

import select
import time
from collections.abc import Callable

from antiphon.kernel.runtime.platform import ThreadTimes, descendants, thread_times

TURNS = 2
"""Intervals of a watcher that one look counts at most: a watcher that was late itself must not blame others."""


class Standstill:
    """Timer of a process's stall, updated at each look of a watchdog.

    Neither the time counts that one of its threads waited for a processor, nor the time that the watcher was late.
    """

    def __init__(self, interval: float, *, helped: bool = False) -> None:
        """`interval`: seconds between two looks of the watcher. `helped`: the waits of what it started count, too."""
        self._helped = helped
        self._most_ns = round(TURNS * interval * 1e9)
        self._mark, self._pid, self._looked_ns, self._still_ns = 0, 0, 0, 0
        self._threads: dict[str, ThreadTimes] = {}

    def look(self, pid: int, mark: int) -> int:
        """The time that `mark`, which changes with the process's progress, has not changed, ns; 0 expects none."""
        now = time.monotonic_ns()
        passed, self._looked_ns = now - self._looked_ns, now
        if not mark or mark != self._mark or pid != self._pid:
            self._mark, self._pid, self._still_ns = mark, pid, 0
            self._threads.clear()
            return 0
        before, self._threads = self._threads, {}
        for each in descendants(pid) if self._helped else (pid,):
            self._threads |= thread_times(each)
        waited = max((_waited(before.get(name), times, passed) for name, times in self._threads.items()), default=0)
        self._still_ns += max(0, min(passed, self._most_ns) - waited)
        return self._still_ns


LOOK_SECONDS = 0.1
"""Longest time in seconds between two looks of `Patience`."""


class Patience:
    """The seconds that a process has for a step of its work; with 0 it has ended at once.

    As in `Standstill` its waits for a processor are none of them, nor are those of the processes it started, for which
    it may wait itself: nothing fails because the machine is busy.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self._every = seconds, min(LOOK_SECONDS, seconds)
        self._still, self._next_ns = Standstill(self._every, helped=True), 0

    def ended(self, pid: int) -> bool:
        """Whether the process has had its seconds; they begin at the first call, and anew with another pid."""
        now = time.monotonic_ns()
        if now < self._next_ns:
            return False
        self._next_ns = now + round(self._every * 0.5e9)
        return self._still.look(pid, 1) >= self.seconds * 1e9

    def hears(self, fd: int, pid: int, meanwhile: Callable[[], object] | None = None) -> bool:
        """Waits for something to read; False once the process has had its seconds, which are the clock's without pid.

        `meanwhile` is called at each look.
        """
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while not poll.poll(1000.0 * (self._every if pid else self.seconds)):
            if not pid or self.ended(pid):
                return False
            if meanwhile is not None:
                meanwhile()
        return True


def _waited(before: ThreadTimes | None, now: ThreadTimes, passed: int) -> int:
    """Run queue wait of a thread since `before`, in ns, within the elapsed time."""
    ended = now.waited - before.waited if before else 0
    if not now.ready:
        return ended
    # Linux counts a wait when it ends: of one that lasts it tells only that nothing was computed in it
    return max(ended, passed - (now.ran - before.ran if before else 0))
