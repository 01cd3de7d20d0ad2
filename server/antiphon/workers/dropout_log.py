"""What happened to a node's hops: told to the session log as it happens, and made to happen again from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from antiphon.contract.processor import IO, ProcessorPart


class _Stream(Protocol):
    def reset(self) -> None: ...


class DropoutLog(ProcessorPart):
    """Tells `absent` and `back` when answers stop and come again, and `fresh` when a worker began anew.

    `recall` takes such words of a log, each before the block it belongs to: then it happens at that hop.
    away: whether the log has them missing now.
    """

    def __init__(self) -> None:
        self._there = True
        self.away = False
        self._fresh: set[int] = set()
        self._turns: deque[tuple[int, bool]] = deque()

    def recall(self, kind: str, hop: int) -> None:
        if kind == "fresh":
            self._fresh.add(hop)
        elif kind in ("absent", "back"):
            self._turns.append((hop, kind == "absent"))

    def before(self, hop: int, streams: Iterable[_Stream]) -> bool:
        """Before a hop is posted: streams begin anew where they did. Whether they do."""
        if hop not in self._fresh:
            return False
        self._fresh.discard(hop)
        for stream in streams:
            stream.reset()
        return True

    def absent(self, hop: int) -> bool:
        """Whether the log says that this hop's answer was missing. Hops are asked for in their order."""
        while self._turns and self._turns[0][0] <= hop:
            self.away = self._turns.popleft()[1]
        return self.away

    def began(self, hop: int, first: int, io: IO) -> None:
        """The worker began anew with this hop. first: the hop that would have begun in any case."""
        if hop != first:
            io.mark("fresh", hop)

    def took(self, hop: int, there: bool, io: IO) -> None:
        """The hop's answer was there, or was not."""
        if there != self._there:
            self._there = there
            io.mark("back" if there else "absent", hop)

    def standing(self) -> list[tuple[str, int]]:
        """What a log that begins now has to be told first."""
        return [] if self._there else [("absent", 0)]
