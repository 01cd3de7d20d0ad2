"""Removes a secret from the process list, which every user of a machine may read."""

from __future__ import annotations

import ctypes
from pathlib import Path

_ARG_START, _ARG_END = 45, 46
"""Fields 48 and 49 of /proc/PID/stat, counted from the one behind the name."""


def cover(argument: str, secret: str) -> bool:
    """Overwrites `secret` with x wherever `argument` stands in this process's command line.

    False where that cannot be done (no /proc); then only the environment keeps a secret.
    """
    whole, part = argument.encode(errors="surrogateescape"), secret.encode(errors="surrogateescape")
    if not part or part not in whole:
        return False
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
        line = Path("/proc/self/cmdline").read_bytes()
    except (OSError, ValueError, IndexError):
        return False
    # the process list shows this memory; nothing is written unless its address is known
    if not 0 < start < end or ctypes.string_at(start, end - start) != line[: end - start]:
        return False
    at, covered = line.find(whole), False
    while at >= 0:
        ctypes.memmove(start + at, whole.replace(part, b"x" * len(part)), len(whole))
        covered = True
        at = line.find(whole, at + len(whole))
    return covered
