"""Words that cut sounds into parts and fit them to the beat, and values of a note that are more than one value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import queries
from antiphon.live.patterns.arguments import Argument, each, numbers, whole
from antiphon.live.patterns.controls import ControlPattern, unnamed, values_of
from antiphon.live.patterns.queries import Query, apply_left
from antiphon.live.patterns.spans import CycleEvent, Span
from antiphon.live.patterns.words.time import P, above

MOST_PARTS = 1024


def striate(p: P, parts: Argument) -> P:
    def striped(n: Fraction) -> Query[Any]:
        count = whole(n, "striate", 1, MOST_PARTS)

        def part(k: int) -> Query[Any]:
            edges = {"begin": k / count, "end": (k + 1) / count}
            return queries.map_values(p.events, lambda value: {**value, **edges})

        return queries.fastcat([part(k) for k in range(count)])

    return p._new(each(parts, "striate", striped))


def _parts(p: P, parts: Argument, order: Argument, what: str) -> Query[Any]:
    def sliced(n: Fraction) -> Query[Any]:
        count = whole(n, what, 1, MOST_PARTS)

        def edges(number: float, value: Any) -> Any:
            return {**value, "begin": float(number) / count, "end": (float(number) + 1) / count, "_slices": count}

        return queries.apply_left(numbers(order, what), p.events, edges)

    return each(parts, what, sliced)


def slice(p: Any, parts: Argument, order: Argument | None = None) -> Any:
    if order is None:
        return p.set(slice=parts)
    return p._new(queries.map_values(_parts(p, parts, order, "slice"), _public))


def _public(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in value.items() if not name.startswith("_")}


def _fitted(query: Query[Any]) -> Query[Any]:
    """Speeds at which each event's part of its sound has the event's length."""

    def found(span: Span, seed: int) -> list[CycleEvent[Any]]:
        events = []
        for event in query(span, seed):
            length = event.reach.end - event.reach.begin
            value = event.value
            share = value.get("end", 1.0) - value.get("begin", 0.0)
            speed = value.get("speed", 1.0) * share / float(length)
            events.append(event.with_value({**_public(value), "speed": speed, "unit": "c"}))
        return events

    return found


def loop_at(p: P, cycles: Argument) -> P:
    def looped(n: Fraction) -> Query[Any]:
        speed = {"speed": float(1 / above(n, "loop_at")), "unit": "c"}
        return queries.map_values(queries.fast(p.events, 1 / n), lambda value: {**value, **speed})

    return p._new(each(cycles, "loop_at", looped))


def smash(p: P, parts: int, factors: Any) -> P:
    if isinstance(factors, str | int | float) or not factors:
        raise UsageError("smash takes a number of parts and a list of factors, as in smash(3, [2, 3, 4])")
    return p._new(queries.cat([striate(p, parts).slow(factor).events for factor in factors]))


def freq(p: Any, hertz: Argument) -> Any:
    heard = queries.map_values(numbers(hertz, "freq"), lambda f: 69 + 12 * math.log2(max(float(f), 1.0) / 440))
    return p._new(queries.apply_left(p.events, heard, lambda value, number: {**value, "note": round(number, 6)}))


def bank(p: Any, name: Argument) -> Any:
    from antiphon.live.patterns.controls import values_of

    def joined(value: Any, given: Any) -> Any:
        return {**value, "s": f"{given['bank']}_{value['s']}"} if "s" in value else value

    return p._new(queries.apply_left(p.events, values_of("bank", name), joined))


def _played(name: str) -> Callable[..., ControlPattern]:
    def function(p: Any, value: Argument | None = None) -> ControlPattern:
        if value is None:
            return ControlPattern(values_of(name, p))
        return (p if isinstance(p, ControlPattern) else unnamed(p)).set(**{name: value})

    return function


def _each_number(p: Any, name: str, given: Argument, change: Callable[[float], float]) -> Any:
    """A pattern with a value of a note, made of numbers in another scale."""

    def named(value: Any, number: float) -> Any:
        return {**value, name: round(change(float(number)), 6)}

    return p._new(apply_left(p.events, numbers(given, name), named))


def _resonance(q: float) -> float:
    """Resonance, 0 to 1, of a Q: the sampler's Q is 1000 to its power."""
    return min(1.0, math.log(max(q, 1.0), 1000))


def _envelope(*keys: str) -> Callable[[Any, Argument], Any]:
    def function(p: Any, values: Argument) -> Any:
        def named(old: Any, given: Any) -> Any:
            return {**old, **{key: float(part) for key, part in zip(keys, str(given).split(":"), strict=False)}}

        return p._new(apply_left(p.events, values_of("", values, plain=True), named))

    return function


MORE: dict[str, Any] = (
    {
        "splice": lambda p, parts, order: p._new(_fitted(_parts(p, parts, order, "splice"))),
        "fit": lambda p: p._new(_fitted(p.events)),
        "scrub": lambda p, places: p._new(
            queries.apply_left(
                numbers(places, "scrub"), p.events, lambda at, value: {**value, "begin": at, "legato": 1}
            )
        ),
    }
    | {
        "sound": lambda names, **values: ControlPattern(values_of("s", names)).set(**values),
    }
    | {
        "s": _played("s"),
        "n": _played("n"),
        "note": _played("note"),
        "color": lambda p, *_, **__: p,
        "detune": lambda p, _: p,
        "ftype": lambda p, _: p,
        "distort": lambda p, amount: _each_number(p, "shape", amount, lambda a: 1.0 - 2.0 / (math.exp(a) + 1.0)),
        "lpq": lambda p, q: _each_number(p, "resonance", q, _resonance),
        "hpq": lambda p, q: _each_number(p, "hresonance", q, _resonance),
        "postgain": lambda p, factor: p.times(gain=factor),
        "ar": _envelope("attack", "release"),
        "adsr": _envelope("attack", "decay", "sustainlevel", "release"),
    }
)
