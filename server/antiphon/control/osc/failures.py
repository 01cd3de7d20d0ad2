"""How often one sender is told that it was refused, and what one that waits for approval is told."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from antiphon.wire.osc import encode

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


def held_answer(host: str, most: int) -> bytes | None:
    """What an address is answered that waits for approval, in at most so many bytes; None where nothing fits.

    A datagram may come from anywhere and say it came from `host`: no more goes there than was sent.
    """
    for words in (f"{host} waits to be let in: antiphon approve {host}", "not approved yet", "held"):
        packet = encode("/fail", "", words)
        if len(packet) <= most:
            return packet
    return None
