"""Gives memory that was freed back to the system."""

from __future__ import annotations

import contextlib
import ctypes


def trim() -> None:
    """Returns what malloc keeps of freed memory, where the C library can: glibc does so by itself only at the end.

    Loading samples or weights frees as much as it keeps. Off the block path: it takes milliseconds.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
