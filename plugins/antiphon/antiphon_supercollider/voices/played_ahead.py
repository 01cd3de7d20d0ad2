"""Events played ahead of their hop, until that hop confirms them.

Events of a slot keep their order: after one left to its hop, the following ones are left too.
"""

from collections.abc import Sequence

from antiphon.api import Event

TIMEOUT_SECONDS = 1.0
"""Maximum seconds of engine time until the hop with the event must come."""
MAX_EVENTS = 256
INITIAL_HOPS = 16
"""Initial hops that may contain events played ahead, and ended, before the stream."""


class PlayedAheadEvents:
    """Played-ahead events of one slot."""

    def __init__(self, rate: int) -> None:
        self._patience = round(TIMEOUT_SECONDS * rate)
        self._waiting: dict[int, tuple[int, int]] = {}
        self._left, self._left_at = 0, -1
        self._hops = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def takes(self, event: Event) -> bool:
        """True if an event may be played ahead; else it and the following ones are left to their hops."""
        if self._hops >= INITIAL_HOPS and not self._left and len(self._waiting) < MAX_EVENTS:
            return True
        self.leave(event)
        return False

    def leave(self, event: Event) -> None:
        """Leaves an event to its hop, and the following ones until that hop has come."""
        self._left, self._left_at = event.serial, -1

    def add(self, event: Event, node: int, sample: int) -> None:
        """Records an event played by voice `node`, -1 for none, before the hop that begins at `sample`."""
        self._waiting[event.serial] = sample, node

    def hop(self, sample: int, events: Sequence[Event]) -> Sequence[Event]:
        """Events of the hop that begins at `sample`, without those already played."""
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
        """Voices of events left unconfirmed by the hop that begins at `sample`."""
        before = sample - self._patience
        # in order of playing
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
