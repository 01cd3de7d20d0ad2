"""Schedule of future commands: a bounded queue ordered by time, then by arrival."""

import heapq
import math
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from antiphon.kernel.errors import RequestError
from antiphon.kernel.session.commands import Beat, Now, Sample, When

MAX_PENDING = 65536
HORIZON = 3600.0
"""Maximum seconds ahead; a later time is refused."""
MAX_BEAT = 1e9
T = TypeVar("T")


class Moment(NamedTuple):
    """Engine time as control knows it: frames since the start, and beats."""

    sample: float = 0.0
    beat: float = 0.0


class ScheduleFull(RequestError):
    """The schedule has no space for the items; none of them was added."""


class Schedule(Generic[T]):
    """Two heaps, one by sample and one by beat."""

    def __init__(self, rate: int, limit: int = MAX_PENDING) -> None:
        """Empty schedule. `rate`: frames per second, for `HORIZON`; `limit`: maximum pending items."""
        self.rate, self.limit = rate, limit
        self._samples: list[tuple[float, int, T]] = []
        self._beats: list[tuple[float, int, T]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._samples) + len(self._beats)

    def future(self, when: When, now: Moment) -> bool:
        """True if `when` is after `now`; `RequestError` if it is beyond `HORIZON`, or an invalid time."""
        match when:
            case Now():
                return False
            case Sample(n):
                if n > now.sample + HORIZON * self.rate:
                    raise RequestError(f"a time may be at most {HORIZON:g} s ahead; is the sender's clock right?")
                return n > now.sample
        target = due_beat(when)
        if not (math.isfinite(target) and abs(target) <= MAX_BEAT):
            raise RequestError(f"a beat is a number up to {MAX_BEAT:g}")
        return target > now.beat

    def add(self, when: When, *items: T) -> None:
        """Schedules items at `when`, in the future, all or none; `ScheduleFull` without space."""
        self.check(len(items))
        for item in items:
            self._serial += 1
            if isinstance(when, Sample):
                heapq.heappush(self._samples, (when.n, self._serial, item))
            elif isinstance(when, Beat):
                heapq.heappush(self._beats, (due_beat(when), self._serial, item))

    def check(self, count: int) -> None:
        """Raises `ScheduleFull` unless `count` more items fit."""
        if len(self) + count > self.limit:
            raise ScheduleFull(f"{self.limit} events are scheduled already; send them nearer to their time")

    def due(self, now: Moment) -> list[T]:
        """Removes and returns the items due at `now`: first by sample, then by beat, each in order of time."""
        items: list[T] = []
        for heap, place in ((self._samples, now.sample), (self._beats, now.beat)):
            while heap and heap[0][0] <= place:
                items.append(heapq.heappop(heap)[2])
        return items

    def pending(self) -> list[T]:
        """Pending items: first by sample, then by beat, each in order of time."""
        return [item for heap in (self._samples, self._beats) for _, _, item in sorted(heap, key=lambda e: e[:2])]

    def shift(self, frames: float, shifted_item: Callable[[T], T]) -> None:
        """Shifts the items scheduled by sample by `frames`; `shifted_item` returns one with its own time shifted."""
        self._samples = [(at + frames, serial, shifted_item(item)) for at, serial, item in self._samples]

    def clear(self) -> list[T]:
        """Removes all items and returns them."""
        dropped = self.pending()
        self._samples.clear()
        self._beats.clear()
        return dropped


def due_beat(when: Beat) -> float:
    """Beat of `when`: `b`, or with a quantum its first multiple at or after `b`."""
    if when.quantum > 0:
        return math.ceil(when.b / when.quantum - 1e-9) * when.quantum
    return when.b
