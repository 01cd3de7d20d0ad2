"""Detects a hung scsynth: its counter does not return, or it does not answer."""

import time

SECONDS, PERIODS = 0.2, 28
"""Maximum silence: the longer of seconds and JACK periods. Our jackd waits 20 periods for a client."""
ASK_SECONDS = 0.1


class HangDetector:
    """Measures the time without progress.

    A stall of the whole machine is no hang: a check counts for two intervals at most, however late it is. Nor is a
    stall of JACK's clock, which advances by at least a block while JACK waits for a hung client.
    """

    def __init__(self, block: int, rate: int, look: float) -> None:
        self.patience = max(SECONDS, PERIODS * block / rate)
        self._most = 2.0 * look
        self._looked_ns = time.monotonic_ns()
        self._block = block
        self._seen, self._clock = 0, -1
        self.seconds = self._before = 0.0

    def broken(self, grace: float = 0.0) -> None:
        """Restarts the measurement, after progress or if none is due, with `grace` more seconds of silence allowed."""
        self.seconds = self._before = -grace
        self._clock = -1

    def look(self, clock: int, seen: int = 0) -> bool:
        """True if `seen` has not changed for too long by JACK's frame counter; the measurement then restarts."""
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
        """True if the next query is due, as of the last check."""
        return int(self._before / ASK_SECONDS) != int(self.seconds / ASK_SECONDS)
