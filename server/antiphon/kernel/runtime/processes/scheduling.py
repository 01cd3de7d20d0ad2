"""Tells how a process spent a period: computing, waiting for a CPU or sleeping. Has timeouts that count no waiting."""

import select
import time
from collections.abc import Callable

from antiphon.kernel.runtime.platform import ThreadTimes, descendants, thread_times

TURNS = 2
"""Maximum poll intervals that one poll of a watcher counts: a watcher that was late itself must not blame others."""


class StallTimer:
    """Timer of a process's stall, updated at each poll of a watchdog.

    It does not count the time that one of the threads waited for a CPU, nor the time that the watcher was late.
    """

    def __init__(self, interval: float, *, helped: bool = False) -> None:
        """`interval`: seconds between two polls. `helped`: waiting of the processes that it started counts too."""
        self._helped = helped
        self._most_ns = round(TURNS * interval * 1e9)
        self._mark, self._pid, self._looked_ns, self._still_ns = 0, 0, 0, 0
        self._threads: dict[str, ThreadTimes] = {}

    def look(self, pid: int, mark: int) -> int:
        """Returns the ns for which `mark`, a sign of the process's progress, has not changed; 0 expects none."""
        now = time.monotonic_ns()
        passed, self._looked_ns = now - self._looked_ns, now
        if not mark or mark != self._mark or pid != self._pid:
            self._mark, self._pid, self._still_ns = mark, pid, 0
            self._threads.clear()
            return 0
        before, self._threads = self._threads, {}
        for each in descendants(pid) if self._helped else (pid,):
            self._threads |= thread_times(each)
        waited = max((_queue_wait(before.get(name), times, passed) for name, times in self._threads.items()), default=0)
        self._still_ns += max(0, min(passed, self._most_ns) - waited)
        return self._still_ns


LOOK_SECONDS = 0.1
"""Maximum seconds between two polls of `StallTimeout`."""


class StallTimeout:
    """Timeout of a step of a process's work, in seconds; with 0 it has expired at once.

    As in `StallTimer`, waiting for a CPU does not count, neither the process's own nor that of its children, for which
    it may be waiting itself: nothing fails because the machine is busy.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self._every = seconds, min(LOOK_SECONDS, seconds)
        self._still, self._next_ns = StallTimer(self._every, helped=True), 0

    def has_expired(self, pid: int) -> bool:
        """Whether the timeout has expired; it starts at the first call, and again with another pid."""
        now = time.monotonic_ns()
        if now < self._next_ns:
            return False
        self._next_ns = now + round(self._every * 0.5e9)
        return self._still.look(pid, 1) >= self.seconds * 1e9

    def wait_readable(self, fd: int, pid: int, meanwhile: Callable[[], object] | None = None) -> bool:
        """Waits until `fd` is readable; False once the timeout has expired, which without pid is by the clock.

        `meanwhile` is called at each poll.
        """
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while not poll.poll(1000.0 * (self._every if pid else self.seconds)):
            if not pid or self.has_expired(pid):
                return False
            if meanwhile is not None:
                meanwhile()
        return True


def _queue_wait(before: ThreadTimes | None, now: ThreadTimes, passed: int) -> int:
    """Run queue wait of a thread since `before`, in ns, within the elapsed time."""
    ended = now.waited - before.waited if before else 0
    if not now.ready:
        return ended
    # Linux counts a wait when it ends: of one that lasts it tells only that nothing was computed in it
    return max(ended, passed - (now.ran - before.ran if before else 0))
