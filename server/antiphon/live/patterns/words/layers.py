"""Words that play a pattern together with itself, choose changes by the cycle, and pick patterns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from antiphon.errors import UsageError
from antiphon.live.patterns import joins, queries
from antiphon.live.patterns.arguments import Argument, Truth, each, truths, whole
from antiphon.live.patterns.pattern import MOST_TIMES, Pattern
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import CycleEvent, Number, exact
from antiphon.live.patterns.words.making import as_pattern
from antiphon.live.patterns.words.table import control_word, word
from antiphon.live.patterns.words.time import Change, P

_layers = partial(word, "layers")
MOST_LAYERS = 64


def _changed_so_often(p: P, change: Callable[..., Any], k: int, example: str) -> P:
    """A change made k times, or once with k where it takes a number too."""
    if not callable(change):
        return p._changed(change, example)
    try:
        two = len([x for x in inspect.signature(change).parameters.values() if x.default is x.empty and x.kind < 2]) > 1
    except (TypeError, ValueError):
        two = False
    if two:
        return p._changed(lambda q: change(q, k), example)
    for _ in range(k):
        p = p._changed(change, example)
    return p


@_layers('s("bd sd").layer(rev, fast(2))')
def layer(p: P, *changes: Change) -> P:
    """Plays it as each of several changes makes it, at once."""
    if not changes:
        raise UsageError("layer takes one or more changes, as in layer(rev, fast(2))")
    return p._new(queries.stack([p._changed(change, "layer(rev, fast(2))").events for change in changes]))


@_layers('s("bd sd").overlay(s("hh*8"))')
def overlay(p: P, *others: P) -> P:
    """Plays other patterns with it."""
    return p._new(queries.stack([p.events, *(as_pattern(other).events for other in others)]))


@_layers('note("c4 e4").echo_with(3, 1/8, add(7))', "stut_with", "echowith", "stutwith")
def echo_with(p: P, times: int, cycles: Number, change: Change) -> P:
    """Repeats each event later and changed: the first one not, the second once, the third twice."""
    count, gap = whole(exact(times, "echo_with"), "echo_with", 1, MOST_LAYERS), exact(cycles, "echo_with")
    example = "echo_with(3, 1/8, add(7))"
    echoes = [_changed_so_often(p.late(gap * k), change, k, example).events for k in range(count)]
    return p._new(queries.stack(echoes))


@control_word("layers", 's("bd sd").stut(3, 0.6, 1/8)')
def stut(p: Any, times: int, fade: float, cycles: Number) -> Any:
    """Repeats each event later and softer: `echo`, in Tidal's older order."""
    return p.echo(times, cycles, fade)


@_layers('s("bd sd").stutter(4, 1/16)')
def stutter(p: P, times: int, cycles: Number) -> P:
    """Repeats each event so many times, a part of a cycle apart."""
    return echo_with(p, times, cycles, lambda q: q)


@_layers('note("c4 e4").ply_with(3, add(7))', "plywith")
def ply_with(p: P, times: int, change: Callable[..., Any]) -> P:
    """Plays each event so many times within its length: the first one as it is, each further one changed once more."""
    count = whole(exact(times, "ply_with"), "ply_with", 1, MOST_LAYERS)

    def played(value: Any) -> Query[Any]:
        one = p._new(queries.pure(value))
        return queries.fastcat([_changed_so_often(one, change, k, "ply_with(3, add(7))").events for k in range(count)])

    return p._new(joins.join_squeeze(queries.map_values(p.events, played)))


@_layers('note("c4 e4").ply_for_each(3, lambda p, k: p.add(k))', "plyforeach")
def ply_for_each(p: P, times: int, change: Callable[..., Any]) -> P:
    """As `ply_with`; the change takes the number of the repeat too."""
    return ply_with(p, times, change)


@control_word("layers", 's("hh*8").juxcut(rev)')
def juxcut(p: Any, change: Change) -> Any:
    """As `jux`; each side ends its own earlier sounds."""
    right = p._changed(change, "juxcut(rev)")
    return p._new(queries.stack([p.set(pan=0, cut=1).events, right.set(pan=1, cut=2).events]))


@_layers('s("bd sd").apply(fast(2))')
def apply(p: P, change: Change) -> P:
    """Changes it."""
    return p._changed(change, "apply(fast(2))")


@_layers('s("bd sd").bypass(1)')
def bypass(p: P, switch: Truth | int) -> P:
    """Silences it while a switch is on."""
    on = truths(bool(switch) if isinstance(switch, int) else switch, "bypass")
    return p._new(queries.for_each(on, lambda value: queries.silence if value else p.events))


@_layers('s("bd sd").hush()')
def hush(p: P) -> P:
    """Silences it."""
    return p._new(queries.silence)


# ---- by the number of the cycle


@_layers('s("bd sd").first_of(4, rev)')
def first_of(p: P, cycles: Argument, change: Change) -> P:
    """Changes the first of so many cycles: `every`."""
    return p.every(cycles, change)


@_layers('s("bd sd").last_of(4, rev)')
def last_of(p: P, cycles: Argument, change: Change) -> P:
    """Changes the last of so many cycles."""
    return p._new(each(cycles, "last_of", lambda n: p.every(n, change, whole(n, "last_of", 1, 1_000_000) - 1).events))


@_layers('s("bd sd").fold_every([2, 3], rev)')
def fold_every(p: P, cycles: Sequence[int], change: Change) -> P:
    """Changes every second, then every third cycle of the result, and so on."""
    for count in cycles:
        p = p.every(count, change)
    return p


