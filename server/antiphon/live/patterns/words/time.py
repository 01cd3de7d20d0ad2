"""Words that change the time of a pattern."""

import math
from collections.abc import Callable
from contextvars import ContextVar
from fractions import Fraction
from typing import Any, TypeAlias

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import joins, queries
from antiphon.live.patterns.arguments import Argument, each, numbers, whole
from antiphon.live.patterns.pattern import MAX_TIMES, Pattern
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import CycleEvent, Number, Span, exact
from antiphon.live.patterns.words.values import operate, product

P: TypeAlias = Pattern[Any]
Change: TypeAlias = Callable[[Any], Any]
_HALF = Fraction(1, 2)


CYCLES_PER_MINUTE: ContextVar[Callable[[], Fraction]] = ContextVar("pace", default=lambda: Fraction(30))
"""Cycles per minute of the script being read."""


def cpm(p: P, cycles: Argument) -> P:
    now = CYCLES_PER_MINUTE.get()()
    return p._new(each(cycles, "cpm", lambda n: queries.fast(p.events, above(n, "cpm") / now)))


def above(n: Fraction, what: str) -> Fraction:
    """A number above 0. Raises `UsageError` for another."""
    if not 0 < n <= MAX_TIMES:
        raise UsageError(f"{what} takes a number above 0, to {MAX_TIMES}, not {float(n):g}")
    return n


def _places(begin: Number, end: Number, what: str) -> tuple[Fraction, Fraction]:
    first, last = exact(begin, what), exact(end, what)
    if not 0 <= first < last <= 1:
        raise UsageError(f"{what} takes two places of the cycle, 0 to 1, the first before the second")
    return first, last


def linger(p: P, share: Argument) -> P:
    def repeat_cycle_share(n: Fraction) -> Query[Any]:
        if not 0 < abs(n) <= 1:
            raise UsageError(f"linger takes a share of the cycle, to 1, or below 0 of its end, not {float(n):g}")
        first = Fraction(0) if n > 0 else 1 + n
        return queries.fast(joins.zoom(p.events, first, first + abs(n)), 1 / abs(n))

    return p._new(each(share, "linger", repeat_cycle_share))


def ribbon(p: P, offset: Argument, cycles: Argument = 1) -> P:
    def looped(first: Fraction, length: Fraction) -> Query[Any]:
        begun = queries.pure(queries.shift(p.events, -first))
        return joins.join_restart(queries.fast(begun, 1 / above(length, "ribbon")))

    return p._new(each(offset, "ribbon", lambda first: each(cycles, "ribbon", lambda n: looped(first, n))))


def fast_gap(p: P, factor: Argument) -> P:
    def compress_with_gap(n: Fraction) -> Query[Any]:
        return joins.compress(p.events, Fraction(0), 1 / n) if n >= 1 else queries.fast(p.events, above(n, "fast_gap"))

    return p._new(each(factor, "fast_gap", compress_with_gap))


def trunc(p: P, share: Argument) -> P:
    def cut(n: Fraction) -> Query[Any]:
        if not 0 < n <= 1:
            raise UsageError(f"trunc takes a share of the cycle, above 0 to 1, not {float(n):g}")
        return joins.compress(joins.zoom(p.events, Fraction(0), n), Fraction(0), n)

    return p._new(each(share, "trunc", cut))


def focus(p: P, begin: Number, end: Number) -> P:
    first, last = exact(begin, "focus"), exact(end, "focus")
    if last <= first:
        raise UsageError("focus takes two times, the first before the second")
    return p._new(queries.squeeze_cycle(p.events, math.floor(first), first, last - first))


def press_by(p: P, share: Argument) -> P:
    def pressed(n: Fraction) -> Query[Any]:
        if not 0 <= n < 1:
            raise UsageError(f"press_by takes 0 to below 1, not {float(n):g}")
        inner = queries.map_values(p.events, lambda value: joins.compress(queries.pure(value), n, Fraction(1)))
        return joins.join_squeeze(inner)

    return p._new(each(share, "press_by", pressed))


def brak(p: P) -> P:
    squeezed = queries.shift(queries.fastcat([p.events, queries.silence]), Fraction(1, 4))
    return p._new(queries.when(p.events, squeezed, lambda cycle: cycle % 2 == 1))


def hurry(p: P, factor: Argument) -> P:
    return operate(p.fast(factor), "mul", {"speed": factor})


def outside(p: P, factor: Number, change: Change) -> P:
    return p.fast(factor)._changed(change, "outside(4, rev)").slow(factor)


def iter_back(p: P, steps: int) -> P:
    count = whole(exact(steps, "iter_back"), "iter_back", 1, MAX_TIMES)
    return p._new(queries.cat([queries.shift(p.events, Fraction(k, count)) for k in range(count)]))


