"""What has been asked for and is not yet due: bounded, in order of time, then of arrival."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from antiphon.errors import WireError
from antiphon.session.commands import Beat, Now, Sample, When

MAX_PENDING = 65536
HORIZON = 3600.0
"""Seconds: further ahead nothing is scheduled."""
MAX_BEAT = 1e9
T = TypeVar("T")


class Moment(NamedTuple):
    """The engine's clock as control sees it."""

    sample: float = 0.0
    beat: float = 0.0


class ScheduleFull(WireError):
    """65,536 events are pending; this one was not taken."""


class Schedule(Generic[T]):
    """Two heaps: by sample and by beat. rate: frames per second, for the horizon."""

    def __init__(self, rate: int, limit: int = MAX_PENDING) -> None:
        self.rate, self.limit = rate, limit
        self._samples: list[tuple[float, int, T]] = []
        self._beats: list[tuple[float, int, T]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._samples) + len(self._beats)

    def future(self, when: When, now: Moment) -> bool:
        """Whether `when` is still to come; `WireError` when it is beyond the horizon or no time at all."""
        match when:
            case Now():
                return False
            case Sample(n):
                if n > now.sample + HORIZON * self.rate:
                    raise WireError(f"a time may be at most {HORIZON:g} s ahead; is the sender's clock right?")
                return n > now.sample
        target = due_beat(when)
        if not (math.isfinite(target) and abs(target) <= MAX_BEAT):
            raise WireError(f"a beat is a number up to {MAX_BEAT:g}")
        return target > now.beat

    def add(self, when: When, *items: T) -> None:
        """Takes items whose time is in the future, all or none; `ScheduleFull` when there are too many."""
        self.check(len(items))
        for item in items:
            self._serial += 1
            if isinstance(when, Sample):
                heapq.heappush(self._samples, (when.n, self._serial, item))
            elif isinstance(when, Beat):
                heapq.heappush(self._beats, (due_beat(when), self._serial, item))

    def check(self, count: int) -> None:
        """`ScheduleFull` unless so many more fit."""
        if len(self) + count > self.limit:
            raise ScheduleFull(f"{self.limit} events are scheduled already; send them nearer to their time")

    def due(self, now: Moment) -> list[T]:
        """Takes out what is due, in order."""
        found: list[T] = []
        for heap, place in ((self._samples, now.sample), (self._beats, now.beat)):
            while heap and heap[0][0] <= place:
                found.append(heapq.heappop(heap)[2])
        return found

    def waiting(self) -> list[T]:
        """All that is pending, in order."""
        return [item for heap in (self._samples, self._beats) for _, _, item in sorted(heap, key=lambda e: e[:2])]

    def shift(self, frames: float, moved: Callable[[T], T]) -> None:
        """Moves what is scheduled by sample; beats stay. moved: an item at its new time."""
        self._samples = [(at + frames, serial, moved(item)) for at, serial, item in self._samples]

    def clear(self) -> list[T]:
        dropped = self.waiting()
        self._samples.clear()
        self._beats.clear()
        return dropped


def due_beat(when: Beat) -> float:
    """The beat a `Beat` means: with a quantum the next multiple of it that is not before `b`."""
    if when.quantum > 0:
        return math.ceil(when.b / when.quantum - 1e-9) * when.quantum
    return when.b
