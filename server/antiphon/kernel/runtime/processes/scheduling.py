"""Low priority; who computed, waited for a processor or slept in a stretch of time, and limits that count no wait."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from antiphon.kernel.runtime.platform import ThreadTimes, descendants, end_with_parent, thread_times

LOWEST_NICE, SESSION_NICE = 19, 10
"""Nice values of what gives way: of the process, and of its session, which has a tenth of another's share."""
_AUTOGROUP, _GROUPED = Path("/proc/self/autogroup"), Path("/proc/sys/kernel/sched_autogroup_enabled")


def lower_priority() -> None:
    """Sets the lowest priority of the ordinary class for this process, and a low one for its session.

    Where Linux groups processes by session (sched_autogroup), nice values count within a session alone, and a process
    in a session of its own has as large a share as all that plays; the group therefore has a nice value too.
    """
    os.setpriority(os.PRIO_PROCESS, 0, LOWEST_NICE)
    with contextlib.suppress(OSError):
        _AUTOGROUP.write_text(str(SESSION_NICE))


def give_way(*, beside: bool) -> None:
    """Lowers the priority of a command that works on files, and that of its processes.

    One that leads its session keeps what who started it has chosen, such as a server that waits for its answer.
    `beside`: whether sound plays on this machine. Where Linux groups processes by session, the command then goes on as
    a child in a session of its own: that of the terminal, in which a server may be started next, keeps its priority.
    """
    if os.getsid(0) == os.getpid():
        return
    grouped = False
    with contextlib.suppress(OSError):
        grouped = beside and _GROUPED.read_text().strip() == "1"
    if grouped:
        _into_own_session()
        lower_priority()
    else:
        os.setpriority(os.PRIO_PROCESS, 0, max(SESSION_NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def _into_own_session() -> None:
    """Returns in a child that leads a session; the parent passes signals on to it, and ends as it does."""
    parent = os.getpid()
    child = os.fork()
    if not child:
        if not end_with_parent(parent):
            os._exit(1)
        os.setsid()
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        os.kill(child, signal.SIGSTOP)
        os.kill(parent, signal.SIGSTOP)
        os.kill(child, signal.SIGCONT)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    signal.signal(signal.SIGTSTP, stop)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(parent, -code)
    os._exit(code)


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
