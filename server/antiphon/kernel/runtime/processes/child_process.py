"""How a forked child begins and ends, and how its parent describes its end."""

import contextlib
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from antiphon.kernel.runtime.platform import PORTABLE, name_process

PROGRESS_VARIABLE = "ANTIPHON_PROGRESS_FD"
"""The environment variable of the pipe to which a command writes the fraction done."""
OWNER = "ANTIPHON_OWNER"
"""The environment variable of the pid of the program that starts a server for itself: it ends with that program."""
DEVICE_GONE = 75
"""Exit status of an engine whose device stopped asking for blocks."""
NO_DEVICE = 76
"""Exit status of an engine whose device would not start; it has reported why."""


def leave(work: Callable[[], int | None]) -> NoReturn:
    """Runs a forked child's work and exits by its status, None for 0, without the parent's clean-up.

    An exception is printed, with exit status 1.
    """
    status = 1
    try:
        status = work() or 0
    except BaseException:
        with contextlib.suppress(OSError, ValueError):
            traceback.print_exc()
    finally:
        try:
            flush()
        finally:
            os._exit(status)


def fork(work: Callable[[], int | None], name: str) -> int:
    """Forks a child that runs `work` and exits like `leave`. Returns its pid. Raises OSError: the system allows none.

    `name`: its name in `ps`. SIGINT and SIGTERM are blocked in it until `work` calls `unblock_signals`.
    """
    flush()
    with block_signals():
        pid = os.fork()
        if not pid:
            name_process(name)
            leave(work)
    return pid


def flush() -> None:
    """Flushes standard output and error: a fork would write their buffers twice. Errors are ignored."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def block_signals() -> Iterator[None]:
    """Blocks SIGINT and SIGTERM within this context. A child forked here has them pending until it calls
    `unblock_signals`, so that its parent's handlers do not run in it. The parent handles its own when the context
    ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_signals() -> None:
    """Unblocks SIGINT and SIGTERM, once a child has installed its handlers."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def exit_cause(code: int) -> str:
    """How a process ended, from its exit status, negative for a signal: "killed by SIGKILL", "status 1"."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"status {code}"


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that preserve message boundaries; inheritable."""
    kind = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    for end in (a, b):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        end.set_inheritable(True)
    return a, b


_asked = False


def watch() -> None:
    """Makes SIGINT raise KeyboardInterrupt and be recorded from now on."""
    signal.signal(signal.SIGINT, _stop)


def end_requested() -> bool:
    """Whether SIGINT has been received since `watch`."""
    return _asked


def _stop(_number: int, _frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt


_copied = False


def allow_copied_children() -> None:
    """Makes children of this process copies of it where possible, from now on: its imports are half of their cost.

    `antiphon run` calls it. A program that imports Antiphon is not copied, nor is a process that plays or trains.
    """
    global _copied
    _copied = True


def may_be_copied() -> bool:
    """Whether a child may be a copy: a fork does not copy the process's other threads."""
    return _copied and not PORTABLE and threading.active_count() == 1
