"""Words that cut sounds into parts and fit them to the beat, and note values that have several parts."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import dialects, queries
from antiphon.live.patterns.arguments import Argument, each, figure, numbers, whole
from antiphon.live.patterns.controls import ControlPattern, plain_number, unnamed, values_of
from antiphon.live.patterns.mini_reading import read
from antiphon.live.patterns.queries import Query, apply_left
from antiphon.live.patterns.spans import CycleEvent, Span, exact
from antiphon.live.patterns.words.time import P, above

MAX_PARTS = 1024
_WHOLE = (("begin", 0.0), ("end", 1.0))


def striate(p: P, parts: Argument) -> P:
    return _split_into_parts(p, parts, "striate", lambda k, count: (k / count, (k + 1) / count), within=True)


def striate_by(p: P, parts: Argument, length: float) -> P:
    share = exact(length, "striate_by")
    if not 0 < share <= 1:
        raise UsageError(f"striate_by takes parts of a length above 0 to 1, not {float(share):g}")

    def part(k: int, count: int) -> tuple[float, float]:
        begin = float(k * (1 - share) / count)
        return begin, min(begin + float(share), 1.0)

    return _split_into_parts(p, parts, "striate_by", part)


def _split_into_parts(
    p: P, parts: Argument, what: str, edges: Callable[[int, int], tuple[float, float]], *, within: bool = False
) -> P:
    """Plays the parts of each sound in turn. within: of the part that the sound has already."""

    def sequence_sound_parts(n: Fraction) -> Query[Any]:
        count = whole(n, what, 1, MAX_PARTS)

        def part(k: int) -> Query[Any]:
            begin, end = edges(k, count)

            def cut(value: Mapping[str, Any]) -> dict[str, Any]:
                first, last = (plain_number(value.get(name, at)) if within else at for name, at in _WHOLE)
                length = last - first
                return {**value, "begin": first + begin * length, "end": first + end * length}

            return queries.map_values(p.events, cut)

        return queries.fastcat([part(k) for k in range(count)])

    return p._new(each(parts, what, sequence_sound_parts))


def _parts(p: P, parts: Argument, order: Argument, what: str) -> Query[Any]:
    around = dialects.current() < dialects.STRUDEL  # Tidal counts on from the first

    def sliced(n: Fraction) -> Query[Any]:
        count = whole(n, what, 1, MAX_PARTS)

        def edges(number: float, value: Any) -> Any:
            number = number % count if around else number
            begin, end = (min(float(at) / count, 1.0) for at in (number, number + 1))  # none is beyond the last
            return {**value, "begin": begin, "end": end, "_slices": count}

        return queries.apply_left(numbers(order, what), p.events, edges)

    return each(parts, what, sliced)


def slice(p: Any, parts: Argument, order: Argument | None = None) -> Any:
    if order is None:
        return p.set(slice=parts)
    return p._new(queries.map_values(_parts(p, parts, order, "slice"), _drop_private_values))


def _drop_private_values(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in value.items() if not name.startswith("_")}


def _fit_speed(query: Query[Any]) -> Query[Any]:
    """Sets the speed at which each event's part of its sound lasts as long as the event."""

    def found(span: Span, seed: int) -> list[CycleEvent[Any]]:
        events = []
        for event in query(span, seed):
            length = event.reach.end - event.reach.begin
            value = event.value
            share = plain_number(value.get("end", 1.0)) - plain_number(value.get("begin", 0.0))
            speed = plain_number(value.get("speed", 1.0)) * share / float(length)
            events.append(event.with_value({**_drop_private_values(value), "speed": speed, "unit": "c"}))
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
    notes = convert_hertz_to_notes(hertz).events
    return p._new(queries.apply_left(p.events, notes, lambda value, note: {**value, **note}))


def convert_hertz_to_notes(hertz: Argument) -> ControlPattern:
    """Converts a pattern of frequencies to notes."""

    def note(f: float) -> dict[str, Any]:
        return {"note": round(69 + 12 * math.log2(max(float(f), 1.0) / 440), 6)}

    return ControlPattern(queries.map_values(numbers(hertz, "freq"), note))


