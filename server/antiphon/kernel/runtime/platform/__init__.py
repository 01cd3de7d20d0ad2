"""Functions that differ by system: bells, shared memory, ending with a parent, limits, locks, clocks, machine facts.

Linux has its own implementation (`linux`). Elsewhere, and with ANTIPHON_PORTABLE=1 there too, the plain one is used
(`plain`): that of POSIX, without a fork. Limits of a process, locks of open files and functions of the C library have
one form here: Linux and macOS have the first two by `resource` and `fcntl`; Windows, for which this is written and not
yet run, has locks by `msvcrt` and no such limits.
"""

import contextlib
import ctypes
import os
import sys
import time
from typing import Final

from antiphon.kernel.runtime.platform.plain import ThreadTimes

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl
    import resource

MONOTONIC = getattr(time, "CLOCK_MONOTONIC", -1)
"""Id of the monotonic clock of `clock_gettime`, which machine code calls."""
PROCESS_TIME = getattr(time, "CLOCK_PROCESS_CPUTIME_ID", -1)
"""Id of the clock of this process's CPU time."""
MANY_FILES = 512
"""Maximum open files of a process where the system does not say."""


def limit_resources(**most: int) -> None:
    """Limits this process and its children permanently; a system without one of the limits applies the others.

    most: bytes of `data`, `address` space, `core` and each `file`, seconds of `cpu`.
    """
    if sys.platform == "win32":
        return
    kinds = {
        "data": resource.RLIMIT_DATA,
        "address": resource.RLIMIT_AS,
        "core": resource.RLIMIT_CORE,
        "file": resource.RLIMIT_FSIZE,
        "cpu": resource.RLIMIT_CPU,
    }
    for kind, bound in most.items():
        with contextlib.suppress(OSError, ValueError):  # a lower hard limit stands already, or there is none
            resource.setrlimit(kinds[kind], (bound, bound))


def c_function(name: str) -> int:
    """The address of a function of the C library that POSIX has, for machine code."""
    return ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value or 0


def most_open_files() -> int:
    """Files and sockets that this process may have open."""
    return MANY_FILES if sys.platform == "win32" else resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_open_files(wanted: int = 8192) -> None:
    """Allows this process and its children `wanted` open files, or what the system grants; macOS begins at 256."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (wanted, wanted // 2, wanted // 4, wanted // 8):
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        if soft == resource.RLIM_INFINITY or soft >= most:
            return
        with contextlib.suppress(OSError, ValueError):  # macOS refuses what its kernel does not have
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            return


def lock_file(descriptor: int, *, shared: bool = False, wait: bool = False) -> bool:
    """Locks a file until it is closed or the process ends; False where another process has it and `wait` is not set."""
    try:
        if sys.platform == "win32":
            _at(descriptor, 0)
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def lock_number(descriptor: int, number: int) -> bool:
    """Locks one byte of a file for this process; False where another process has it."""
    try:
        if sys.platform == "win32":
            _at(descriptor, number)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
    except (BlockingIOError, PermissionError):
        return False
    return True


def unlock_number(descriptor: int, number: int) -> None:
    """Unlocks one byte of a file."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            _at(descriptor, number)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        else:
            fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, number)


def _at(descriptor: int, number: int) -> None:
    """Moves to the byte that Windows is to lock."""
    os.lseek(descriptor, number, os.SEEK_SET)


PORTABLE: Final[bool] = sys.platform != "linux" or os.environ.get("ANTIPHON_PORTABLE", "") not in ("", "0")
"""Whether this process uses the plain implementation for any system."""

if PORTABLE:
    from antiphon.kernel.runtime.platform.plain import (
        address_space,
        adopt_orphans,
        anonymous_file,
        cores,
        descendants,
        end_before_exec,
        end_with_parent,
        exact_timers,
        fifo,
        free_memory,
        hear,
        is_stopped,
        make_bell,
        name_process,
        network,
        private_memory,
        process_at,
        ring,
        short_slices,
        start_time,
        thread_clocks,
        thread_times,
        user_folder,
        wait_bell,
    )
else:
    from antiphon.kernel.runtime.platform.linux import (
        address_space,
        adopt_orphans,
        anonymous_file,
        cores,
        descendants,
        end_before_exec,
        end_with_parent,
        exact_timers,
        fifo,
        free_memory,
        hear,
        is_stopped,
        make_bell,
        name_process,
        network,
        private_memory,
        process_at,
        ring,
        short_slices,
        start_time,
        thread_clocks,
        thread_times,
        user_folder,
        wait_bell,
    )
