"""Words that play a pattern together with itself, choose changes by the cycle, and pick patterns."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import joins, queries
from antiphon.live.patterns.arguments import Truth, each, truths, whole
from antiphon.live.patterns.pattern import MAX_TIMES, Pattern
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import CycleEvent, Number, exact
from antiphon.live.patterns.words.making import as_pattern
from antiphon.live.patterns.words.time import Change, P

MAX_LAYERS = 64


def _changed_so_often(p: P, change: Callable[..., Any], k: int, example: str) -> P:
    """A change applied k times, or once with k if it takes a number too."""
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


def layer(p: P, *changes: Change) -> P:
    if not changes:
        raise UsageError("layer takes one or more changes, as in layer(rev, fast(2))")
    return p._new(queries.stack([p._changed(change, "layer(rev, fast(2))").events for change in changes]))


def echo_with(p: P, times: int, cycles: Number, change: Change) -> P:
    count, gap = whole(exact(times, "echo_with"), "echo_with", 1, MAX_LAYERS), exact(cycles, "echo_with")
    example = "echo_with(3, 1/8, add(7))"
    echoes = [_changed_so_often(p.late(gap * k), change, k, example).events for k in range(count)]
    return p._new(queries.stack(echoes))


def ply_with(p: P, times: int, change: Callable[..., Any]) -> P:
    count = whole(exact(times, "ply_with"), "ply_with", 1, MAX_LAYERS)

    def played(value: Any) -> Query[Any]:
        one = p._new(queries.pure(value))
        return queries.fastcat([_changed_so_often(one, change, k, "ply_with(3, add(7))").events for k in range(count)])

    return p._new(joins.join_squeeze(queries.map_values(p.events, played)))


def juxcut(p: Any, change: Change) -> Any:
    right = p._changed(change, "juxcut(rev)")
    return p._new(queries.stack([p.set(pan=0, cut=1).events, right.set(pan=1, cut=2).events]))


def apply(p: P, change: Change) -> P:
    return p._changed(change, "apply(fast(2))")


def bypass(p: P, switch: Truth | int) -> P:
    on = truths(bool(switch) if isinstance(switch, int) else switch, "bypass")
    return p._new(queries.for_each(on, lambda value: queries.silence if value else p.events))


# ---- by the number of the cycle


def fold_every(p: P, cycles: Sequence[int], change: Change) -> P:
    for count in cycles:
        p = p.every(count, change)
    return p


def whenmod(p: P, cycles: int, first: int, change: Change) -> P:
    count = whole(exact(cycles, "whenmod"), "whenmod", 1, 1_000_000)
    return p.when(lambda cycle: cycle % count >= first, change)


def when_t(p: P, test: Callable[[Fraction], bool], change: Change) -> P:
    changed = p._changed(change, "when_t(lambda t: t % 1 < 1/2, rev)")

    def passes(event: CycleEvent[Any]) -> bool:
        return bool(test(event.reach.begin))

    return p._new(queries.stack([changed._where(passes).events, p._where(lambda event: not passes(event)).events]))


def ifp(p: P, test: Callable[[int], bool], change: Change, other: Change) -> P:
    yes, no = p._changed(change, "ifp(test, rev, fast(2))"), p._changed(other, "ifp(test, rev, fast(2))")
    return p._new(queries.when(no.events, yes.events, test))


def _chunk(p: P, parts: Any, change: Change, what: str, *, back: bool, into: bool, quick: bool) -> P:
    n = whole(exact(parts, what), what, -MAX_TIMES, MAX_TIMES)
    if n == 0:
        raise UsageError(f"{what} takes a number of parts other than 0")
    count, back = abs(n), back != (n < 0)
    switch = queries.fastcat([queries.pure(k == 0) for k in range(count)])
    places = range(count)
    if back:  # chunk_back begins with the first part, chunk_back_into with the last
        places = range(count - 1, -1, -1) if into else range(0, -count, -1)
    turning = [queries.shift(switch, Fraction(k, count)) for k in places]
    on = Pattern(queries.cat(turning))
    slow = p if quick else p._new(joins.by_number(lambda c: queries.shift(p.events, Fraction(c - c // count))))
    if into:
        changed = p._new(queries.apply_left(p.events, queries.keep(on.events, bool), lambda v, _: v))
        off = queries.apply_left(p.events, queries.keep(on.events, lambda v: not v), lambda v, _: v)
        return p._new(queries.stack([changed._changed(change, f"{what}(4, rev)").events, off]))
    changed = slow._changed(change, f"{what}(4, rev)")
    return p._new(queries.for_each(on.events, lambda value: (changed if value else slow).events))


def fix(p: P, change: Change, **values: Any) -> P:
    return contrast(p, change, lambda q: q, **values)


def contrast(p: P, change: Change, other: Change, **values: Any) -> P:
    if not values:
        raise UsageError('contrast and fix take values by name to compare with, as in fix(fast(2), s="hh")')

    def has(event: CycleEvent[Any]) -> bool:
        return isinstance(event.value, Mapping) and all(event.value.get(k) == v for k, v in values.items())

    yes, no = p._where(has), p._where(lambda event: not has(event))
    example = 'contrast(put(crush=4), put(speed=2), s="hh")'
    return p._new(queries.stack([yes._changed(change, example).events, no._changed(other, example).events]))


EXTRA_WORDS: dict[str, Any] = {
    "overlay": lambda p, *others: p._new(queries.stack([p.events, *(as_pattern(other).events for other in others)])),
    "stut": lambda p, times, fade, cycles: p.echo(times, cycles, fade),
    "stutter": lambda p, times, cycles: echo_with(p, times, cycles, lambda q: q),
    "ply_for_each": lambda p, times, change: ply_with(p, times, change),
    "last_of": lambda p, cycles, change: p._new(
        each(cycles, "last_of", lambda n: p.every(n, change, whole(n, "last_of", 1, 1_000_000) - 1).events)
    ),
    "chunk_back": lambda p, parts, change: _chunk(p, parts, change, "chunk_back", back=True, into=False, quick=False),
    "slow_chunk": lambda p, parts, change: _chunk(p, parts, change, "slow_chunk", back=False, into=False, quick=False),
    "fast_chunk": lambda p, parts, change: _chunk(p, parts, change, "fast_chunk", back=False, into=False, quick=True),
    "chunk_into": lambda p, parts, change: _chunk(p, parts, change, "chunk_into", back=False, into=True, quick=True),
    "chunk_back_into": lambda p, parts, change: _chunk(
        p, parts, change, "chunk_back_into", back=True, into=True, quick=True
    ),
    "hush": lambda p: p._new(queries.silence),
}
