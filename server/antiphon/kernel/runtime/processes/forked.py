"""Calls a function in a copy of this process and returns its answer; without fork, in a fresh interpreter."""

import contextlib
import faulthandler
import json
import math
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from antiphon.kernel.runtime.platform import PORTABLE, end_with_parent
from antiphon.kernel.runtime.processes.child_process import fork, unblock_signals
from antiphon.kernel.runtime.processes.scheduling import StallTimeout
from antiphon.kernel.runtime.processes.spawning import start_answering

START_SECONDS = 20.0
"""Seconds within which a fresh interpreter has begun its work."""
_WORK_TIMES = 3.0 if PORTABLE else 1.0
"""Factor of the work's time limit: a fresh interpreter imports the modules that a copy of this process already has."""


@dataclass(frozen=True, slots=True)
class ForkedEnd:
    """End of a forked child.

    `answer`: the result of its work, None where it is missing or incomplete. `late`: seconds after which it was ended,
    0 if it ended by itself. `status`: its exit status, negative for a signal.
    """

    answer: Any
    late: float
    status: int

    @property
    def how(self) -> str:
        """How it ended: "SIGSEGV", "exit status 3"."""
        return signal.Signals(-self.status).name if self.status < 0 else f"exit status {self.status}"


def run_forked(
    work: Callable[[], Any], seconds: float | None, most: int, meanwhile: Callable[[], object] | None = None
) -> ForkedEnd:
    """Calls a function in a copy of this process, without input and output; the copy ends with this process.

    Where a process is not forked, the copy is a fresh interpreter, the one prepared for this module or another, to
    which `work` is pickled.

    `work`: returns JSON data of at most `most` bytes. `seconds`: timeout of the work, counted by `StallTimeout`, after
    which the child is ended; None for no timeout. `meanwhile`: called ten times a second. Raises OSError: the system
    cannot make another process or pipe.
    """
    child, receiving = start_answering(_start_and_become, work, os.getpid()) if PORTABLE else _fork(work)
    try:
        begun = not PORTABLE or StallTimeout(START_SECONDS).wait_readable(receiving, child, meanwhile)
        if PORTABLE and begun:
            os.read(receiving, 1)  # it has what it is to do
        timeout = StallTimeout(math.inf if seconds is None else _WORK_TIMES * seconds)
        data, late = b"", 0.0 if begun else START_SECONDS
        while begun and len(data) <= most:
            if not timeout.wait_readable(receiving, child, meanwhile):
                late = timeout.seconds
                break
            piece = os.read(receiving, 65536)
            if not piece:
                break
            data += piece
    finally:
        os.close(receiving)
        os.kill(child, signal.SIGKILL)  # which leaves the status of one that ended itself
        _, status = os.waitpid(child, 0)
    answer = None
    with contextlib.suppress(ValueError):
        answer = json.loads(data)
    return ForkedEnd(answer, late, os.waitstatus_to_exitcode(status))


def _fork(work: Callable[[], Any]) -> tuple[int, int]:
    receiving, giving = os.pipe()
    parent = os.getpid()
    try:
        return fork(lambda: _become(giving, work, parent), "trial"), receiving
    except OSError:
        os.close(receiving)
        raise
    finally:
        os.close(giving)


def _start_and_become(giving: int, work: Callable[[], Any], parent: int) -> None:
    os.write(giving, b"b")
    _become(giving, work, parent)


def _become(giving: int, work: Callable[[], Any], parent: int) -> None:
    if end_with_parent(parent):
        unblock_signals()
        faulthandler.disable()  # the parent reports a crash
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        os.write(giving, json.dumps(work()).encode())
