"""Whether a scsynth that lives does nothing: its counter does not come back, or it answers no question."""

from __future__ import annotations

import time

SECONDS, PERIODS = 0.2, 28
"""How long it may be silent, whichever is more. Our jackd waits for 20 periods for a client that stands still."""
ASK_SECONDS = 0.1


class HangDetector:
    """How long nothing has come. look: seconds from one look to the next.

    Where the whole machine stands still nobody hangs: a look counts for two of them at most, however late it was. Nor
    where JACK's clock does: it moves by a block at least while it waits for one that does.
    """

    def __init__(self, block: int, rate: int, look: float) -> None:
        self.patience = max(SECONDS, PERIODS * block / rate)
        self._most = 2.0 * look
        self._looked_ns = time.monotonic_ns()
        self._block = block
        self._seen, self._clock = 0, -1
        self.seconds = self._before = 0.0

    def broken(self, grace: float = 0.0) -> None:
        """Something has come, or cannot come yet. grace: seconds of silence beside what is allowed."""
        self.seconds = self._before = -grace
        self._clock = -1

    def look(self, clock: int, seen: int = 0) -> bool:
        """Whether it has lasted too long; it then begins anew. clock: JACK's.  seen: changes when something comes."""
        now = time.monotonic_ns()
        passed, self._looked_ns = min((now - self._looked_ns) / 1e9, self._most), now
        if seen != self._seen:
            self._seen = seen
            self.broken()
        if self._clock < 0:
            self._clock = clock
            return False
        self._before, self.seconds = self.seconds, self.seconds + passed
        if self.seconds <= self.patience or clock < self._clock + self._block:
            return False
        self.broken()
        return True

    @property
    def due(self) -> bool:
        """Whether it is time to ask again, as of the last look."""
        return int(self._before / ASK_SECONDS) != int(self.seconds / ASK_SECONDS)
