"""Pattern time: cycles as exact fractions, spans, and events in spans."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic, TypeAlias, TypeVar

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns.places import Places

T = TypeVar("T")
U = TypeVar("U")
Number: TypeAlias = int | float | Fraction
"""Type of times and factors in scripts."""
MAX_DENOMINATOR = 1_000_000
"""Largest denominator of a float's fraction, so that 1/3 and 0.1 are exact: off by 1e-12 at most."""
MAX_TIME = 1_000_000_000
"""Largest time or factor: above any set, and small enough for fast arithmetic."""


def exact(value: Number, what: str = "a time") -> Fraction:
    """Fraction of a number; for a float the nearest with a denominator up to `MAX_DENOMINATOR`.

    Raises UsageError: it is no number, or not finite, or beyond `MAX_TIME`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise UsageError(f"{what} takes a number, not {str(value)[:40]!r}")
    if (isinstance(value, float) and not math.isfinite(value)) or not -MAX_TIME <= value <= MAX_TIME:
        raise UsageError(f"{what} takes -{MAX_TIME:g} to {MAX_TIME:g}, not {str(value)[:40]}")
    return Fraction(value).limit_denominator(MAX_DENOMINATOR) if isinstance(value, float) else Fraction(value)


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open time interval, in cycles.

    `begin`: its start; `end`: its exclusive end, equal to `begin` for a single moment.
    """

    begin: Fraction
    end: Fraction

    @property
    def middle(self) -> Fraction:
        """Midpoint in time."""
        return (self.begin + self.end) / 2

    def map(self, change: Callable[[Fraction], Fraction]) -> Span:
        """The span between the changed begin and end."""
        return Span(change(self.begin), change(self.end))

    def overlap(self, other: Span) -> Span | None:
        """Intersection of two spans, or None; a moment at the end of a longer span is not in it."""
        begin, end = max(self.begin, other.begin), min(self.end, other.end)
        if begin > end:
            return None
        if begin == end and (
            (begin == self.end and self.begin < self.end) or (begin == other.end and other.begin < other.end)
        ):
            return None
        return Span(begin, end)

    def cycles(self) -> Iterator[tuple[int, Span]]:
        """Number of each intersected cycle, and the intersection, in order."""
        begin = self.begin
        if begin == self.end:
            yield math.floor(begin), self
        while begin < self.end:
            cycle = math.floor(begin)
            end = min(self.end, Fraction(cycle + 1))
            yield cycle, Span(begin, end)
            begin = end


@dataclass(frozen=True, slots=True)
class CycleEvent(Generic[T]):
    """A value active for a time.

    `whole`: from its beginning to its end; None for a sample of a signal, which has neither.
    """

    whole: Span | None
    part: Span
    value: T
    places: Places = field(default=(), compare=False)

    @property
    def begins(self) -> bool:
        """True if its onset is in the queried part: otherwise nothing is to be played."""
        return self.whole is not None and self.whole.begin == self.part.begin

    @property
    def reach(self) -> Span:
        """The whole, or the part if there is none."""
        return self.part if self.whole is None else self.whole

    def map_time(self, change: Callable[[Fraction], Fraction]) -> CycleEvent[T]:
        """The event at changed times."""
        whole = None if self.whole is None else self.whole.map(change)
        return CycleEvent(whole, self.part.map(change), self.value, self.places)

    def with_value(self, value: U) -> CycleEvent[U]:
        """The event with another value."""
        return CycleEvent(self.whole, self.part, value, self.places)

    def at(self, places: Places) -> CycleEvent[T]:
        """The event at other places of the script."""
        return CycleEvent(self.whole, self.part, self.value, places)
