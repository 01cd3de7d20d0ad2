"""Limits of a process that runs a live script: memory, and the time of each step of it."""

import signal
import sys
from types import FrameType

from antiphon.kernel.runtime.platform import limit_resources
from antiphon.live.faults import refuse_copies
from antiphon.live.records import ScriptTooLong

MEMORY = 1 << 30
"""Private memory limit in bytes: the interpreter and numpy take 60 MB of them."""
_WALL, _LAST = 5.0, 2.0
"""Factors of a step's CPU time limit: for wall-clock time, and in C, where Python cannot raise."""


def set_limits(seconds: float, memory: int = MEMORY) -> None:
    """Prepares the limits of this process; `begin_step` begins a step of at most `seconds` of CPU time."""

    def end(number: int, frame: FrameType | None) -> None:
        end_step()  # the other timer is not to interrupt the report of this one
        signal.setitimer(signal.ITIMER_VIRTUAL, _LAST * seconds)
        raise ScriptTooLong(f"{seconds:g} s")

    signal.signal(signal.SIGPROF, end)
    signal.signal(signal.SIGALRM, end)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    limit_resources(data=memory, core=0)
    sys.addaudithook(lambda event, _: refuse_copies(event))


def begin_step(seconds: float) -> None:
    """Begins a step, which raises `ScriptTooLong` in Python; in C the process ends by SIGVTALRM."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _WALL * seconds)
    signal.setitimer(signal.ITIMER_VIRTUAL, _LAST * seconds)


def end_step() -> None:
    """Ends a step."""
    for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL, signal.ITIMER_VIRTUAL):
        signal.setitimer(timer, 0.0)
