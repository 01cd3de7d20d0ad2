"""Background loading of a stream's files before it is opened, so that the worker's other streams play on."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable

SWITCH_SECONDS = 2e-4
"""Interpreter switch interval of the loading thread, s: the worker's own thread has to answer a hop in milliseconds;
Python's default is 5 ms."""


class Preloading:
    """One background task at a time, in its own thread. `notify`: called in that thread at its end."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._running = False
        self._ended = ""

    def ended(self, name: str, work: Callable[[], None]) -> bool:
        """Starts the task unless one is running; True if it was the last task that ended.

        An exception in the thread ends the task: the caller repeats the work itself and raises the same one.
        """
        if self._running or self._ended == name:
            return not self._running
        self._running = True
        sys.setswitchinterval(SWITCH_SECONDS)
        threading.Thread(target=self._run, args=(name, work), daemon=True).start()
        return False

    def _run(self, name: str, work: Callable[[], None]) -> None:
        with contextlib.suppress(Exception):
            work()
        self._ended, self._running = name, False
        self._notify()
