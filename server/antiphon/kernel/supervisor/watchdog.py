"""Checks of the supervisor's loop: a hanging engine or control, a device that is back, a synth given up."""

import signal
from enum import Enum

from antiphon.kernel.engine import shared
from antiphon.kernel.engine.plans.admission import TIMEOUT_SECONDS
from antiphon.kernel.engine.plans.loading import LoadingNote
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.runtime.platform import is_stopped
from antiphon.kernel.runtime.processes.child_process import DEVICE_GONE, NO_DEVICE
from antiphon.kernel.runtime.processes.scheduling import StallTimer
from antiphon.kernel.runtime.settings import ServeSettings

HANG_SECONDS = 2.0
DEVICE_SECONDS = 3.0
"""Seconds added for a device: the driver itself reports a device that stops calling, within this time."""
LOAD_SECONDS = 5.0 + TIMEOUT_SECONDS
"""Seconds on one task after which a loader counts as hung; longer than its waits for the weigher and for workers."""
CONTROL_HANG_SECONDS = 10.0
"""Seconds without a turn after which control counts as hung. It marks each turn of its loop, sixty times a second. The
longest turn measured takes 2 s (one datagram of 2,728 patterns on eight nodes), and a slow write to a disk may add to
it; the sound does not depend on control meanwhile.
"""


class Hang(Enum):
    """Kind of an engine's hang: of a thread, or of the whole process, which a signal has stopped."""

    NONE = ""
    LOOP = "loop"
    LOADER = "loader"
    STOPPED = "stopped"


class HangWatch:
    """Detects a hanging engine or control: by progress, excluding time in which the machine gave it no CPU."""

    def __init__(self, words: memoryview, loading: LoadingNote, interval: float) -> None:
        """words: the shared header, by `HeaderWord`. loading: note of the loader's node. interval: s between polls."""
        self._words, self._loading = words, loading
        self._loop, self._loader, self._control = (StallTimer(interval) for _ in range(3))

    def engine(self, pid: int, driver: str) -> tuple[Hang, str]:
        """Returns a running engine's hang, and a line of text on it; "" for none."""
        running = self._words[shared.HeaderWord.ENGINE_STATE] == 2
        seconds = self._loop.look(pid, self._words[shared.HeaderWord.ALIVE_NS] if running else 0) / 1e9
        if seconds > HANG_SECONDS + (DEVICE_SECONDS if driver != "headless" else 0.0):
            if is_stopped(pid):
                return Hang.STOPPED, f"the engine has been stopped by a signal for {seconds:.1f} s; ending it"
            return Hang.LOOP, f"the engine has hung for {seconds:.1f} s; ending it"
        seconds = self._loader.look(pid, self._loading.last_beat_ns if running else 0) / 1e9
        if seconds <= LOAD_SECONDS:
            return Hang.NONE, ""
        at = f" at the node {self._loading.name}" if self._loading.name else ""
        return Hang.LOADER, f"the engine's loader has hung for {seconds:.1f} s{at}; ending the engine"

    def control(self, pid: int) -> float:
        """Seconds for which control's loop has not turned, if over the limit; else, and before its first turn, 0."""
        seconds = self._control.look(pid, self._words[shared.HeaderWord.CONTROL_BEAT]) / 1e9
        return seconds if seconds > CONTROL_HANG_SECONDS else 0.0


def forget(words: memoryview, loading: LoadingNote) -> None:
    """Clears the marks of an engine that is being ended, so that the next one is not taken for hung."""
    words[shared.HeaderWord.ALIVE_NS] = 0
    loading.forget()


def blame(words: memoryview, loading: LoadingNote, code: int, hung: Hang) -> str:
    """Notes which node was running or being prepared when an engine ended, so that the next engine leaves it out.

    Returns the name of the node that was being prepared, or "". `code`: exit status, a negative one is the signal;
    `hung`: the hang for which the supervisor killed it. No node is to blame for a kill or a stop from outside.
    """
    at_work, words[shared.HeaderWord.AT_WORK] = words[shared.HeaderWord.AT_WORK], 0
    innocent = (signal.SIGKILL, signal.SIGTERM) if code < 0 else (0, DEVICE_GONE, NO_DEVICE)
    at_fault = hung in (Hang.LOOP, Hang.LOADER) or abs(code) not in innocent
    name = loading.note_engine_end(at_fault=at_fault)
    if at_fault:
        # blame the node being prepared before the one in the block: that one has played before. Beside a loader that
        # hung at a `close` the loop played on: whichever node it was killed in had no part in it
        words[shared.HeaderWord.BLAMED] = 0 if name or hung is Hang.LOADER else at_work
    return name


def forget_control(words: memoryview) -> None:
    """Clears the mark of a control that has ended, so that the next one is not taken for hung."""
    words[shared.HeaderWord.CONTROL_BEAT] = 0


def is_device_back(settings: ServeSettings, wanted: str) -> bool:
    """Whether the lost driver can play again."""
    from antiphon.kernel.engine.drivers.probe import probe

    try:
        probe(settings.with_(audio=wanted))
    except AntiphonError:
        return False
    return True