def bank(p: Any, name: Argument) -> Any:
    def joined(value: Any, given: Any) -> Any:
        return {**value, "s": f"{given['bank']}_{value['s']}"} if "s" in value else value

    return p._new(queries.apply_left(p.events, values_of("bank", name), joined))


def _played(name: str) -> Callable[..., ControlPattern]:
    def function(p: Any, value: Argument | None = None) -> ControlPattern:
        if value is None:
            return ControlPattern(values_of(name, p))
        return (p if isinstance(p, ControlPattern) else unnamed(p)).set(**{name: value})

    return function


def _resonance(q: float) -> float:
    """Converts a Q to resonance, 0 to 1: the sampler's Q is 1000 to that power."""
    return min(1.0, math.log(max(q, 1.0), 1000))


_SCALED: dict[str, tuple[str, Callable[[float], float]]] = {
    "bpq": ("bandq", lambda q: min(max(q, 1.0), 30.0)),
    "distort": ("shape", lambda amount: math.tanh(amount / 2.0)),
    "hpq": ("hresonance", _resonance),
    "lpq": ("resonance", _resonance),
}
"""Words on Strudel's scale: the note value, and its conversion."""
PARTS = {
    "ad": "attack decay", "adsr": "attack decay sustainlevel release", "ar": "attack release", "bandf": "bandf bpq",
    "delay": "delay delaytime delayfeedback", "distort": "distort distortvol", "fm": "fm fmh", "hpf": "hpf hpq",
    "lpf": "lpf lpq", "penv": "penv pdecay", "room": "room size", "vib": "vib vibmod",
}  # fmt: skip
"""Words with several values, joined by colons in a text."""


def _several(name: str, keys: list[str]) -> Callable[..., Any]:
    def function(p: Any, value: Argument, *more: Argument) -> Any:
        given = ":".join(map(str, (value, *more))) if more else value

        def named(old: Any, one: Any) -> Any:
            if isinstance(one, bool) or not isinstance(one, int | float | str):
                raise UsageError(f"{name} takes numbers and words, not {str(one)[:40]!r}")
            result = dict(old)
            for key, part in zip(keys, str(one).split(":") if isinstance(one, str) else [one], strict=False):
                _put(result, key, _part(part, name, keys))
            return result

        return p._new(apply_left(p.events, values_of(name, given, plain=True), named))

    return function


def _part(part: str | float, name: str, keys: list[str]) -> float:
    try:
        return figure(part)[0] if isinstance(part, str) else part
    except UsageError:
        form = f", or {':'.join(keys)}" if len(keys) > 1 else ""
        raise UsageError(f"{name} takes a number{form}, not {str(part)[:40]!r}") from None


def _put(values: dict[str, Any], key: str, number: float) -> None:
    name, change = _SCALED.get(key, (key, lambda number: number))
    values[name] = round(change(number), 6) if key in _SCALED else number


def _places(places: Argument) -> Query[tuple[float, float]]:
    """Places of a sound with factors of its speed, by "0.25" or "0.25:2"."""
    if isinstance(places, str):

        def place(word: str) -> tuple[tuple[float, float]]:
            at, _, factor = word.partition(":")
            return ((_part(at, "scrub", []), _part(factor or 1, "scrub", [])),)

        return read(places, place)
    return queries.map_values(numbers(places, "scrub"), lambda at: (at, 1))


def _scrubbed(place: tuple[float, float], value: Mapping[str, Any]) -> dict[str, Any]:
    at, factor = place
    speed = plain_number(value.get("speed", 1)) * factor
    return {**value, "begin": min(max(at, 0), 1), "speed": speed, "legato": 1}


EXTRA_WORDS: dict[str, Any] = {
    "splice": lambda p, parts, order: p._new(_fit_speed(_parts(p, parts, order, "splice"))),
    "fit": lambda p: p._new(_fit_speed(p.events)),
    "scrub": lambda p, places: p._new(queries.apply_left(_places(places), p.events, _scrubbed)),
    "sound": lambda names, **values: ControlPattern(values_of("s", names)).set(**values),
    "synth": lambda p, name, **values: p.set(synth=name, **values),
    "postgain": lambda p, factor: p.set(postgain=factor),
    **{name: _played(name) for name in ("s", "n", "note")},
    **{name: _several(name, PARTS.get(name, name).split()) for name in _SCALED | PARTS},
}
