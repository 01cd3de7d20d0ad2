"""How often one sender is told that it was refused."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

PER_SECOND = 50


class FailLimiter:
    """At most `PER_SECOND` answers within any one second's window; the rest are counted."""

    __slots__ = ("_clock", "_count", "_start", "suppressed")

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._start = -1.0
        self._count = 0
        self.suppressed = 0

    def allows(self) -> bool:
        now = self._clock()
        if now - self._start >= 1.0:
            self._start, self._count = now, 0
        self._count += 1
        if self._count <= PER_SECOND:
            return True
        self.suppressed += 1
        return False
