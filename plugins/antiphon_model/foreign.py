"""What loaded model files have in common: a method whose streams are begun one by one, and the limits of a process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol, TypeAlias

from antiphon.api import AntiphonError, Samples
from antiphon.api.backends.runtime import limit_resources
from antiphon_model.landlock import forbid_writing

Run: TypeAlias = Callable[[Samples], Samples]
"""One stream: float32 `[inputs, values]` of a hop to float32 `[outputs, values]`, with a memory of its own."""


class StreamProgram(Protocol):
    """A loaded file with one of its methods chosen."""

    def begin(self) -> Run:
        """Begins a stream without a past: the function that computes its hops, one after the other."""


def confine() -> None:
    """Takes from this process its output, and the right to write files: what it runs is others' code.

    Script can print, without end. A limit of 0 bytes holds everywhere; Landlock, where the kernel has it, also keeps
    from files that exist, and from programs and TCP.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    limit_resources(file=0, core=0)
    forbid_writing()


def sentence(error: BaseException) -> str:
    """An error of foreign code in one line of at most 200 characters, the last of a TorchScript trace."""
    if isinstance(error, AntiphonError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if "Error" in line or "rror:" in line), lines[0] if lines else "")
    return f"{type(error).__name__}: {last}"[:200].rstrip(": ")
