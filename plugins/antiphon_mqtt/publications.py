"""Queue of values to publish: the latest of each topic, bounded by the number of parameters."""

from __future__ import annotations

import asyncio

MAX_TOPICS = 16384
SLOW = 0.1
"""Minimum seconds between two values of a readonly parameter."""


class Outward:
    """Queue of topics and payloads to publish.

    dropped: values superseded while the broker was away, or beyond the bound. wake: event set by new data.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.wake = asyncio.Event()
        self._waiting: dict[str, bytes] = {}
        self._slow: dict[str, bytes] = {}
        self._published: dict[str, bytes] = {}
        self._open = False
        self._slow_from = 0.0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._slow)

    def put(self, topic: str, payload: bytes, *, slow: bool = False) -> None:
        """Sets the topic's value to `payload`. slow: a node's own report."""
        queue = self._slow if slow else self._waiting
        if topic in queue:
            self.dropped += not self._open
        elif len(self) >= MAX_TOPICS:
            self.dropped += 1
            return
        queue[topic] = payload
        self.wake.set()

    def begin(self, values: dict[str, bytes]) -> None:
        """Queues every value for a new connection, and empty payloads for topics that have gone."""
        self._waiting.clear()
        self._slow.clear()
        self._open = True
        removed = self._published.keys() - values.keys()
        self._published = dict.fromkeys(removed, b"?")
        self.sync(values)

    def sync(self, values: dict[str, bytes]) -> None:
        """Queues changed values after a change of nodes, and empty payloads for topics that have gone."""
        for topic in [t for t in self._published if t not in values]:
            self.put(topic, b"")
        for topic in [t for t in self._waiting if t not in values and t not in self._published]:
            del self._waiting[topic]
        for topic in [t for t in self._slow if t not in values]:
            del self._slow[topic]
        for topic, payload in values.items():
            if self._waiting.get(topic, self._published.get(topic)) != payload:
                self.put(topic, payload)

    def end(self) -> None:
        """Handles the loss of the connection."""
        self._open = False

    def take(self, most: int, now: float) -> list[tuple[str, bytes]]:
        """Up to `most` messages to publish now, the oldest first; an empty payload removes a retained one."""
        if self._slow and now >= self._slow_from:
            self._slow_from = now + SLOW
            self._waiting |= self._slow
            self._slow.clear()
        batch = [(topic, self._waiting.pop(topic)) for topic in list(self._waiting)[:most]]
        for topic, payload in batch:
            if payload:
                self._published[topic] = payload
            else:
                self._published.pop(topic, None)
        return batch

    async def wait(self, now: float) -> None:
        """Waits until `take` has data."""
        self.wake.clear()
        if self._waiting:
            return
        try:
            await asyncio.wait_for(self.wake.wait(), max(0.001, self._slow_from - now) if self._slow else None)
        except TimeoutError:
            return
