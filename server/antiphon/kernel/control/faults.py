"""Faults and events of control: exceptions, each of which ends only the work it was raised in, and events for
plugins.
"""

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable
from time import monotonic
from typing import Any

log = logging.getLogger("antiphon.control")
LOG_SECONDS = 1.0
"""Seconds between two tracebacks in the log; a sender may trigger the same fault at any rate."""


class ControlFaults:
    """Fault counter of control.

    `count`: faults since this process began; `last`: the last one as a sentence, "" if there was none.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._logged = -LOG_SECONDS
        self.count = 0
        self.last = ""

    def attempt(self, what: str, work: Callable[[], object]) -> None:
        """Calls `work` and counts its exceptions; `what` names it in the log, for example "a message"."""
        try:
            work()
        except Exception as error:
            self.add(what, error)

    def handle_loop_exception(self, loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        """The event loop's exception handler, for exceptions of callbacks and of sockets' protocols."""
        error = context.get("exception")
        if isinstance(error, Exception):
            self.add(str(context.get("message", "a callback")), error)
        else:
            loop.default_exception_handler(context)

    def add(self, what: str, error: Exception) -> str:
        """Counts a fault and returns it as a sentence, with a traceback in the log every `LOG_SECONDS` at most."""
        self.count += 1
        self.last = f"Antiphon failed at {what} ({type(error).__name__}); please report it"
        now = self._clock()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            log.error("%s; so far this happened %d times", self.last, self.count, exc_info=error)
        return self.last


EventListener = Callable[[dict[str, Any]], None]


class ServerEvents:
    """Publishes events to `listeners`, each of which is called with every event and must not block."""

    def __init__(self) -> None:
        self.listeners: list[EventListener] = []

    def publish(self, kind: str, **what: Any) -> None:
        """Calls the listeners with {"kind": kind, …}, kind patch, node, late, engine, plugin or scene."""
        for listener in self.listeners:
            listener({"kind": kind, **what})
