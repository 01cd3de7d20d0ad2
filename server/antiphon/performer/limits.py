"""Limits of a live script's steps, in CPU time and waiting time, and its look-ahead."""

import os
import signal
from collections.abc import Callable
from types import FrameType

from antiphon.kernel.runtime.platform import limit_resources, thread_times
from antiphon.live.records import ScriptTooLong

MEMORY = 1 << 30
"""Private memory limit in bytes: the interpreter and numpy take 60 MB of it."""
LOOK_AHEAD_SECONDS = 0.5
"""Seconds before the server's beat at which events are requested."""
LATE = 0.25
"""Delay in seconds beyond which a note is omitted rather than played late."""
BAR_MARGIN = 0.05
"""Minimum seconds before a bar for a new version to begin on it."""
TIMEOUT_SECONDS = 0.2
"""Time limit in seconds of a step, whether it runs or waits for something outside."""
FIRST_TIMEOUT = 2.0
"""Time limit in seconds of reading a script while nothing plays: imports may be slow."""
_RAISE_SHARE = 0.75
"""Share of the patience after which Python raises, with the line; after all of it a signal ends the process."""
_CHECK_SECONDS = 0.05
"""Interval in seconds of checks whether a slow step runs or waits."""


def cpu_times(pid: int) -> tuple[float, float] | None:
    """Seconds that a process computed, and waited in the run queue; negative if unknown; None without a process."""
    times = thread_times(pid).get(str(pid))
    return None if times is None else (times.ran / 1e9, times.waited / 1e9)


def is_runnable(pid: int) -> bool:
    """Whether a process runs or is runnable: run-queue wait is counted only when it runs again."""
    times = thread_times(pid).get(str(pid))
    return times is not None and times.ready


class StepLimits:
    """Limits of this process: call `begin` before a step, `end` after it.

    `over` is called when a step takes too long, before `ScriptTooLong` is raised in it.
    """

    def __init__(self) -> None:
        """Sets the memory limit and the timers' handlers."""
        self.over: Callable[[], None] = lambda: None
        self._begun: tuple[float, float] | None = None
        self._patience = TIMEOUT_SECONDS
        signal.signal(signal.SIGPROF, self._ran)
        signal.signal(signal.SIGALRM, self._looked)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
        limit_resources(data=MEMORY, core=0)

    def begin(self, patience: float = TIMEOUT_SECONDS) -> None:
        """Limits the CPU time and waiting time of a step, in seconds."""
        self._patience = patience
        self._begun = cpu_times(os.getpid())
        self._wall = 0.0
        signal.setitimer(signal.ITIMER_PROF, _RAISE_SHARE * patience)
        signal.setitimer(signal.ITIMER_VIRTUAL, patience)
        signal.setitimer(signal.ITIMER_REAL, patience, _CHECK_SECONDS)

    def end(self) -> None:
        """Ends the limits of a step."""
        for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL, signal.ITIMER_VIRTUAL):
            signal.setitimer(timer, 0.0)

    def _ran(self, _number: int, _frame: FrameType | None) -> None:
        self.over()
        raise ScriptTooLong(f"{self._patience:g} s")

    def _looked(self, _number: int, _frame: FrameType | None) -> None:
        """Signal handler of a slow step: stops it unless it only waited for a processor."""
        self._wall = self._wall + _CHECK_SECONDS if self._wall else self._patience
        now = cpu_times(os.getpid())
        if now is None or self._begun is None or now[1] < 0.0:
            waited = self._wall / 10
        else:
            waited = self._wall - (sum(now) - sum(self._begun))
        if waited > _RAISE_SHARE * self._patience:
            self.over()
            raise ScriptTooLong(f"{self._patience:g} s, or waits so long for something outside,")
