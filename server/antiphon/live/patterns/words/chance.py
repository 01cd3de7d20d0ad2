"""Words of chance. Its numbers are Antiphon's own: other events fall out than in Tidal and Strudel."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

from antiphon.errors import UsageError
from antiphon.live.patterns import joins, queries
from antiphon.live.patterns.arguments import Argument, each, whole
from antiphon.live.patterns.chance import chance
from antiphon.live.patterns.pattern import FIRST_STREAM, MOST_TIMES, Pattern, randcat
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.signals import rand
from antiphon.live.patterns.spans import CycleEvent, Number, Span, exact
from antiphon.live.patterns.words.making import as_pattern
from antiphon.live.patterns.words.table import maker, word
from antiphon.live.patterns.words.time import Change, P, piece

_chance = partial(word, "chance")
_PIECES, _WEIGHTS, _SWITCH = (1 << 35), (1 << 36), (1 << 37)
"""Streams of chance."""


@_chance('s("hh*8").undegrade_by(0.2)')
def undegrade_by(p: P, share: Argument, seed: int = 0) -> P:
    """Leaves out a share of the events by chance, first those that `degrade_by` leaves out last."""
    return p._new(
        each(share, "undegrade_by", lambda n: queries.drop(p.events, 1.0 - float(n), FIRST_STREAM + seed, rest=True))
    )


@_chance('s("hh*8").undegrade()')
def undegrade(p: P) -> P:
    """Keeps the events that `degrade` leaves out."""
    return undegrade_by(p, 0.5)


@_chance('s("hh*8").degrade_with(saw, 0.3)', "degradeByWith")
def degrade_with(p: P, numbers_: P, share: Number) -> P:
    """Leaves out the events during which a pattern of numbers is below a share."""
    low = float(exact(share, "degrade_with"))
    paired = queries.apply_left(p.events, numbers_.events, lambda value, number: (value, number))
    return p._new(queries.map_values(queries.keep(paired, lambda v: float(v[1]) >= low), lambda v: v[0]))


def _often(name: str, share: float, doc: str, *also: str) -> None:
    def function(p: P, change: Change) -> P:
        return p.sometimes_by(share, change)

    function.__name__, function.__doc__ = name, doc
    _chance(f's("hh*8").{name}(put(speed=2))', *also)(function)


_often("always", 1.0, "Changes all events.")
_often("almost_always", 0.9, "Changes nine in ten events by chance.")
_often("almost_never", 0.1, "Changes one in ten events by chance.")


@_chance('s("hh*8").never(fast(2))')
def never(p: P, change: Change) -> P:
    """Changes nothing: to switch a change off while its text stays."""
    return p


@_chance('s("bd*4").some_cycles_by(0.3, fast(2))', "somecyclesBy")
def some_cycles_by(p: P, share: Number, change: Change) -> P:
    """Changes a share of the cycles by chance."""
    return p.some_cycles(change, float(exact(share, "some_cycles_by")))


@_chance('s("bd*4").somecycles(fast(2))')
def somecycles(p: P, change: Change) -> P:
    """Changes half of the cycles by chance."""
    return p.some_cycles(change)


@_chance('s("bd sd hh cp").shuffle(4)')
def shuffle(p: P, pieces: Argument) -> P:
    """Plays so many pieces of each cycle in another order by chance, each once."""
    return p._new(each(pieces, "shuffle", lambda n: _mixed(p.events, whole(n, "shuffle", 1, MOST_TIMES), once=True)))


@_chance('s("bd sd hh cp").scramble(4)')
def scramble(p: P, pieces: Argument) -> P:
    """Plays in each piece of the cycle one of so many by chance."""
    return p._new(each(pieces, "scramble", lambda n: _mixed(p.events, whole(n, "scramble", 1, MOST_TIMES), once=False)))


def _mixed(query: Query[Any], count: int, *, once: bool) -> Query[Any]:
    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[Any]]:
        drawn = [chance(seed, _PIECES, Fraction(cycle * count + k, count)) for k in range(count)]
        order = sorted(range(count), key=drawn.__getitem__) if once else [int(x * count) for x in drawn]
        pieces = [queries.pure(piece(query, Fraction(k), Fraction(count))) for k in order]
        return joins.join_squeeze(queries.fastcat(pieces))(span, seed)

    return queries.by_cycle(inner)


@_chance('s("bd*4").rand_slice(8)', "randslice")
def rand_slice(p: P, pieces: int) -> P:
    """Plays one of so many pieces of each sound by chance."""
    count = whole(exact(pieces, "rand_slice"), "rand_slice", 1, MOST_TIMES)

    def edges(value: Any, number: float) -> Any:
        k = int(number * count)
        return {**value, "begin": k / count, "end": (k + 1) / count}

    return p._new(queries.apply_left(p.events, rand.events, edges))


@maker("chance", 's("hh*8").mask(brand_by(0.7).segment(8))', "brandBy")
def brand_by(share: Number) -> Pattern[bool]:
    """Switches by chance for each moment, on in a share of them."""
    low = float(exact(share, "brand_by"))
    return Pattern(queries.signal(lambda time, seed: chance(seed, _SWITCH, time) < low))


@maker("chance", "rand_l(8).segment(1)", "randL")
def rand_l(count: int) -> Pattern[Any]:
    """A list of so many numbers by chance for each cycle."""
    n = whole(exact(count, "rand_l"), "rand_l", 1, MOST_TIMES)
    return Pattern(queries.signal(lambda time, seed: [chance(seed, _PIECES + 1, time + k) for k in range(n)]))


@maker("chance", 'n(randrun(8), s="hh")')
def randrun(count: int) -> Pattern[int]:
    """The numbers from 0 to below `count` in another order each cycle."""
    n = whole(exact(count, "randrun"), "randrun", 1, MOST_TIMES)
    return Pattern(_mixed(queries.fastcat([queries.pure(k) for k in range(n)]), n, once=True))


def _weighted(pairs: tuple[Any, ...], what: str) -> tuple[list[Any], list[float]]:
    given = [tuple(pair) if isinstance(pair, list | tuple) and len(pair) == 2 else None for pair in pairs]
    if not given or None in given or any(not isinstance(pair[1], int | float) or pair[1] < 0 for pair in given if pair):
        raise UsageError(f'{what} takes pairs of a value and a weight, as in {what}(("bd", 3), ("sd", 1))')
    values = [pair[0] for pair in given if pair]
    weights = [float(pair[1]) for pair in given if pair]
    if sum(weights) <= 0:
        raise UsageError(f"{what} takes at least one weight above 0")
    return values, weights


def _chosen(number: float, weights: list[float]) -> int:
    left = number * sum(weights)
    for place, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return place
    return len(weights) - 1


@maker("chance", "note(wchoose((60, 3), (67, 1)).segment(4))")
def wchoose(*pairs: Any) -> Pattern[Any]:
    """One of several values by chance for each moment, by their weights."""
    values, weights = _weighted(pairs, "wchoose")
    return Pattern(queries.signal(lambda time, seed: values[_chosen(chance(seed, _WEIGHTS, time), weights)]))


@maker("chance", 'wrandcat((s("bd*4"), 3), (s("bd sd"), 1))', "wchoose_cycles")
def wrandcat(*pairs: Any) -> Any:
    """One of several patterns each cycle by chance, by their weights."""
    values, weights = _weighted(pairs, "wrandcat")
    patterns = [as_pattern(value) for value in values]

    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[Any]]:
        place = _chosen(chance(seed, _WEIGHTS + 1, Fraction(cycle)), weights)
        return patterns[place].events(span, seed)

    return patterns[0]._new(queries.by_cycle(inner))


@maker("chance", "note(choose_with(saw, [60, 64, 67]).segment(3))", "choose_in_with")
def choose_with(numbers_: P, values: Any) -> Pattern[Any]:
    """One of several values by a pattern of numbers from 0 to below 1."""
    given = list(values)
    if not given:
        raise UsageError("choose_with takes a pattern and a list of values, as in choose_with(rand, [60, 64])")
    return numbers_.map(lambda x: given[min(max(int(float(x) * len(given)), 0), len(given) - 1)])


@maker("chance", 'choose_cycles(s("bd*4"), s("sd*2"))')
def choose_cycles(*values: Any) -> P:
    """One of several patterns or values each cycle by chance: `randcat`."""
    return randcat(*(as_pattern(value) for value in values))
