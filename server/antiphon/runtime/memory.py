"""Memory that processes share, and memory that was freed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile


def trim() -> None:
    """Returns what malloc keeps of freed memory, where the C library can: glibc does so by itself only at the end.

    Loading samples or weights frees as much as it keeps. Off the block path: it takes milliseconds.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def anonymous_file(name: str) -> int:
    """Creates a file without a place in any folder, to be mapped by several processes.

    Args:
        name: For lists of a process's mappings.

    Returns:
        Its descriptor, inheritable; the file is empty.
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create(name, 0)
    else:  # macOS: an unlinked temporary file
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.set_inheritable(fd, True)
    return fd
