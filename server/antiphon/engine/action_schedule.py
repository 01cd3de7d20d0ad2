"""What is to happen later, on the engine's side: real-time actions in a bounded heap by sample and one by beat."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from typing import TypeVar

from antiphon.graph.clock import TempoMap
from antiphon.session.actions import NOTES, Action, NodeNote, NodeNoteOff
from antiphon.session.commands import Sync

CAPACITY = 65536
N = TypeVar("N", int, float)
OTHER = 0x8000
"""In the place of a cell, plus an action's code: a report about something that sets no parameter."""


Key = tuple[int, int, int]
"""A note: node, channel, number."""


def note_key(action: NodeNote) -> Key:
    """Which note an action begins or ends."""
    return action.node, action.channel, action.note


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

    def clear(self, stays: int = 0) -> list[Sync]:
        """Drops everything numbered below `stays`, or all; the dropped syncs are returned, for an answer is owed."""
        return _cut(self._by_sample, stays) + _cut(self._by_beat, stays)

    def owed(self, sounding: Collection[Key], tempo: TempoMap, stays: int = 0) -> list[NodeNoteOff]:
        """The note-offs of `sounding` notes that `clear` would drop: without them these would never end.

        One behind a waiting note-on of the same note is that one's.
        """
        first: dict[Key, tuple[float, int, NodeNote]] = {}
        timed = [(float(at), count, action) for at, count, action in self._by_sample if isinstance(action, NOTES)]
        timed += [
            (tempo.sample_at(at), count, action) for at, count, action in self._by_beat if isinstance(action, NOTES)
        ]
        for found in timed:
            key = note_key(found[2])
            if key in sounding and not 0 < stays <= found[1] and (key not in first or found[:2] < first[key][:2]):
                first[key] = found
        return [action for _, _, action in first.values() if isinstance(action, NodeNoteOff)]

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


def _cut(heap: list[tuple[N, int, Action]], stays: int) -> list[Sync]:
    """Takes out what is numbered below `stays`, or all; returns the syncs among it."""
    gone = [action for _, count, action in heap if isinstance(action, Sync) and not 0 < stays <= count]
    heap[:] = [item for item in heap if 0 < stays <= item[1]]
    heapq.heapify(heap)
    return gone
