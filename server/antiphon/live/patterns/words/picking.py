"""Words that pick one of several patterns, or of several changes, by a pattern of numbers or names."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.suggestion import instead
from antiphon.live.patterns import joins, queries
from antiphon.live.patterns.arguments import Argument, number_of
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.words.making import as_pattern
from antiphon.live.patterns.words.time import Change, P

_JOINS: dict[str, Callable[[Query[Query[Any]]], Query[Any]]] = {
    "": queries.join_inner,
    "_out": joins.join_outer,
    "_restart": joins.join_restart,
    "_reset": joins.join_reset,
    "_squeeze": joins.join_squeeze,
}


def choose_from(choices: Any, value: Any, *, around: bool) -> Any:
    """Choice by name or number: numbers beyond the last are clipped, or wrap with `around`."""
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
        queries.map_values(p.events, lambda v: as_pattern(choose_from(choices, v, around=around)).events)
    )
    given = list(choices.values() if isinstance(choices, Mapping) else choices)
    kind = next((c for c in given if isinstance(c, Pattern)), None)
    return Pattern(picked_one) if kind is None else kind._new(picked_one)


def _picker(how: str, around: bool) -> Callable[[P, Any], P]:
    return lambda p, choices: pick_from(p, choices, how, around=around)


EXTRA_WORDS: dict[str, Any] = {
    "pickmod_f": lambda p, numbers, changes: _pick_change(p, numbers, changes, around=True),
    "bind": lambda p, change: _bound(p, change, queries.join_inner),
    "squeeze_bind": lambda p, change: _bound(p, change, joins.join_squeeze),
    "outer_bind": lambda p, change: _bound(p, change, joins.join_outer),
} | {f"pick{'mod' * around}{how}": _picker(how, around) for how in _JOINS for around in (False, True)}


def pick_f(p: P, numbers: Argument, changes: Sequence[Change]) -> P:
    return _pick_change(p, numbers, changes, around=False)


def _pick_change(p: P, numbers: Argument, changes: Sequence[Change], *, around: bool) -> P:
    done = [p._changed(change, 'pick_f("<0 1>", [rev, fast(2)])') for change in changes]
    return p._new(pick_from(as_pattern(numbers), done, around=around).events)


def _bound(p: P, change: Callable[[Any], Any], join: Callable[[Query[Query[Any]]], Query[Any]]) -> P:
    first = [as_pattern(change(event.value)) for event in p.query(0, 1)[:1]]
    made = join(queries.map_values(p.events, lambda value: as_pattern(change(value)).events))
    return first[0]._new(made) if first else Pattern(made)
