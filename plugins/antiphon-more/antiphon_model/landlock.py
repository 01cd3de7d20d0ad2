"""Uses Landlock of Linux 5.13 and later, by which a process permanently gives up rights to files and the network.

Constants are from the kernel's `linux/landlock.h`; system call numbers are the same on every architecture.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

from antiphon.api import AntiphonError, Samples
from antiphon.api.backends.runtime import limit_resources

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38
_VERSION = 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_FIRST_RIGHTS = (1 << 13) - 1
"""Rights of the first version: execute, read, write, remove, and make files of each kind."""
_TRUNCATE = 1 << 14
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """The kernel's Landlock version; 0 without Landlock, as on older kernels and other systems."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        call = ctypes.CDLL(None, use_errno=True).syscall
    except (OSError, AttributeError):
        return 0
    call.restype = ctypes.c_long
    return max(0, int(call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))))


def forbid_writing(nodes: tuple[str, ...] = ()) -> bool:
    """Revokes the right of this thread and its children to write files, run programs and use TCP.

    Open files stay open, and reading stays allowed, because libraries are loaded late. `nodes`: patterns of device
    nodes in `/dev` that may be written. Returns whether the rights were revoked, which needs a kernel with Landlock.
    """
    version = landlock_version()
    if not version:
        return False
    call = ctypes.CDLL(None, use_errno=True).syscall
    control = ctypes.CDLL(None, use_errno=True).prctl
    call.restype = ctypes.c_long
    files = _FIRST_RIGHTS & ~(_READ_FILE | _READ_DIR) | (_TRUNCATE if version >= 3 else 0)
    rules = _Ruleset(files, _BIND_TCP | _CONNECT_TCP if version >= 4 else 0)
    size = ctypes.sizeof(_Ruleset) if version >= 4 else ctypes.sizeof(ctypes.c_uint64)
    ruleset = call(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint(0))
    if ruleset < 0:
        return False
    try:
        for node in (path for pattern in nodes for path in Path("/dev").glob(pattern)):
            held = os.open(node, os.O_PATH)
            try:
                rule = _PathRule(_WRITE_FILE, held)
                call(
                    _ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint(0)
                )
            finally:
                os.close(held)
        none = ctypes.c_ulong(0)
        if control(_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), none, none, none):
            return False
        return bool(call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0)) == 0)
    finally:
        with contextlib.suppress(OSError):
            os.close(ruleset)


Run: TypeAlias = Callable[[Samples], Samples]
"""One stream: function from float32 `[inputs, values]` of a hop to float32 `[outputs, values]`, with state."""


class StreamProgram(Protocol):
    """A loaded file with one of its methods chosen."""

    device: str  # "cpu" or "cuda"

    def begin(self) -> Run:
        """Starts a stream in its initial state; returns a function to call with its consecutive hops."""


def restrict_process(nodes: tuple[str, ...] = ()) -> None:
    """Stops this process from writing output and any file but `nodes`, before it runs untrusted code.

    A file size limit of 0 bytes works on every system; Landlock, where the kernel has it, also forbids existing files,
    programs and TCP.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    limit_resources(file=0, core=0)
    forbid_writing(nodes)


def sentence(error: BaseException) -> str:
    """Error of untrusted code in one line of at most 200 characters: for TorchScript the last of its trace."""
    if isinstance(error, AntiphonError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if "Error" in line or "rror:" in line), lines[0] if lines else "")
    return f"{type(error).__name__}: {last}"[:200].rstrip(": ")
