"""Events that were played before the engine's hop that contains them, until that hop confirms them.

Events of a slot keep their order: where one is left to its hop, those that follow it are too.
"""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.api import Event

PATIENCE = 1.0
"""Seconds of engine time within which the hop with the event must come."""
MOST = 256
YOUNG = 16
"""Hops at the beginning in which events may come that were played ahead before it, and ended by it."""


class Hurried:
    """The events of one slot that were played ahead."""

    def __init__(self, rate: int) -> None:
        self._patience = round(PATIENCE * rate)
        self._waiting: dict[int, tuple[int, int]] = {}
        self._left, self._left_at = 0, -1
        self._hops = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def takes(self, event: Event) -> bool:
        """Whether an event may be played ahead; if not, it and those that follow are left to their hops."""
        if self._hops >= YOUNG and not self._left and len(self._waiting) < MOST:
            return True
        self.leave(event)
        return False

    def leave(self, event: Event) -> None:
        """Leaves an event to its hop, and those that follow it until that hop has come."""
        self._left, self._left_at = event.serial, -1

    def add(self, event: Event, node: int, sample: int) -> None:
        """Records that an event was played by voice `node`, -1 for none, before the hop that begins at `sample`."""
        self._waiting[event.serial] = sample, node

    def hop(self, sample: int, events: Sequence[Event]) -> Sequence[Event]:
        """The events of the hop that begins at `sample` that have not been played."""
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
        """Voices of events that should have been confirmed by the hop that begins at `sample` and were not."""
        before = sample - self._patience
        # in the order they were played
        late = [serial for serial, (played, _) in self._waiting.items() if played < before]
        return [self._waiting.pop(serial)[1] for serial in late]

    def lost(self) -> None:
        """Handles the loss of the scsynth: events are left to their hops until these have come."""
        if self._waiting:
            self._left, self._left_at = next(reversed(self._waiting)), -1
            self._waiting.clear()

    def clear(self) -> None:
        self._waiting.clear()
        self._left = self._hops = 0
