"""What is to happen later, on the engine's side: real-time actions in a bounded heap by sample and one by beat."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from antiphon.clock import TempoMap

CAPACITY = 65536


class Op(IntEnum):
    """What a real-time record asks for."""

    SET = 1
    RESET = 2
    TEMPO = 3
    TRANSPORT = 4
    PANIC = 5
    CLEAR = 6
    SYNC = 7


@dataclass(frozen=True, slots=True)
class Action:
    """One real-time record, its time aside.

    SET: node, cell, number, ramp seconds.  RESET: node.  TEMPO: number bpm, ramp beats.
    TRANSPORT: cell 1 play, 0 stop, -1 as it is; number the beat, NaN as it is.  SYNC: token.
    """

    op: Op
    node: int = 0
    cell: int = 0
    number: float = 0.0
    ramp: float = 0.0
    token: int = 0


class Schedule:
    """At most `capacity` actions wait; one more is refused."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._by_sample: list[tuple[int, int, Action]] = []
        self._by_beat: list[tuple[float, int, Action]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._by_sample) + len(self._by_beat)

    def at_sample(self, sample: int, action: Action) -> bool:
        if len(self) >= self.capacity:
            return False
        self._count += 1
        heapq.heappush(self._by_sample, (sample, self._count, action))
        return True

    def at_beat(self, beat: float, action: Action) -> bool:
        if len(self) >= self.capacity:
            return False
        self._count += 1
        heapq.heappush(self._by_beat, (beat, self._count, action))
        return True

    def clear(self) -> list[Action]:
        """Drops everything; the dropped syncs are returned, for they are owed an answer."""
        dropped = [item[2] for item in (*self._by_sample, *self._by_beat) if item[2].op is Op.SYNC]
        self._by_sample.clear()
        self._by_beat.clear()
        return dropped

    def due(self, end: int, tempo: TempoMap) -> Iterator[tuple[int, Action]]:
        """Takes out, in order of time, what falls before sample `end`: (sample, action).

        The tempo map is asked again for each, so that a tempo change moves what follows it.
        """
        while self._by_sample or self._by_beat:
            by_sample = self._by_sample[0][0] if self._by_sample else end
            by_beat: float = min(end, tempo.sample_at(self._by_beat[0][0])) if self._by_beat else end
            if by_sample >= end and round(by_beat) >= end:
                return
            if by_sample <= by_beat:
                sample, _, action = heapq.heappop(self._by_sample)
                yield sample, action
            else:
                _, _, action = heapq.heappop(self._by_beat)
                yield round(by_beat), action
