"""Pattern time in cycles as exact fractions, spans, and events in spans; and the events' places in a script.

A place is a word of a mini-notation, or a call of `play`. It is looked up once, when a pattern is created, from the
script's current frame; events of patterns carry it. Without an active `ScriptPlaces` (`recording_places`), for example
in a render, nothing is looked up, and events have no places. Places do not affect playback: events that differ only in
them are equal.
"""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from types import CodeType
from typing import Generic, TypeAlias, TypeVar

from antiphon.kernel.errors import UsageError

Place: TypeAlias = tuple[int, int, int]
"""Number of the script's version, then start and end character, counted from 0."""
Places: TypeAlias = tuple[Place, ...]
MAX_PLACES = 12
"""Maximum positions of one event."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Highlight of an event in a script's text, for displays.

    `length`: length of the event, in beats; `places`: its positions in the script.
    """

    length: Fraction
    places: Places


class ScriptPlaces:
    """Position lookup in the text of one version of a script."""

    def __init__(self, path: str, source: str, version: int) -> None:
        self._path, self._source, self._version = path, source, version
        self._lines = source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._texts: dict[str, list[int]] | None = None
        self._calls: dict[tuple[int, int], tuple[CodeType, tuple[int, int] | None]] = {}

    def call(self) -> Places:
        """Place of the call in the script's innermost frame; () if none of its frames runs."""
        found = self._span()
        return () if found is None else ((self._version, *found),)

    def text(self, text: str) -> int | None:
        """Start of a quoted text in the current call, or of the script's only equal text; None if ambiguous."""
        if self._texts is None:
            self._texts = self._literal_positions()
        starts, span = self._texts.get(text, []), self._span()
        if span is not None:
            inside = [start for start in starts if span[0] <= start < span[1]]
            if inside:
                return inside[-1]  # of a track, the name stands before the pattern
        return starts[0] if len(starts) == 1 else None

    def words(self, start: int, column: int, length: int) -> Places:
        """Place of a word in a text that starts at `start`."""
        return ((self._version, start + column, start + column + length),)

    def _span(self) -> tuple[int, int] | None:
        frame = sys._getframe(1)
        while frame.f_code.co_filename != self._path:
            if frame.f_back is None:
                return None
            frame = frame.f_back
        key = id(frame.f_code), frame.f_lasti
        if key not in self._calls:
            line, last, column, end = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
            span = None
            if line is not None and last is not None and column is not None and end is not None:
                span = self._offset(line, column), self._offset(last, end)
            self._calls[key] = frame.f_code, span  # the code is kept, so that no other one has its id
        return self._calls[key][1]

    def _offset(self, line: int, column: int) -> int:
        if not 1 <= line <= len(self._lines):
            return 0
        text = self._lines[line - 1]
        return self._starts[line - 1] + (
            column if text.isascii() else len(text.encode()[:column].decode("utf-8", "ignore"))
        )

    def _literal_positions(self) -> dict[str, list[int]]:
        """Positions of the script's string literals that are in one piece and without escapes."""
        found: dict[str, list[int]] = {}
        for node in ast.walk(ast.parse(self._source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.end_lineno is not None:
                first = self._offset(node.lineno, node.col_offset)
                written = self._source[first : self._offset(node.end_lineno, node.end_col_offset or 0)]
                start = written.find(node.value)
                if node.value and written.endswith(("'", '"')) and 0 < start <= 5:
                    found.setdefault(node.value, []).append(first + start)
        for starts in found.values():
            starts.sort()
        return found


_current: ContextVar[ScriptPlaces | None] = ContextVar("places", default=None)


@contextmanager
def recording_places(places: ScriptPlaces | None) -> Iterator[None]:
    """Context manager that records positions of patterns in the script's text; None records none."""
    token = _current.set(places)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> ScriptPlaces | None:
    """Active recorder of positions; None without one."""
    return _current.get()


def of_call() -> Places:
    """Position of the script's current call; () without an active recorder."""
    found = _current.get()
    return () if found is None else found.call()


def join_places(one: Places, other: Places) -> Places:
    """Union of positions."""
    if not other or one == other:
        return one
    if not one:
        return other
    return (*one, *(place for place in other if place not in one))[:MAX_PLACES]


def mark(places: Places, length: Fraction) -> Mark | None:
    """Highlight of an event; None for one without positions."""
    return Mark(length, places) if places else None


T = TypeVar("T")
U = TypeVar("U")
Number: TypeAlias = int | float | Fraction
"""Type of times and factors in scripts."""
MAX_DENOMINATOR = 1_000_000
"""Largest denominator of a float's fraction, so that 1/3 and 0.1 are exact: off by 1e-12 at most."""
MAX_TIME = 1_000_000_000
"""Largest time or factor: above any set, and small enough for fast arithmetic."""


def exact(value: Number, what: str = "a time") -> Fraction:
    """Converts a number to a fraction; a float to the nearest with a denominator up to `MAX_DENOMINATOR`.

    Raises UsageError: it is not a number, not finite, or beyond `MAX_TIME`.
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

    `whole`: span of the event; None for a sample of a signal, which has no beginning or end.
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
        """The event with other places in the script."""
        return CycleEvent(self.whole, self.part, self.value, places)
