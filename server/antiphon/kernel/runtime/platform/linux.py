"""Linux's own ways: eventfds, memory files, a signal at the parent's end, priorities, exact timers."""

import ctypes
import os
import platform
import signal
from functools import cache

_SLICE_NS = 100_000
_SYSCALLS = {"x86_64": 314, "aarch64": 274}
_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK, _PR_SET_CHILD_SUBREAPER = 1, 29, 36


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def make_bell(*, waits: bool = False, inherited: bool = True) -> int:
    """Creates a bell: a descriptor readable once it was rung.

    `waits`: of `wait_bell`, else of `hear`. `inherited`: by programs that are executed.
    """
    return os.eventfd(0, (0 if waits else os.EFD_NONBLOCK) | (0 if inherited else os.EFD_CLOEXEC))


def ring(bell: int) -> None:
    """Rings a bell; does not wait. Machine code writes eight bytes, int64 1, instead."""
    os.eventfd_write(bell, 1)


def hear(bell: int) -> None:
    """Silences a bell that was rung any number of times. Raises BlockingIOError: it was not."""
    os.eventfd_read(bell)


def wait_bell(bell: int) -> None:
    """Waits until a bell made with `waits` is rung, and silences it."""
    os.eventfd_read(bell)


def anonymous_file(name: str, size: int) -> int:
    """Creates a file of zeros without a place in any folder, inheritable, to be mapped by several processes."""
    fd = os.memfd_create(name, 0)
    os.ftruncate(fd, size)
    os.set_inheritable(fd, True)
    return fd


def end_with_parent(parent: int) -> bool:
    """Has this process killed when its parent ends; False if `parent` is not its parent, or no more."""
    end_before_exec()
    return os.getppid() == parent


def end_before_exec() -> None:
    """Has this process, and a foreign program that it executes, killed when its parent ends; for `preexec_fn`."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Makes this process the parent of what its children leave behind: their ends are reported to it."""
    _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def exact_timers() -> None:
    """Has a sleep of this thread end when it is due, not up to 50 µs later."""
    _libc().prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def fifo(priority: int) -> bool:
    """SCHED_FIFO, priority 1 to 99, for this thread and those it starts; False where that is not permitted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        return False
    return True


def short_slices() -> None:
    """Requests time slices of 100 µs for this process, in the ordinary scheduling class: earlier wake-ups under load.

    Needs Linux 6.12 and no privilege; elsewhere it does nothing.
    """
    number = _SYSCALLS.get(platform.machine())
    if number is None:
        return
    # this call sets the nice value too, and is refused if that would lower it
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    asked = _Attributes(size=ctypes.sizeof(_Attributes), policy=0, nice=nice, runtime=_SLICE_NS)
    _libc().syscall(number, 0, ctypes.byref(asked), 0)
