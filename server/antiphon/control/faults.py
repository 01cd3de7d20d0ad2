"""What went wrong in control and nobody foresaw: it costs what was being done, and is counted and said."""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable
from time import monotonic
from typing import Any

log = logging.getLogger("antiphon.control")
LOGGED = 1.0
"""Seconds between two tracebacks in the log: what a sender can cause, a sender can repeat."""


class ControlFaults:
    """count: since this process began.  said: the last one in words, "" while there was none."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._logged = -LOGGED
        self.count = 0
        self.said = ""

    def attempt(self, what: str, work: Callable[[], object]) -> None:
        """Does `work`; what it raises ends it and nothing else. what: for people, "a message"."""
        try:
            work()
        except Exception as error:
            self.add(what, error)

    def in_loop(self, loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        """The event loop's exception handler: what a callback or a socket's protocol raised."""
        error = context.get("exception")
        if isinstance(error, Exception):
            self.add(str(context.get("message", "a callback")), error)
        else:
            loop.default_exception_handler(context)

    def add(self, what: str, error: Exception) -> str:
        """Counts a fault; returns the sentence that says it."""
        self.count += 1
        self.said = f"Antiphon failed at {what} ({type(error).__name__}); please report it"
        now = self._clock()
        if now - self._logged >= LOGGED:
            self._logged = now
            log.error("%s; so far this happened %d times", self.said, self.count, exc_info=error)
        return self.said
