"""Memory that processes share, and memory that was freed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
from pathlib import Path

_DONTNEED = 4
"""MADV_DONTNEED of Linux."""


def trim() -> None:
    """Returns freed memory from malloc to the system, where the C library can (`malloc_trim`).

    Loading samples or weights frees as much as it keeps. Off the block path: it takes milliseconds.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def unmap_clean(library: str) -> None:
    """Takes the pages of a shared library that hold what its file holds out of this process.

    They were mapped when they were used, and count as this process's memory from then on. Used again, they come from
    the file's cache. Pages that were written, as those with relocated addresses, stay. Linux only.
    """
    start, size = 0, 0
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/smaps").read_text().splitlines():
            first, _, rest = line.partition(" ")
            if "-" in first:
                begin, end = (int(part, 16) for part in first.split("-"))
                start, size = begin, end - begin if library in rest and "w" not in rest[:4] else 0
            elif first == "Shared_Dirty:" and rest.split()[0] != "0":
                size = 0  # a process that was forked, or has forked, shares what was written with the other
            elif first == "Private_Dirty:" and size and rest.split()[0] == "0":
                ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _DONTNEED)


def anonymous_file(name: str) -> int:
    """Creates an empty file without a place in any folder, inheritable, to be mapped by several processes."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create(name, 0)
    else:  # macOS: an unlinked temporary file
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.set_inheritable(fd, True)
    return fd
