"""Joins patterns of patterns, and the time structures of two patterns. Their semantics are Tidal's: see `queries`."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias, TypeVar

from antiphon.live.patterns import queries
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import CycleEvent, Span

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
Join: TypeAlias = Callable[[Query[Query[T]]], Query[T]]
"""Function from a pattern of patterns to one pattern."""


def replace_event_spans(event: CycleEvent[T], whole: Span | None, part: Span) -> CycleEvent[T]:
    """Returns the event with another whole and part."""
    return CycleEvent(whole, part, event.value, event.places)


def join_outer(outer: Query[Query[T]]) -> Query[T]:
    """Takes the time structure of the outer pattern, and the inner values at its event starts."""

    def query(span: Span, seed: int) -> list[CycleEvent[T]]:
        found: list[CycleEvent[T]] = []
        for event in outer(span, seed):
            inner = event.value(Span(event.reach.begin, event.reach.begin), seed)
            found += [replace_event_spans(each, event.whole, event.part) for each in inner]
        return found

    return query


def _clip_inner(outer: Query[Query[T]], placed: Callable[[Query[T], Span], Query[T]]) -> Query[T]:
    """Inner patterns, each shifted by its outer event's time and clipped to it."""

    def query(span: Span, seed: int) -> list[CycleEvent[T]]:
        found: list[CycleEvent[T]] = []
        for event in outer(span, seed):
            if event.whole is None:
                continue
            for inner in placed(event.value, event.whole)(event.part, seed):
                part = inner.part.overlap(event.part)
                if part is not None:
                    whole = None if inner.whole is None else inner.whole.overlap(event.whole)
                    found.append(replace_event_spans(inner, whole, part))
        return found

    return query


def join_squeeze(outer: Query[Query[T]]) -> Query[T]:
    """Squeezes a cycle of the inner pattern into each outer event."""

    def squeezed(inner: Query[T], whole: Span) -> Query[T]:
        return queries.squeeze_cycle(inner, math.floor(whole.begin), whole.begin, whole.end - whole.begin)

    return _clip_inner(outer, squeezed)


def join_restart(outer: Query[Query[T]]) -> Query[T]:
    """Restarts the inner pattern from cycle 0 at each outer event."""
    return _clip_inner(outer, lambda inner, whole: queries.shift(inner, whole.begin))


def join_reset(outer: Query[Query[T]]) -> Query[T]:
    """Restarts the inner pattern from the beginning of its cycle at each outer event."""
    return _clip_inner(outer, lambda inner, whole: queries.shift(inner, whole.begin % 1))


def apply_right(left: Query[T], right: Query[U], join: Callable[[T, U], V]) -> Query[V]:
    """Values of two patterns joined with the right one's time structure."""
    return queries.apply_left(right, left, lambda b, a: join(a, b))


def join_values(how: Join[V], outer: Query[T], inner: Query[U], join: Callable[[T, U], V]) -> Query[V]:
    """Values of two patterns joined by the time structure `how`."""
    return how(queries.map_values(outer, lambda a: queries.map_values(inner, lambda b: join(a, b))))


# ---- time within cycles


def zoom(query: Query[T], begin: Fraction, end: Fraction) -> Query[T]:
    """Part of each cycle from `begin` to `end`, stretched to a cycle."""
    length = end - begin

    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[T]]:
        first = cycle + begin
        zoomed = queries.retime(query, lambda t: (t - first) / length + cycle, lambda t: (t - cycle) * length + first)
        return zoomed(span, seed)

    return queries.by_cycle(inner)


def compress(query: Query[T], begin: Fraction, end: Fraction) -> Query[T]:
    """Compresses each cycle between two positions, 0 to 1, with silence around it."""
    length = end - begin

    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[T]]:
        here = Span(cycle + begin, cycle + end)
        part = span.overlap(here)
        if part is None:
            return []
        return [
            replace_event_spans(event, event.whole.overlap(here) if event.whole else None, event.part)
            for event in queries.squeeze_cycle(query, cycle, here.begin, length)(part, seed)
        ]

    return queries.by_cycle(inner)


def by_number(query: Callable[[int], Query[T]]) -> Query[T]:
    """Creates the pattern anew for each cycle's number."""
    return queries.by_cycle(lambda cycle, span, seed: query(cycle)(span, seed))


def notes_together(query: Query[T]) -> Query[list[CycleEvent[T]]]:
    """Simultaneous events grouped as one, with their list as value."""

    def found(span: Span, seed: int) -> list[CycleEvent[list[CycleEvent[T]]]]:
        groups: dict[Span, list[CycleEvent[T]]] = {}
        for event in query(span, seed):
            if event.whole is not None:
                groups.setdefault(event.whole, []).append(event)
        return [CycleEvent(whole, events[0].part, events) for whole, events in groups.items()]

    return found
