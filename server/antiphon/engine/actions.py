"""What is to happen later, on the engine's side: real-time actions in a bounded heap by sample and one by beat."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from antiphon.graph.clock import TempoMap

CAPACITY = 65536
N = TypeVar("N", int, float)
OTHER = 0x8000
"""In the place of a cell, plus an `Op`: a report about something that sets no parameter."""


class Op(IntEnum):
    """What a real-time record asks for."""

    SET = 1
    RESET = 2
    TEMPO = 3
    TRANSPORT = 4
    PANIC = 5
    CLEAR = 6
    SYNC = 7
    NOTE_ON = 8
    NOTE_OFF = 9
    CONTROL = 10
    BEND = 11
    END = 12


EVENTS = {Op.NOTE_ON: "on", Op.NOTE_OFF: "off", Op.CONTROL: "control", Op.BEND: "bend"}
"""The ops that are events, and the event's kind."""
EVENT_OPS = {kind: op for op, kind in EVENTS.items()}
LIVE = 1.0
"""In `Action.ramp` of an event: it was played this moment."""
NOTES = frozenset({Op.NOTE_ON, Op.NOTE_OFF})
Key = tuple[int, int, int]
"""A note: node, channel, number."""


@dataclass(frozen=True, slots=True)
class Action:
    """One real-time record, its time aside.

    SET: node, cell, number, ramp seconds.  RESET: node.  TEMPO: number bpm, ramp beats.
    TRANSPORT: cell 1 play, 0 stop, -1 as it is; number the beat, NaN as it is.  SYNC: token.
    END: the output fades out, for good.
    PANIC, CLEAR: token the `ActionSchedule.count` from which on what is scheduled stays; 0 none does.
    NOTE_ON, NOTE_OFF, CONTROL, BEND: node, cell the event's number, number its value, token its channel, ramp `LIVE`
    or 0, serial as in `processor.Event`.
    """

    op: Op
    node: int = 0
    cell: int = 0
    number: float = 0.0
    ramp: float = 0.0
    token: int = 0
    serial: int = 0

    @property
    def key(self) -> Key:
        """Of a NOTE_ON or NOTE_OFF: which note it is."""
        return self.node, self.token, self.cell


class ActionSchedule:
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

    @property
    def count(self) -> int:
        """Actions scheduled up to now, and one: the number of the next."""
        return self._count + 1

    def clear(self, stays: int = 0) -> list[Action]:
        """Drops everything numbered below `stays`, or all; the dropped syncs are returned, for an answer is owed."""
        return _cut(self._by_sample, stays) + _cut(self._by_beat, stays)

    def owed(self, sounding: Collection[Key], tempo: TempoMap, stays: int = 0) -> list[Action]:
        """The note-offs of `sounding` notes that `clear` would drop: without them these would never end.

        One behind a waiting note-on of the same note is that one's.
        """
        first: dict[Key, tuple[float, int, Action]] = {}
        timed = [(float(at), count, action) for at, count, action in self._by_sample if action.op in NOTES]
        timed += [(tempo.sample_at(at), count, action) for at, count, action in self._by_beat if action.op in NOTES]
        for found in timed:
            key = found[2].key
            if key in sounding and not 0 < stays <= found[1] and (key not in first or found[:2] < first[key][:2]):
                first[key] = found
        return [action for _, _, action in first.values() if action.op is Op.NOTE_OFF]

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


def _cut(heap: list[tuple[N, int, Action]], stays: int) -> list[Action]:
    """Takes out what is numbered below `stays`, or all; returns the syncs among it."""
    gone = [item[2] for item in heap if item[2].op is Op.SYNC and not 0 < stays <= item[1]]
    heap[:] = [item for item in heap if 0 < stays <= item[1]]
    heapq.heapify(heap)
    return gone
