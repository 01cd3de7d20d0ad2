"""What a helper process does first, and how it answers the process that started it. Imports little."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Iterator, Mapping
from typing import Any

from antiphon.kernel.runtime import frames
from antiphon.kernel.runtime.child_process import end_with_parent
from antiphon.kernel.runtime.frames import Message


class HelperChannel:
    """The helper's end: requests come from standard input, answers go to what was standard output.

    From then on standard input is empty, and what is printed, by libraries too, goes to standard error. The process
    ignores Ctrl-C, which reaches a whole group: its parent decides.

    Args:
        at_once: End with the thread that started it, whatever it does. Otherwise it ends at its next look for a
            request: for one that is started by one thread and asked by others.

    Attributes:
        input: The descriptor that requests are read from.
    """

    def __init__(self, *, at_once: bool = True) -> None:
        if at_once:
            end_with_parent()  # the kernel sends that signal when the thread ends
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.input, self._answers = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def requests(self, idle: float | None = None) -> Iterator[Message]:
        """The requests, until the parent closes its end.

        Args:
            idle: Seconds without a request after which they end too; None for no end.

        Yields:
            The message of each, JSON values; raw buffers that come with it are dropped.
        """
        with contextlib.suppress(EOFError, TimeoutError):
            while True:
                yield frames.read(self.input, silence=idle)[0]

    def send(self, message: Message, *raw: Any) -> None:
        """Sends an answer. Waits while the pipe is full.

        Args:
            message: JSON values.
            *raw: Contiguous buffers, numpy's arrays too.

        Raises:
            OSError: The parent has closed its end.
        """
        frames.write(self._answers, message, *raw)


def limit_resources(limits: Mapping[int, int]) -> None:
    """Limits this process for good; a system without one of the limits keeps the others.

    Args:
        limits: `resource.RLIMIT_…` and the most of each.
    """
    for name, most in limits.items():
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(name, (most, most))
