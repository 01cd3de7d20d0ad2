"""Limits of a process that runs a live script: memory, and the time of each step of it."""

import signal
import sys
import time
from types import FrameType

from antiphon.kernel.runtime.platform import limit_resources, thread_clocks
from antiphon.live.faults import refuse_copies
from antiphon.live.records import ScriptTooLong

MEMORY = 1 << 30
"""Private memory limit in bytes: the interpreter and numpy take 60 MB of them."""
_WALL, _LAST = 5.0, 2.0
"""Factors of a step's CPU time limit: for a wait, except for a processor, and in C, where Python cannot raise."""
_LOOK = 0.05
"""Shortest time in seconds between two looks at a step that is slow."""
_begun: list[float] = []


def set_limits(seconds: float, memory: int = MEMORY) -> None:
    """Prepares the limits of this process; `begin_step` begins a step of at most `seconds` of CPU time."""

    def end(number: int, frame: FrameType | None) -> None:
        end_step()  # the other timer is not to interrupt the report of this one
        signal.setitimer(signal.ITIMER_VIRTUAL, _LAST * seconds)
        raise ScriptTooLong(f"{seconds:g} s")

    def look(number: int, frame: FrameType | None) -> None:
        if not _begun:  # it came as the step ended
            return
        rest = _WALL * seconds - (_stood() - _begun[0])
        if rest <= 0:
            end(number, frame)
        signal.setitimer(signal.ITIMER_REAL, rest + _LOOK)

    signal.signal(signal.SIGPROF, end)
    signal.signal(signal.SIGALRM, look)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    limit_resources(data=memory, core=0)
    sys.addaudithook(lambda event, _: refuse_copies(event))


def begin_step(seconds: float) -> None:
    """Begins a step, which raises `ScriptTooLong` in Python; in C the process ends by SIGVTALRM."""
    _begun[:] = [_stood()]
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _WALL * seconds)
    signal.setitimer(signal.ITIMER_VIRTUAL, _LAST * seconds)


def _stood() -> float:
    """Seconds that this thread has neither computed nor waited for a processor, from a fixed moment on."""
    return time.monotonic() - sum(thread_clocks()) / 1e9


def end_step() -> None:
    """Ends a step."""
    _begun.clear()
    for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL, signal.ITIMER_VIRTUAL):
        signal.setitimer(timer, 0.0)
