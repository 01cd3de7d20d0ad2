"""The processes a supervisor owns: known by pid and pidfd, never by name."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

TERM_SECONDS = 2.0
DEVICE_GONE = 75
"""Exit status of an engine whose device stopped asking for blocks."""
NO_DEVICE = 76
"""Exit status of an engine whose device would not start; it has said why."""


_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Child:
    """A process of ours. pidfd: readable once it has ended."""

    name: str
    pid: int
    pidfd: int

    @staticmethod
    def of(name: str, pid: int) -> Child:
        """A child just started. Where there is no descriptor to watch it by it is ended, and `OSError` raised."""
        try:
            return Child(name, pid, os.pidfd_open(pid))
        except OSError:
            # without a descriptor nobody would notice its end
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
            raise

    def reaped(self) -> int | None:
        """Its wait status once it has ended, None while it lives."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        return status if pid else None

    def end(self) -> None:
        """SIGTERM, and SIGKILL for one that does not listen; returns when it is gone, or takes neither."""
        self._end(signal.SIGTERM, signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL at once: what it would do at its end is not wanted."""
        self._end(signal.SIGKILL)

    def _end(self, *signals: signal.Signals) -> None:
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        for number in signals:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
                os.kill(self.pid, signal.SIGCONT)  # a stopped process takes no SIGTERM
            if poll.poll(TERM_SECONDS * 1000):
                break
        # one that waits for a disk that hangs takes no signal: it is left to the system
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        os.close(self.pidfd)


def leave(work: Callable[[], int | None]) -> NoReturn:
    """Does a forked child's work and ends it, without the parent's clean-up, also where nobody reads what it says."""
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


def flush() -> None:
    """What was said goes out, where somebody reads it: a fork would say it twice."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def unsignalled() -> Iterator[None]:
    """A child started in here has SIGINT and SIGTERM waiting until it calls `listening`: neither is lost, nor
    taken by a handler of its parent's. What comes for the parent meanwhile is handled when this ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def listening() -> None:
    """A child has its handlers: takes signals from here on."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def bound_to(parent: int) -> bool:
    """A child is killed when its parent ends (on Linux); False when that has ended already."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def cause(status: int) -> str:
    """Why a process ended, of its wait status: "killed by SIGKILL", "status 1"."""
    code = os.waitstatus_to_exitcode(status)
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"status {code}"


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a socket that keeps messages apart; inheritable."""
    kind = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    for end in (a, b):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        end.set_inheritable(True)
    return a, b
