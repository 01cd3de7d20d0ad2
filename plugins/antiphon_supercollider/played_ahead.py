"""Events that were played ahead of the engine's hops, until these confirm them.

Events of a slot keep their order: one that is left to its hop is not overtaken by those that follow it.
"""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.api import Event

PATIENCE = 1.0
"""Seconds of the engine's time within which an event comes from there as well, however many wait there."""
MOST = 256
YOUNG = 16
"""Hops at the beginning in which events may come that were played ahead before it, and ended by it."""


class Hurried:
    """One slot's. rate: of the stream."""

    def __init__(self, rate: int) -> None:
        self._patience = round(PATIENCE * rate)
        self._waiting: dict[int, tuple[int, int]] = {}
        self._left, self._left_at = 0, -1
        self._hops = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def takes(self, event: Event) -> bool:
        """Whether it may be played ahead; one that may not is left to its hop, as those that follow till then are."""
        if self._hops >= YOUNG and not self._left and len(self._waiting) < MOST:
            return True
        self.leave(event)
        return False

    def leave(self, event: Event) -> None:
        """It is left to its hop; so are those that follow until it has come, that none overtakes it."""
        self._left, self._left_at = event.serial, -1

    def add(self, event: Event, node: int, sample: int) -> None:
        """It was played before the hop that begins at `sample`, by voice `node`; below 0 for none of its own."""
        self._waiting[event.serial] = sample, node

    def hop(self, sample: int, events: Sequence[Event]) -> Sequence[Event]:
        """Of a hop that begins at `sample`: the events that have not been played."""
        self._hops += 1
        if self._left:
            if self._left_at < 0:
                self._left_at = sample
            if sample - self._left_at > self._patience or any(event.serial == self._left for event in events):
                self._left = 0
        if not self._waiting:
            return events
        return [event for event in events if not event.serial or self._waiting.pop(event.serial, None) is None]

    def unclaimed(self, sample: int) -> list[int]:
        """Voices of events that are not confirmed by the hop that begins at `sample`, and should be."""
        before = sample - self._patience
        # in the order they were played
        late = [serial for serial, (played, _) in self._waiting.items() if played < before]
        return [self._waiting.pop(serial)[1] for serial in late]

    def lost(self) -> None:
        """Who played them is gone: their hops are to play them, and what follows is to wait for that."""
        if self._waiting:
            self._left, self._left_at = next(reversed(self._waiting)), -1
            self._waiting.clear()

    def clear(self) -> None:
        """The stream begins."""
        self._waiting.clear()
        self._left = self._hops = 0