def swing_by(p: P, amount: Argument, steps: Argument) -> P:
    def swung(n: Fraction, k: Fraction) -> Query[Any]:
        later = queries.fastcat([queries.pure(Fraction(0)), queries.pure(n / 2)])
        slow = queries.fast(p.events, 1 / k)
        return queries.fast(queries.for_each(later, lambda by: queries.shift(slow, by)), k)

    return p._new(each(steps, "swing_by", lambda k: each(amount, "swing_by", lambda n: swung(n, above(k, "swing_by")))))


def repeat_cycles(p: P, times: Argument) -> P:
    def repeated(n: Fraction) -> Query[Any]:
        count = whole(n, "repeat_cycles", 1, 1_000_000)
        return joins.by_number(lambda cycle: queries.shift(p.events, Fraction(cycle - cycle // count)))

    return p._new(each(times, "repeat_cycles", repeated))


def bite(p: P, pieces: Argument, order: Argument) -> P:
    def squeeze_pieces(n: Fraction) -> Query[Any]:
        chosen = numbers(order, "bite")
        return joins.join_squeeze(queries.map_values(chosen, lambda k: piece(p.events, Fraction(k), above(n, "bite"))))

    return p._new(each(pieces, "bite", squeeze_pieces))


def piece(query: Query[Any], number: Fraction, count: Fraction) -> Query[Any]:
    """One of `count` pieces of each cycle, stretched to a cycle."""
    begin = (number / count) % 1
    return joins.zoom(query, begin, begin + 1 / count)


def chew(p: P, pieces: int, order: Argument) -> P:
    count = above(exact(pieces, "chew"), "chew")

    def faster(chosen: CycleEvent[Any]) -> Query[Any]:
        length = chosen.reach.end - chosen.reach.begin

        def sped(value: Any) -> Any:
            return {**value, "speed": product(value.get("speed", 1.0), float(1 / (count * length)))}

        return queries.map_values(piece(p.events, Fraction(chosen.value), count), sped)

    places = numbers(order, "chew")
    return p._new(joins.join_squeeze(lambda span, seed: [e.with_value(faster(e)) for e in places(span, seed)]))


def rot(p: P, steps: Argument) -> P:
    def rotated(n: Fraction) -> Query[Any]:
        by = whole(n, "rot", -MAX_TIMES, MAX_TIMES)

        def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[Any]]:
            everything = [event for event in p.query(cycle, cycle + 1, seed) if event.begins]
            found = []
            for place, event in enumerate(everything):
                part = event.part.overlap(span)
                if part is not None:
                    given = everything[(place + by) % len(everything)]
                    found.append(CycleEvent(event.whole, part, given.value, given.places))
            return found

        return queries.by_cycle(inner)

    return p._new(each(steps, "rot", rotated))


def rolled_by(p: P, share: Argument = 0.25) -> P:
    def rolled(n: Fraction) -> Query[Any]:
        def query(span: Span, seed: int) -> list[CycleEvent[Any]]:
            found: list[CycleEvent[Any]] = []
            for chord in joins.notes_together(p.events)(span, seed):
                if chord.whole is None:
                    continue
                notes = chord.value if n >= 0 else chord.value[::-1]
                length = chord.whole.end - chord.whole.begin
                for place, event in enumerate(notes):
                    here = Span(chord.whole.begin + abs(n) * length * place / len(notes), chord.whole.end)
                    part = span.overlap(here)
                    if part is not None:
                        found.append(CycleEvent(here, part, event.value, event.places))
            return found

        return query

    return p._new(each(share, "rolled_by", rolled))


def revv(p: P) -> P:
    def turned(span: Span) -> Span:
        return Span(-span.end, -span.begin)

    return p._new(
        lambda span, seed: [
            CycleEvent(turned(e.whole) if e.whole else None, turned(e.part), e.value, e.places)
            for e in p.events(turned(span), seed)
        ]
    )


def beat(p: P, steps: Argument, count: Argument) -> P:
    def placed(at: float, n: Fraction) -> Query[Any]:
        begin = Fraction(at) % above(n, "beat") / n
        end = min(begin + 1 / n, Fraction(1))
        return queries.for_each(p.events, lambda value: joins.compress(queries.pure(value), begin, end))

    def on(n: Fraction) -> Query[Any]:
        return queries.for_each(numbers(steps, "beat"), lambda at: placed(at, n))

    return p._new(each(count, "beat", on))


EXTRA_WORDS: dict[str, Any] = {
    "rolled": lambda p: rolled_by(p, Fraction(1, 4)),
    "time_loop": lambda p, cycles: ribbon(p, 0, cycles),
    "zoom": lambda p, begin, end: p._new(joins.zoom(p.events, *_places(begin, end, "zoom"))),
    "compress": lambda p, begin, end: p._new(joins.compress(p.events, *_places(begin, end, "compress"))),
    "press": lambda p: press_by(p, _HALF),
}
