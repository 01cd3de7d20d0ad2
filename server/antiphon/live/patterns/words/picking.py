"""Words that pick one of several patterns, changes or values: by a pattern of numbers or names, or at random.

Antiphon has its own random numbers, so it drops other events than Tidal and Strudel, save in their dialects.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.suggestion import instead
from antiphon.live.patterns import joins, queries
from antiphon.live.patterns.arguments import Argument, each, number_of, whole
from antiphon.live.patterns.dialects import STRUDEL, draws
from antiphon.live.patterns.pattern import FIRST_STREAM, MAX_TIMES, Pattern, randcat
from antiphon.live.patterns.queries import Query, chance
from antiphon.live.patterns.signals import rand
from antiphon.live.patterns.spans import CycleEvent, Number, Span, exact
from antiphon.live.patterns.words.making import convert_to_pattern
from antiphon.live.patterns.words.time import Change, P, piece

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


def _mixed(query: Query[Any], count: int, *, once: bool) -> Query[Any]:
    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[Any]]:
        if seed < 0 and once:
            drawn = draws(seed, Fraction(cycle) + (Fraction(1, 2) if seed == STRUDEL else 0), count)
        else:
            edges = [cycle + Fraction(k, count) for k in range(count + 1)]
            steps = (Span(begin, end) for begin, end in pairwise(edges))
            drawn = [chance(seed, _PIECES, step.begin if seed >= 0 else queries.moment(step, seed)) for step in steps]
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
    found = queries.signal(lambda time, seed: values[_chosen(chance(seed, _WEIGHTS, time), weights)])
    if any(isinstance(value, Pattern) for value in values):
        return Pattern(queries.for_each(found, lambda value: convert_to_pattern(value).events))
    return Pattern(found)


def wrandcat(*pairs: Any) -> Any:
    values, weights = _weighted(pairs, "wrandcat")
    patterns = [convert_to_pattern(value) for value in values]

    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[Any]]:
        place = _chosen(chance(seed, _WEIGHTS + 1, queries.cycle_moment(cycle, seed)), weights)
        return patterns[place].events(span, seed)

    return patterns[0]._new(queries.by_cycle(inner))


def choose_with(numbers_: P, values: Any) -> Pattern[Any]:
    given = list(values)
    if not given:
        raise UsageError("choose_with takes a pattern and a list of values, as in choose_with(rand, [60, 64])")
    return numbers_.map(lambda x: given[min(max(int(float(x) * len(given)), 0), len(given) - 1)])


_JOINS: dict[str, Callable[[Query[Query[Any]]], Query[Any]]] = {
    "": queries.join_inner,
    "_out": joins.join_outer,
    "_restart": joins.join_restart,
    "_reset": joins.join_reset,
    "_squeeze": joins.join_squeeze,
}


def choose_from(choices: Any, value: Any, *, around: bool) -> Any:
    """Chooses by name or number; numbers beyond the last are clipped, or wrap with `around`."""
    if isinstance(choices, Mapping):
        name = value if value in choices else str(value)  # a number among names
        if name not in choices:
            raise UsageError(f"there is no {value!r} to pick{instead(str(value), [str(k) for k in choices])}")
        return choices[name]
    place = round(float(number_of(value, "pick")))
    return choices[place % len(choices) if around else min(max(place, 0), len(choices) - 1)]


def pick_from(p: P, choices: Any, how: str = "", *, around: bool = False) -> P:
    """Picks the patterns by name or number, and joins them by `how`."""
    if isinstance(choices, str) or not isinstance(choices, Sequence | Mapping) or not choices:
        raise UsageError('pick takes a list of patterns, as in mini("<0 1>").pick([s("bd*4"), s("sd*2")])')
    picked_one = _JOINS[how](
        queries.map_values(p.events, lambda v: convert_to_pattern(choose_from(choices, v, around=around)).events)
    )
    given = list(choices.values() if isinstance(choices, Mapping) else choices)
    kind = next((c for c in given if isinstance(c, Pattern)), None)
    return Pattern(picked_one) if kind is None else kind._new(picked_one)


def _picker(how: str, around: bool) -> Callable[[P, Any], P]:
    return lambda p, choices: pick_from(p, choices, how, around=around)


def pick_f(p: P, numbers: Argument, changes: Sequence[Change]) -> P:
    return _pick_change(p, numbers, changes, around=False)


def _pick_change(p: P, numbers: Argument, changes: Sequence[Change], *, around: bool) -> P:
    done = [p._changed(change, 'pick_f("<0 1>", [rev, fast(2)])') for change in changes]
    return p._new(pick_from(convert_to_pattern(numbers), done, around=around).events)


def _bound(p: P, change: Callable[[Any], Any], join: Callable[[Query[Query[Any]]], Query[Any]]) -> P:
    first = [convert_to_pattern(change(event.value)) for event in p.query(0, 1)[:1]]
    made = join(queries.map_values(p.events, lambda value: convert_to_pattern(change(value)).events))
    return first[0]._new(made) if first else Pattern(made)


EXTRA_WORDS: dict[str, Any] = (
    {
        "pickmod_f": lambda p, numbers, changes: _pick_change(p, numbers, changes, around=True),
        "bind": lambda p, change: _bound(p, change, queries.join_inner),
        "squeeze_bind": lambda p, change: _bound(p, change, joins.join_squeeze),
        "outer_bind": lambda p, change: _bound(p, change, joins.join_outer),
        "undegrade": lambda p: undegrade_by(p, 0.5),
        "never": lambda p, change: p,
        "some_cycles_by": lambda p, share, change: p.some_cycles(change, float(exact(share, "some_cycles_by"))),
        "shuffle": lambda p, pieces: p._new(
            each(pieces, "shuffle", lambda n: _mixed(p.events, whole(n, "shuffle", 1, MAX_TIMES), once=True))
        ),
        "scramble": lambda p, pieces: p._new(
            each(pieces, "scramble", lambda n: _mixed(p.events, whole(n, "scramble", 1, MAX_TIMES), once=False))
        ),
        "choose_cycles": lambda *values: randcat(*(convert_to_pattern(value) for value in values)),
    }
    | {f"pick{'mod' * around}{how}": _picker(how, around) for how in _JOINS for around in (False, True)}
    | {"always": _often(1.0), "almost_always": _often(0.9), "almost_never": _often(0.1)}
)
