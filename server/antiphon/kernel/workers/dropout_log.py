"""Session-log records of a node's dropouts, repeated in a replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from antiphon.kernel.contract.processor import IO, ProcessorPart


class _Stream(Protocol):
    def reset(self) -> None: ...


class DropoutLog(ProcessorPart):
    """Logs the dropouts of a node's hops, and repeats them in a replay.

    Marks: `absent` and `back` where answers stop and resume, `fresh` where a worker began with an initial state. All
    calls are for the block path.
    """

    def __init__(self) -> None:
        self._there = True
        self.away = False
        self._fresh: set[int] = set()
        self._turns: deque[tuple[int, bool]] = deque()

    def recall(self, kind: str, hop: int) -> None:
        """Stores a mark of the replayed log. For `ProcessorPart.recall`."""
        if kind == "fresh":
            self._fresh.add(hop)
        elif kind in ("absent", "back"):
            self._turns.append((hop, kind == "absent"))

    def before(self, hop: int, streams: Iterable[_Stream]) -> bool:
        """Resets streams before a hop is posted, if the log says they began with an initial state there."""
        if hop not in self._fresh:
            return False
        self._fresh.discard(hop)
        for stream in streams:
            stream.reset()
        return True

    def absent(self, hop: int) -> bool:
        """True if the replayed log marks a hop's answer as missing. To be called once for each hop, in order."""
        while self._turns and self._turns[0][0] <= hop:
            self.away = self._turns.popleft()[1]
        return self.away

    def began(self, hop: int, first: int, io: IO) -> None:
        """Marks that the worker began with an initial state."""
        if hop != first:
            io.mark("fresh", hop)

    def took(self, hop: int, there: bool, io: IO) -> None:
        """Marks a change of answered to missing hops, or back."""
        if there != self._there:
            self._there = there
            io.mark("back" if there else "absent", hop)

    def standing(self) -> list[tuple[str, int]]:
        """Marks needed at the start of a log that begins now. For `ProcessorPart.standing`."""
        return [] if self._there else [("absent", 0)]
