"""Scheduling classes and time slices of Linux; on other systems the functions do nothing."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from pathlib import Path

SLICE_NS = 100_000
"""Nanoseconds of a time slice."""
LOWEST_NICE, SESSION_NICE = 19, 10
"""Nice values of what gives way: of the process, and of its session, which has a tenth of another's share."""
_AUTOGROUP = Path("/proc/self/autogroup")
_SYSCALLS = {"x86_64": 314, "aarch64": 274}


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


def short_slices() -> None:
    """Requests time slices of 100 µs for this process, in the ordinary scheduling class: earlier wake-ups under load.

    Needs Linux 6.12 and no privilege; elsewhere it does nothing.
    """
    number = _SYSCALLS.get(platform.machine())
    if number is None or sys.platform != "linux":
        return
    # this call sets the nice value too, and is refused if that would lower it
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    asked = _Attributes(size=ctypes.sizeof(_Attributes), policy=0, nice=nice, runtime=SLICE_NS)
    ctypes.CDLL(None, use_errno=True).syscall(number, 0, ctypes.byref(asked), 0)


def fifo(priority: int) -> bool:
    """SCHED_FIFO, priority 1 to 99, for this thread and those it starts; False where that is not permitted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (PermissionError, AttributeError):
        return False
    return True


def give_way() -> None:
    """Sets the lowest priority of the ordinary class for this process, and a low one for its session.

    Where Linux groups processes by session (sched_autogroup), nice values count within a session alone, and a process
    in a session of its own has as large a share as all that plays; the group therefore has a nice value too.
    """
    os.setpriority(os.PRIO_PROCESS, 0, LOWEST_NICE)
    with contextlib.suppress(OSError):
        _AUTOGROUP.write_text(str(SESSION_NICE))
