"""A function called in a copy of this process, which gives bytes; where a process is not forked, in an interpreter."""

import faulthandler
import math
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.kernel.runtime.platform import PORTABLE, end_with_parent
from antiphon.kernel.runtime.processes.scheduling import Patience
from antiphon.kernel.runtime.processes.spawning import start_answering

START_SECONDS = 20.0
"""In which a fresh interpreter has begun its work."""
_WORK_TIMES = 3.0 if PORTABLE else 1.0
"""What the seconds of the work are multiplied by: a fresh interpreter imports what a copy of this process has."""


@dataclass(frozen=True, slots=True)
class ForkedEnd:
    """End of a forked child: status and output.

    `late`: seconds after which it was ended, 0 for one that ended itself. `status`: its exit status, negative for a
    signal.
    """

    data: bytes
    late: float
    status: int


def run_forked(
    work: Callable[[], bytes], seconds: float | None, most: int, meanwhile: Callable[[], object] | None = None
) -> ForkedEnd:
    """Has a function called in a copy of this process, without input and output; the copy ends with this process.

    Where a process is not forked the copy is a fresh interpreter, that prepared for this module or another one, to
    which `work` is pickled.

    `seconds`: of work after which the child is ended, as of `Patience`; None for no end. `most`: bytes that it may
    give; what follows them is not read. `meanwhile`: called ten times a second. Raises OSError: the system cannot make
    another process or pipe.
    """
    child, receiving = start_answering(_start_and_become, work, os.getpid()) if PORTABLE else _fork(work)
    try:
        begun = not PORTABLE or Patience(START_SECONDS).hears(receiving, child, meanwhile)
        if PORTABLE and begun:
            os.read(receiving, 1)  # it has what it is to do
        patience = Patience(math.inf if seconds is None else _WORK_TIMES * seconds)
        data, late = b"", 0.0 if begun else START_SECONDS
        while begun and len(data) <= most:
            if not patience.hears(receiving, child, meanwhile):
                late = patience.seconds
                break
            piece = os.read(receiving, 65536)
            if not piece:
                break
            data += piece
    finally:
        os.close(receiving)
        os.kill(child, signal.SIGKILL)  # which leaves the status of one that ended itself
        _, status = os.waitpid(child, 0)
    return ForkedEnd(data[:most], late, os.waitstatus_to_exitcode(status))


def _fork(work: Callable[[], bytes]) -> tuple[int, int]:
    receiving, giving = os.pipe()
    parent, child = os.getpid(), -1
    try:
        child = os.fork()
        if child == 0:
            os.close(receiving)
            _become(giving, work, parent)
    finally:
        os.close(giving)
        if child < 0:
            os.close(receiving)
    return child, receiving


def _start_and_become(giving: int, work: Callable[[], bytes], parent: int) -> None:
    os.write(giving, b"b")
    _become(giving, work, parent)


def _become(giving: int, work: Callable[[], bytes], parent: int) -> None:
    try:
        if end_with_parent(parent):
            faulthandler.disable()  # the parent reports a crash
            quiet = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(quiet, stream)
            os.write(giving, work())
    finally:
        os._exit(0)
