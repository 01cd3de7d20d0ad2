"""Words that change the time of a pattern."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, TypeAlias

from antiphon.errors import UsageError
from antiphon.live.patterns import joins, queries
from antiphon.live.patterns.arguments import Argument, each, numbers, whole
from antiphon.live.patterns.pattern import MOST_TIMES, Pattern
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import CycleEvent, Number, Span, exact
from antiphon.live.patterns.words.table import word

P: TypeAlias = Pattern[Any]
Change: TypeAlias = Callable[[Any], Any]
_time = partial(word, "time")
_HALF = Fraction(1, 2)


def above(n: Fraction, what: str) -> Fraction:
    """A number above 0. Raises `UsageError` for another."""
    if not 0 < n <= MOST_TIMES:
        raise UsageError(f"{what} takes a number above 0, to {MOST_TIMES}, not {float(n):g}")
    return n


def _places(begin: Number, end: Number, what: str) -> tuple[Fraction, Fraction]:
    first, last = exact(begin, what), exact(end, what)
    if not 0 <= first < last <= 1:
        raise UsageError(f"{what} takes two places of the cycle, 0 to 1, the first before the second")
    return first, last


@_time('s("bd hh sd cp").linger(1/4)')
def linger(p: P, share: Argument) -> P:
    """Repeats the first part of each cycle in the rest of it; for a share below 0 its last part."""

    def lingered(n: Fraction) -> Query[Any]:
        if not 0 < abs(n) <= 1:
            raise UsageError(f"linger takes a share of the cycle, to 1, or below 0 of its end, not {float(n):g}")
        first = Fraction(0) if n > 0 else 1 + n
        return queries.fast(joins.zoom(p.events, first, first + abs(n)), 1 / abs(n))

    return p._new(each(share, "linger", lingered))


@_time('s("bd hh sd cp").ribbon(1, 1/2)', "rib")
def ribbon(p: P, offset: Number, cycles: Number = 1) -> P:
    """Loops a part of the pattern: so many cycles from an offset on."""
    first, length = exact(offset, "ribbon"), above(exact(cycles, "ribbon"), "ribbon")
    beginnings = queries.fast(queries.pure(queries.shift(p.events, -first)), 1 / length)
    return p._new(joins.join_restart(beginnings))


@_time('s("bd sd").time_loop(2)')
def time_loop(p: P, cycles: Number) -> P:
    """Repeats the first cycles for ever."""
    return ribbon(p, 0, cycles)


@_time('n("0 .. 7", s="hh").zoom(1/4, 3/4)', "zoom_arc")
def zoom(p: P, begin: Number, end: Number) -> P:
    """Plays a part of each cycle, as long as a cycle."""
    return p._new(joins.zoom(p.events, *_places(begin, end, "zoom")))


@_time('s("bd sd").compress(1/4, 3/4)')
def compress(p: P, begin: Number, end: Number) -> P:
    """Plays each cycle between two places of it, and rests around."""
    return p._new(joins.compress(p.events, *_places(begin, end, "compress")))


@_time('s("bd sd").fast_gap(2)', "fastgap")
def fast_gap(p: P, factor: Argument) -> P:
    """Plays each cycle faster, and rests for what is left of it."""

    def gapped(n: Fraction) -> Query[Any]:
        return joins.compress(p.events, Fraction(0), 1 / n) if n >= 1 else queries.fast(p.events, above(n, "fast_gap"))

    return p._new(each(factor, "fast_gap", gapped))


@_time('s("bd sd").focus(1/4, 3/4)')
def focus(p: P, begin: Number, end: Number) -> P:
    """As `compress`, and repeats around in place of the rests."""
    first, last = exact(begin, "focus"), exact(end, "focus")
    if last <= first:
        raise UsageError("focus takes two times, the first before the second")
    return p._new(queries.squeeze_cycle(p.events, math.floor(first), first, last - first))


@_time('s("hh*4").press()')
def press(p: P) -> P:
    """Plays each event in the second half of its time."""
    return press_by(p, _HALF)


@_time('s("hh*4").press_by("<0 0.25>")')
def press_by(p: P, share: Argument) -> P:
    """Plays each event later by a share of its own length, and ends it where it ended."""

    def pressed(n: Fraction) -> Query[Any]:
        if not 0 <= n < 1:
            raise UsageError(f"press_by takes 0 to below 1, not {float(n):g}")
        inner = queries.map_values(p.events, lambda value: joins.compress(queries.pure(value), n, Fraction(1)))
        return joins.join_squeeze(inner)

    return p._new(each(share, "press_by", pressed))


@_time('s("bd sd").brak()')
def brak(p: P) -> P:
    """Makes every second cycle a breakbeat: squeezed, and a quarter late."""
    squeezed = queries.shift(queries.fastcat([p.events, queries.silence]), Fraction(1, 4))
    return p._new(queries.when(p.events, squeezed, lambda cycle: cycle % 2 == 1))


@_time('s("bd sd").hurry(2)')
def hurry(p: P, factor: Argument) -> P:
    """Plays faster, and the sounds at as much a higher speed."""
    from antiphon.live.patterns.words.values import operate

    return operate(p.fast(factor), "mul", {"speed": factor})


@_time('s("bd sd hh cp").outside(4, rev)')
def outside(p: P, factor: Number, change: Change) -> P:
    """Changes it as if it were so many times as fast."""
    return p.fast(factor)._changed(change, "outside(4, rev)").slow(factor)


@_time('s("bd hh sd cp").iter_back(4)', "iterback")
def iter_back(p: P, steps: int) -> P:
    """Begins each cycle a step earlier: `iter` backwards."""
    count = whole(exact(steps, "iter_back"), "iter_back", 1, MOST_TIMES)
    return p._new(queries.cat([queries.shift(p.events, Fraction(k, count)) for k in range(count)]))


@_time('s("hh*8").swing_by(1/3, 4)')
def swing_by(p: P, amount: Argument, steps: Argument) -> P:
    """Plays the second half of each of so many steps late, by a share of the half."""

    def swung(n: Fraction, k: Fraction) -> Query[Any]:
        later = queries.fastcat([queries.pure(Fraction(0)), queries.pure(n / 2)])
        slow = queries.fast(p.events, 1 / k)
        return queries.fast(queries.for_each(later, lambda by: queries.shift(slow, by)), k)

    return p._new(each(steps, "swing_by", lambda k: each(amount, "swing_by", lambda n: swung(n, above(k, "swing_by")))))


@_time('s("<bd sd>").repeat_cycles(2)', "repeatcycles")
def repeat_cycles(p: P, times: Argument) -> P:
    """Plays each cycle so many times before the next."""

    def repeated(n: Fraction) -> Query[Any]:
        count = whole(n, "repeat_cycles", 1, 1_000_000)
        return joins.numbered(lambda cycle: queries.shift(p.events, Fraction(cycle - cycle // count)))

    return p._new(each(times, "repeat_cycles", repeated))


@_time('s("bd sd hh cp").bite(4, "0 2*2")')
def bite(p: P, pieces: Argument, order: Argument) -> P:
    """Cuts each cycle into so many pieces and plays them in an order."""

    def bitten(n: Fraction) -> Query[Any]:
        return joins.join_squeeze(
            queries.map_values(numbers(order, "bite"), lambda k: piece(p.events, Fraction(k), above(n, "bite")))
        )

    return p._new(each(pieces, "bite", bitten))


def piece(query: Query[Any], number: Fraction, count: Fraction) -> Query[Any]:
    """One of so many pieces of each cycle, as long as a cycle."""
    begin = (number / count) % 1
    return joins.zoom(query, begin, begin + 1 / count)


@_time('s("bd sd hh cp").chew(4, "0 [2 1]")')
def chew(p: P, pieces: int, order: Argument) -> P:
    """As `bite`, with the speed of the sounds changed as their pieces are."""
    from antiphon.live.patterns.words.values import product

    count = above(exact(pieces, "chew"), "chew")

    def chewed(span: Span, seed: int) -> list[CycleEvent[Any]]:
        found: list[CycleEvent[Any]] = []
        for chosen in numbers(order, "chew")(span, seed):
            if chosen.whole is None:
                continue
            factor = 1 / (count * (chosen.whole.end - chosen.whole.begin))
            faster = queries.map_values(
                piece(p.events, Fraction(chosen.value), count),
                lambda value, by=factor: {**value, "speed": product(value.get("speed", 1.0), float(by))},
            )
            one = [CycleEvent(chosen.whole, chosen.part, faster)]
            found += joins.join_squeeze(lambda s, g, one=one: one)(chosen.part, seed)  # type: ignore[misc]
        return found

    return p._new(chewed)


@_time('s("bd sd hh").rot(1)')
def rot(p: P, steps: Argument) -> P:
    """Moves the values of each cycle to its events so many places before, and leaves their times."""

    def rotated(n: Fraction) -> Query[Any]:
        by = whole(n, "rot", -MOST_TIMES, MOST_TIMES)

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


@_time('note("[c4,e4,g4]").rolled_by(1/4)')
def rolled_by(p: P, share: Argument = 0.25) -> P:
    """Plays the notes of a chord one after the other in a share of its time, downwards for a share below 0."""

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


@_time('note("[c4,e4,g4]").rolled()')
def rolled(p: P) -> P:
    """Plays the notes of a chord one after the other, in the first quarter of its time."""
    return rolled_by(p, Fraction(1, 4))


@_time('s("bd sd").revv()')
def revv(p: P) -> P:
    """Plays the whole of time backwards."""

    def turned(span: Span) -> Span:
        return Span(-span.end, -span.begin)

    return p._new(
        lambda span, seed: [
            CycleEvent(turned(e.whole) if e.whole else None, turned(e.part), e.value, e.places)
            for e in p.events(turned(span), seed)
        ]
    )


@_time('s("hh*4").beat("0,7,10", 16)')
def beat(p: P, steps: Argument, count: Number) -> P:
    """Plays it on numbered steps of the cycle."""
    n = above(exact(count, "beat"), "beat")

    def placed(at: float) -> Query[Any]:
        begin = Fraction(at) % n / n
        return joins.compress(p.events, begin, min(begin + 1 / n, Fraction(1)))

    return p._new(queries.for_each(numbers(steps, "beat"), placed))


@_time('s("bd sd").density(2)')
def density(p: P, factor: Argument) -> P:
    """Plays so many times as fast: `fast`."""
    return p.fast(factor)


@_time('s("bd sd").sparsity(2)')
def sparsity(p: P, factor: Argument) -> P:
    """Plays so many times as slowly: `slow`."""
    return p.slow(factor)


@_time("sine.seg(4)")
def seg(p: P, count: Argument) -> P:
    """Reads it so many times a cycle: `segment`."""
    return p.segment(count)
