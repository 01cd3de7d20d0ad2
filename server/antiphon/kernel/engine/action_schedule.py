"""The engine's schedule of timed actions: two bounded heaps, one ordered by sample and one by beat."""

import heapq
import math
from collections.abc import Collection, Iterator
from typing import TypeGuard, TypeVar

from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO, TempoMap
from antiphon.kernel.session.actions import Action
from antiphon.kernel.session.commands import NudgeBeat, Play, SetSwing, SetTempo, SetTransport, Sync

CAPACITY = 65536
N = TypeVar("N", int, float)
OTHER = 0x8000
"""Offset of the codes in a report's `cell` field: `OTHER` + action code, for an action that sets no parameter."""


Key = tuple[int, int, int]
"""Key of a note: node number, channel, note number."""


def note_key(action: Play[int]) -> Key:
    """Key of the note that an action begins or ends."""
    return action.node, action.event.channel, action.event.number


def _is_note(action: Action) -> TypeGuard[Play[int]]:
    return isinstance(action, Play) and action.event.kind in ("on", "off")


class ActionSchedule:
    """Pending timed actions, `CAPACITY` of them at most; beyond that `at_sample` and `at_beat` return False."""

    def __init__(self) -> None:
        self._by_sample: list[tuple[int, int, Action]] = []
        self._by_beat: list[tuple[float, int, Action]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._by_sample) + len(self._by_beat)

    def at_sample(self, sample: int, action: Action) -> bool:
        """Schedules an action for a sample of the engine's clock. Returns False when the schedule is full."""
        return self._push(self._by_sample, sample, action)

    def at_beat(self, beat: float, action: Action) -> bool:
        """Schedules an action for a beat of the tempo map, with its swing. Returns False when the schedule is full."""
        return self._push(self._by_beat, beat, action)

    def _push(self, heap: list[tuple[N, int, Action]], at: N, action: Action) -> bool:
        if len(self) >= CAPACITY:
            return False
        self._count += 1
        heapq.heappush(heap, (at, self._count, action))
        return True

    @property
    def count(self) -> int:
        """Number of the next scheduled action; numbers start at 1."""
        return self._count + 1

    def clear(self, keep_from: int = 0) -> list[Sync]:
        """Drops scheduled actions except those before number `keep_from`. The dropped syncs' senders need an answer."""
        return _cut(self._by_sample, keep_from) + _cut(self._by_beat, keep_from)

    def hanging_note_offs(self, sounding: Collection[Key], tempo: TempoMap, keep_from: int = 0) -> list[Play[int]]:
        """Note-offs of `sounding` notes that `clear` would leave hanging, except those of scheduled note-ons."""
        first: dict[Key, tuple[float, int, Play[int]]] = {}
        timed = [(float(at), count, action) for at, count, action in self._by_sample if _is_note(action)]
        timed += [(tempo.sample_of_event(at), count, action) for at, count, action in self._by_beat if _is_note(action)]
        for item in timed:
            key = note_key(item[2])
            if key in sounding and not 0 < keep_from <= item[1] and (key not in first or item[:2] < first[key][:2]):
                first[key] = item
        return [action for _, _, action in first.values() if action.event.kind == "off"]

    def upcoming(self, tempo: TempoMap) -> float:
        """Sample before whose block's end no action is due, as of `take_due`; infinite for an empty schedule."""
        by_sample = self._by_sample[0][0] if self._by_sample else math.inf
        by_beat = tempo.sample_of_event(self._by_beat[0][0]) if self._by_beat else math.inf
        return min(by_sample, by_beat if math.isinf(by_beat) else round(by_beat))

    def take_due(self, end: int, tempo: TempoMap) -> Iterator[tuple[int, Action]]:
        """Removes and yields actions before sample `end` as (sample, action); the tempo is read anew before each."""
        while self._by_sample or self._by_beat:
            by_sample = self._by_sample[0][0] if self._by_sample else end
            by_beat: float = min(end, tempo.sample_of_event(self._by_beat[0][0])) if self._by_beat else end
            if by_sample >= end and round(by_beat) >= end:
                return
            if by_sample <= by_beat:
                sample, _, action = heapq.heappop(self._by_sample)
                yield sample, action
            else:
                _, _, action = heapq.heappop(self._by_beat)
                yield round(by_beat), action


def _cut(heap: list[tuple[N, int, Action]], keep_from: int) -> list[Sync]:
    """Removes the actions numbered below `keep_from`, or all for 0; returns the syncs among them."""
    syncs = [action for _, count, action in heap if isinstance(action, Sync) and not 0 < keep_from <= count]
    heap[:] = [item for item in heap if 0 < keep_from <= item[1]]
    heapq.heapify(heap)
    return syncs


CLOCK_ACTIONS = (SetTempo, SetSwing, SetTransport, NudgeBeat)


def apply_to_clock(tempo: TempoMap, sample: int, action: Action) -> None:
    """Changes the tempo map at a sample of the engine's clock by one of `CLOCK_ACTIONS`; others change nothing."""
    match action:
        case SetTempo(bpm, beats):
            tempo.set_tempo(sample, min(max(bpm, MIN_TEMPO), MAX_TEMPO), beats)
        case SetSwing(amount, step):
            tempo.swing, tempo.step = amount, step
        case SetTransport(playing, beat):
            tempo.set_transport(sample, playing, beat)
        case NudgeBeat(beats):
            tempo.set_transport(sample, None, tempo.beat_at(sample) + beats)
