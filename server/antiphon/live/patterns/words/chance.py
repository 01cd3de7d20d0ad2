"""Words of chance. Its numbers are Antiphon's own: other events fall out than in Tidal and Strudel."""

from fractions import Fraction
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import joins, queries
from antiphon.live.patterns.arguments import Argument, each, whole
from antiphon.live.patterns.chance import chance
from antiphon.live.patterns.pattern import FIRST_STREAM, MAX_TIMES, Pattern, randcat
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.signals import rand
from antiphon.live.patterns.spans import CycleEvent, Number, Span, exact
from antiphon.live.patterns.words.making import as_pattern
from antiphon.live.patterns.words.time import P, piece

_PIECES, _WEIGHTS, _SWITCH = (1 << 35), (1 << 36), (1 << 37)
"""Random streams."""


def undegrade_by(p: P, share: Argument, seed: int = 0) -> P:
    return p._new(
        each(share, "undegrade_by", lambda n: queries.drop(p.events, 1.0 - float(n), FIRST_STREAM + seed, rest=True))
    )


def degrade_with(p: P, numbers_: P, share: Number) -> P:
    low = float(exact(share, "degrade_with"))
    paired = queries.apply_left(p.events, numbers_.events, lambda value, number: (value, number))
    return p._new(queries.map_values(queries.keep(paired, lambda v: float(v[1]) >= low), lambda v: v[0]))


def _often(share: float) -> Any:
    return lambda p, change: p.sometimes_by(share, change)


EXTRA_WORDS: dict[str, Any] = {
    "undegrade": lambda p: undegrade_by(p, 0.5),
    "never": lambda p, change: p,
    "some_cycles_by": lambda p, share, change: p.some_cycles(change, float(exact(share, "some_cycles_by"))),
    "shuffle": lambda p, pieces: p._new(
        each(pieces, "shuffle", lambda n: _mixed(p.events, whole(n, "shuffle", 1, MAX_TIMES), once=True))
    ),
    "scramble": lambda p, pieces: p._new(
        each(pieces, "scramble", lambda n: _mixed(p.events, whole(n, "scramble", 1, MAX_TIMES), once=False))
    ),
    "choose_cycles": lambda *values: randcat(*(as_pattern(value) for value in values)),
} | {"always": _often(1.0), "almost_always": _often(0.9), "almost_never": _often(0.1)}


def _mixed(query: Query[Any], count: int, *, once: bool) -> Query[Any]:
    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[Any]]:
        drawn = [chance(seed, _PIECES, Fraction(cycle * count + k, count)) for k in range(count)]
        order = sorted(range(count), key=drawn.__getitem__) if once else [int(x * count) for x in drawn]
        pieces = [queries.pure(piece(query, Fraction(k), Fraction(count))) for k in order]
        return joins.join_squeeze(queries.fastcat(pieces))(span, seed)

    return queries.by_cycle(inner)


def rand_slice(p: P, pieces: Argument) -> P:
    def sliced(n: Fraction) -> Query[Any]:
        count = whole(n, "rand_slice", 1, MAX_TIMES)

        def edges(value: Any, number: float) -> Any:
            k = int(number * count)
            return {**value, "begin": k / count, "end": (k + 1) / count}

        return queries.apply_left(p.events, rand.events, edges)

    return p._new(each(pieces, "rand_slice", sliced))


def brand_by(share: Number) -> Pattern[bool]:
    low = float(exact(share, "brand_by"))
    return Pattern(queries.signal(lambda time, seed: chance(seed, _SWITCH, time) < low))


def rand_l(count: int) -> Pattern[Any]:
    n = whole(exact(count, "rand_l"), "rand_l", 1, MAX_TIMES)
    return Pattern(queries.signal(lambda time, seed: [chance(seed, _PIECES + 1, time + k) for k in range(n)]))


def randrun(count: int) -> Pattern[int]:
    n = whole(exact(count, "randrun"), "randrun", 1, MAX_TIMES)
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


def wchoose(*pairs: Any) -> Pattern[Any]:
    values, weights = _weighted(pairs, "wchoose")
    return Pattern(queries.signal(lambda time, seed: values[_chosen(chance(seed, _WEIGHTS, time), weights)]))


def wrandcat(*pairs: Any) -> Any:
    values, weights = _weighted(pairs, "wrandcat")
    patterns = [as_pattern(value) for value in values]

    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[Any]]:
        place = _chosen(chance(seed, _WEIGHTS + 1, Fraction(cycle)), weights)
        return patterns[place].events(span, seed)

    return patterns[0]._new(queries.by_cycle(inner))


def choose_with(numbers_: P, values: Any) -> Pattern[Any]:
    given = list(values)
    if not given:
        raise UsageError("choose_with takes a pattern and a list of values, as in choose_with(rand, [60, 64])")
    return numbers_.map(lambda x: given[min(max(int(float(x) * len(given)), 0), len(given) - 1)])
