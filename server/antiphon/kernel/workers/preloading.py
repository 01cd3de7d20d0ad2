"""Loads in a thread what a stream needs before it can be opened, so that the worker's other streams play on."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable

SWITCH_SECONDS = 2e-4
"""Time after which the loading thread gives the interpreter up to the worker's own thread, which has to answer a hop in
milliseconds; Python's default is 5 ms."""


class Preloading:
    """One piece of work at a time, in a thread of its own. `notify`: called in that thread when the work has ended."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._running = False
        self._ended = ""

    def ended(self, name: str, work: Callable[[], None]) -> bool:
        """Begins the work, unless it or other work is running; whether this work was the last that ended.

        An error in its thread ends it: the caller, who does what is missing itself, meets it again.
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