@_layers('s("bd sd").whenmod(8, 6, rev)')
def whenmod(p: P, cycles: int, first: int, change: Change) -> P:
    """Changes the cycles from number `first` on, of so many."""
    count = whole(exact(cycles, "whenmod"), "whenmod", 1, 1_000_000)
    return p.when(lambda cycle: cycle % count >= first, change)


@_layers('s("bd sd").when_t(lambda t: t % 1 < 1/2, put(speed=2))')
def when_t(p: P, test: Callable[[Fraction], bool], change: Change) -> P:
    """Changes the events whose beginnings, in cycles, pass a test."""
    changed = p._changed(change, "when_t(lambda t: t % 1 < 1/2, rev)")

    def passes(event: CycleEvent[Any]) -> bool:
        return bool(test(event.reach.begin))

    return p._new(queries.stack([changed._where(passes).events, p._where(lambda event: not passes(event)).events]))


@_layers('s("bd sd").ifp(lambda cycle: cycle % 2 == 0, rev, fast(2))')
def ifp(p: P, test: Callable[[int], bool], change: Change, other: Change) -> P:
    """Changes the cycles whose number passes a test in one way, and the others in another."""
    yes, no = p._changed(change, "ifp(test, rev, fast(2))"), p._changed(other, "ifp(test, rev, fast(2))")
    return p._new(queries.when(no.events, yes.events, test))


def _chunk(p: P, parts: Any, change: Change, what: str, *, back: bool, into: bool, quick: bool) -> P:
    n = whole(exact(parts, what), what, -MOST_TIMES, MOST_TIMES)
    if n == 0:
        raise UsageError(f"{what} takes a number of parts other than 0")
    count, back = abs(n), back != (n < 0)
    switch = queries.fastcat([queries.pure(k == 0) for k in range(count)])
    places = range(count)
    if back:  # chunk_back begins with the first part, chunk_back_into with the last
        places = range(count - 1, -1, -1) if into else range(0, -count, -1)
    turning = [queries.shift(switch, Fraction(k, count)) for k in places]
    on = Pattern(queries.cat(turning))
    slow = p if quick else p._new(joins.numbered(lambda c: queries.shift(p.events, Fraction(c - c // count))))
    if into:
        changed = p._new(queries.apply_left(p.events, queries.keep(on.events, bool), lambda v, _: v))
        off = queries.apply_left(p.events, queries.keep(on.events, lambda v: not v), lambda v, _: v)
        return p._new(queries.stack([changed._changed(change, f"{what}(4, rev)").events, off]))
    changed = slow._changed(change, f"{what}(4, rev)")
    return p._new(queries.for_each(on.events, lambda value: (changed if value else slow).events))


@_layers('s("bd hh sd cp").chunk_back(4, put(speed=2))', "chunkback")
def chunk_back(p: P, parts: int, change: Change) -> P:
    """As `chunk`, from the last part to the first, over a pattern that is as many times as slow."""
    return _chunk(p, parts, change, "chunk_back", back=True, into=False, quick=False)


@_layers('s("bd hh sd cp").slow_chunk(4, put(speed=2))', "slowchunk")
def slow_chunk(p: P, parts: int, change: Change) -> P:
    """As `chunk`, and repeats each cycle for all of its parts."""
    return _chunk(p, parts, change, "slow_chunk", back=False, into=False, quick=False)


@_layers('s("bd hh sd cp").fast_chunk(4, put(speed=2))', "fastchunk")
def fast_chunk(p: P, parts: int, change: Change) -> P:
    """Changes one of so many equal parts of the cycle, the next one in each cycle: `chunk`."""
    return _chunk(p, parts, change, "fast_chunk", back=False, into=False, quick=True)


@_layers('s("bd hh sd cp").chunk_into(4, hurry(2))', "chunkinto")
def chunk_into(p: P, parts: int, change: Change) -> P:
    """As `fast_chunk`; the change is made with the part alone."""
    return _chunk(p, parts, change, "chunk_into", back=False, into=True, quick=True)


@_layers('s("bd hh sd cp").chunk_back_into(4, hurry(2))', "chunkbackinto")
def chunk_back_into(p: P, parts: int, change: Change) -> P:
    """As `chunk_into`, from the last part to the first."""
    return _chunk(p, parts, change, "chunk_back_into", back=True, into=True, quick=True)


@_layers('s("bd*4, hh*8").fix(fast(2), s="hh")')
def fix(p: P, change: Change, **values: Any) -> P:
    """Changes the events that have all of the values given."""
    return contrast(p, change, lambda q: q, **values)


@_layers('s("bd*4, hh*8").contrast(put(crush=4), put(speed=2), s="hh")')
def contrast(p: P, change: Change, other: Change, **values: Any) -> P:
    """Changes the events that have all of the values given in one way, and the others in another."""
    if not values:
        raise UsageError('contrast and fix take values by name to compare with, as in fix(fast(2), s="hh")')

    def has(event: CycleEvent[Any]) -> bool:
        return isinstance(event.value, Mapping) and all(event.value.get(k) == v for k, v in values.items())

    yes, no = p._where(has), p._where(lambda event: not has(event))
    example = 'contrast(put(crush=4), put(speed=2), s="hh")'
    return p._new(queries.stack([yes._changed(change, example).events, no._changed(other, example).events]))
