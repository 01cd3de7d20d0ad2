"""Events of the server, for plugins' `antiphon_event` and for transports."""

from collections.abc import Callable
from typing import Any

EventListener = Callable[[dict[str, Any]], None]


class ServerEvents:
    """Publishes events to `listeners`, each of which is called with every event and must not block."""

    def __init__(self) -> None:
        self.listeners: list[EventListener] = []

    def publish(self, kind: str, **what: Any) -> None:
        """Calls the listeners with {"kind": kind, …}, kind patch, node, late, engine, plugin or scene."""
        for listener in self.listeners:
            listener({"kind": kind, **what})
