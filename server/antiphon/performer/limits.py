"""What a step of a live script may cost, processor time and waits for something outside; how far ahead it is asked."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

from antiphon.kernel.runtime.platform import limit_resources
from antiphon.kernel.runtime.processes.scheduling import thread_times
from antiphon.live.records import ScriptTooLong

MEMORY = 1 << 30
"""Bytes of private memory: the interpreter and numpy take 60 MB of them."""
AHEAD = 0.5
"""Seconds that events are asked for ahead of the server's beat."""
LATE = 0.25
"""Seconds after which the beginning of a note is left out rather than played late."""
MARGIN = 0.05
"""Seconds before a bar in which a new version still begins on it."""
PATIENCE = 0.2
"""Seconds that a step may run, or wait for something outside, before it is stopped."""
FIRST_PATIENCE = 2.0
"""The same for reading a script where nothing plays yet: it may import what takes long."""
_RAISE = 0.75
"""Share of the patience after which Python raises, with the line; after all of it a signal ends the process."""
_LOOK = 0.05
"""Seconds between looks at whether a step that takes long runs, or waits."""


def spent(pid: int) -> tuple[float, float] | None:
    """Seconds that a process has run, and that it was ready to run while others did; None where the system has none.

    What is neither of both is time in which it waited for something.
    """
    times = thread_times(pid).get(str(pid))
    return None if times is None else (times.ran / 1e9, times.waited / 1e9)


def runs(pid: int) -> bool:
    """Whether a process runs, or is ready to: time in which it is ready is counted only when it runs again."""
    times = thread_times(pid).get(str(pid))
    return times is not None and times.ready


class StepLimits:
    """The limits of this process: `begin` before a step, `end` after it.

    `over` is called when a step has taken too long, before `ScriptTooLong` is raised in it.
    """

    def __init__(self) -> None:
        """Sets the limit of memory, and the handlers of the timers."""
        self.over: Callable[[], None] = _nothing
        self._begun: tuple[float, float] | None = None
        self._patience = PATIENCE
        signal.signal(signal.SIGPROF, self._ran)
        signal.signal(signal.SIGALRM, self._looked)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
        limit_resources(data=MEMORY, core=0)

    def begin(self, patience: float = PATIENCE) -> None:
        """Limits the processor time and the waiting time of a step, in seconds."""
        self._patience = patience
        self._begun = spent(os.getpid())
        self._wall = 0.0
        signal.setitimer(signal.ITIMER_PROF, _RAISE * patience)
        signal.setitimer(signal.ITIMER_VIRTUAL, patience)
        signal.setitimer(signal.ITIMER_REAL, patience, _LOOK)

    def end(self) -> None:
        """Ends the limits of a step."""
        for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL, signal.ITIMER_VIRTUAL):
            signal.setitimer(timer, 0.0)

    def _ran(self, _number: int, _frame: FrameType | None) -> None:
        self.over()
        raise ScriptTooLong(f"{self._patience:g} s")

    def _looked(self, _number: int, _frame: FrameType | None) -> None:
        """The step has taken long by the clock: stops it unless it was only kept from running."""
        self._wall = self._wall + _LOOK if self._wall else self._patience
        now = spent(os.getpid())
        waited = self._wall / 10 if now is None or self._begun is None else self._wall - (sum(now) - sum(self._begun))
        if waited > _RAISE * self._patience:
            self.over()
            raise ScriptTooLong(f"{self._patience:g} s, or waits so long for something outside,")


def _nothing() -> None:
    pass
