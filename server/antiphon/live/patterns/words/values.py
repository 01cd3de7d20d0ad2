"""Words that change values, and arithmetic with the onsets of either pattern."""

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any, TypeAlias

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import dialects, joins, queries
from antiphon.live.patterns.arguments import Argument, Truth, name_value, truths
from antiphon.live.patterns.controls import UNNAMED, ControlPattern, unnamed, values_of
from antiphon.live.patterns.harmony import parse_note_name
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import CycleEvent, Number, Span

P: TypeAlias = Pattern[Any]
Operation = Callable[[Any, Any], Any]


def _number(value: Any) -> float:
    if isinstance(value, bool | int | float | Fraction):
        return float(value) if isinstance(value, Fraction) else value
    if (number := parse_note_name(value)) is not None:
        return number
    raise UsageError(f"arithmetic takes numbers, not {str(value)[:40]!r}")


def _checked_operation(name: str, change: Operation) -> Operation:
    def calculate(a: Any, b: Any) -> Any:
        if name == "add" and isinstance(a, str) and isinstance(b, str):
            return a + b
        try:
            value = change(_number(a), _number(b))
        except (ArithmeticError, ValueError):
            raise UsageError(f"{a!r} {name} {b!r} is no number") from None
        if isinstance(value, complex) or not math.isfinite(value):
            raise UsageError(f"{a!r} {name} {b!r} is no number")
        return value

    return calculate


def product(a: Any, b: Any) -> Any:
    """Product of two numbers of values."""
    return _number(a) * _number(b)


OPERATIONS: dict[str, Operation] = {
    "set": lambda a, b: b, "keep": lambda a, b: a, "eq": operator.eq, "ne": operator.ne,
    **{name: _checked_operation(name, change) for name, change in {
        "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "mod": operator.mod,
        "pow": operator.pow, "lt": operator.lt, "gt": operator.gt, "lte": operator.le, "gte": operator.ge,
    }.items()},
}  # fmt: skip
"""Binary operations of values."""
JOINS: dict[str, Callable[[Query[Any], Query[Any], Operation], Query[Any]]] = {
    "in_": queries.apply_left,
    "out": joins.apply_right,
    "mix": queries.apply_both,
    "squeeze": partial(joins.join_values, joins.join_squeeze),
    "squeezeout": lambda a, b, f: joins.join_values(joins.join_squeeze, b, a, lambda x, y: f(y, x)),
    "reset": lambda a, b, f: joins.join_values(joins.join_reset, b, a, lambda x, y: f(y, x)),
    "restart": lambda a, b, f: joins.join_values(joins.join_restart, b, a, lambda x, y: f(y, x)),
}
"""Time structures of joins: this pattern's, the other's, or both; or a cycle of one in each event of the other."""


def _whole_values(a: Any, b: Any, change: Operation, *, named_stay: bool = False) -> Any:
    """Merges two mappings: `change` combines common names; other values are kept.

    `named_stay`: a value without a name changes none that has one, as in Strudel.
    """
    if not isinstance(a, Mapping):
        return change(a, b)
    if not isinstance(b, Mapping):
        if named_stay and UNNAMED not in a:
            return a
        name = UNNAMED if UNNAMED in a else "note" if "note" in a else "n" if "n" in a and "s" not in a else "note"
        b = {name: b}
    result = dict(a)
    for name, value in b.items():
        result[name] = change(a[name], value) if name in a else value
    return result


def operate(p: P, name: str, values: Mapping[str, Argument], how: str = "in_") -> P:
    """Applies arithmetic to named values of a pattern: `operate(p, "mul", {"gain": 0.5})`."""
    change, joined = OPERATIONS[name], JOINS[how]
    start = {"mul": 1.0, "div": 1.0, "pow": 1.0}.get(name, 0)
    query = p.events
    for key, argument in values.items():

        def changed(old: Any, new: Any) -> Any:
            kept = {k: change(old.get(k, start) if name != "keep" else old.get(k, v), v) for k, v in new.items()}
            return {**old, **kept}

        query = joined(query, values_of(key, argument), changed)
    return p._new(query)


class ArithmeticWord:
    """An arithmetic word: a method, `add(7)`, with the other ways of joining times as attributes, `add.out("0 7")`."""

    def __init__(self, name: str, original: Callable[..., Any] | None) -> None:
        """`original`: the existing method of this name."""
        self.name, self.original, self.plain = name, original, _PLAIN[name]

    def __get__(self, pattern: P | None, owner: type) -> Any:
        if pattern is None:
            return self.original or self.plain
        return BoundArithmetic(self, pattern)


class BoundArithmetic:
    """`p.add`: callable, with each of `JOINS` as attribute."""

    def __init__(self, word: ArithmeticWord, pattern: P) -> None:
        self._word, self._pattern = word, pattern

    def __call__(self, *args: Any, **values: Argument) -> Any:
        plain = bool(args) and dialects.current() == dialects.STRUDEL and isinstance(self._pattern, ControlPattern)
        if self._word.original is not None and not plain and not (args and isinstance(args[0], ControlPattern)):
            return self._word.original(self._pattern, *args, **values)
        return calculate(self._pattern, self._word.name, "in_", *args, **values)

    def __getattr__(self, how: str) -> Callable[..., Any]:
        if how.startswith("_"):  # what Python looks for
            raise AttributeError(how)
        if how not in JOINS:
            ways = ", ".join(JOINS)
            raise UsageError(f"{self._word.name} is joined by {ways}, as in .{self._word.name}.out(…), not by {how}")
        return partial(calculate, self._pattern, self._word.name, how)


def calculate(p: P, name: str, how: str, *args: Any, **values: Argument) -> P:
    """Applies arithmetic to a pattern and another one, or to named values."""
    if len(args) > 1 or bool(args) == bool(values):
        raise UsageError(f"{name} takes one number, text or pattern, or values by name, as in .{name}(2)")
    if values:
        if not isinstance(p, ControlPattern) and name != "set":
            raise UsageError(f"a pattern of numbers has no value named {next(iter(values))}; write {name}(7)")
        return operate(p if isinstance(p, ControlPattern) else unnamed(p), name, values, how)
    other = args[0]
    if not isinstance(other, str | int | float | Fraction | Pattern):
        raise UsageError(f"{name} takes a number, a text or a pattern, not {name_value(other)}")
    change = OPERATIONS[name]
    right = values_of("", other, plain=True)
    strudel = dialects.current() == dialects.STRUDEL
    return p._new(JOINS[how](p.events, right, lambda a, b: _whole_values(a, b, change, named_stay=strudel)))


def _plain(name: str) -> Callable[..., Any]:
    def arithmetic(p: P, *other: Any, **values: Argument) -> P:
        return calculate(p, name, "in_", *other, **values)

    return arithmetic


def _mapped(change: Callable[[float], Any]) -> Callable[[P], P]:
    return lambda p: Pattern(queries.map_values(p.events, lambda value: change(_number(value))))


_PLAIN = {name: _plain(name) for name in OPERATIONS}
for _name in OPERATIONS:
    for _owner in (Pattern, ControlPattern):
        setattr(_owner, _name, ArithmeticWord(_name, vars(_owner).get(_name)))
EXTRA_WORDS: dict[str, Any] = {
    "clamp": lambda p, low, high: p.map(lambda value: min(max(_number(value), low), high)),
    "range2": lambda p, low, high: p.map(lambda value: (_number(value) + 1) / 2).range(low, high),
    "filter": lambda p, test: p._new(queries.keep(p.events, test)),
    "filter_when": lambda p, test: p._where(lambda event: event.whole is not None and test(event.whole.begin)),
    **{name: plain for name, plain in _PLAIN.items() if name not in ("add", "set")},
    "round": _mapped(lambda v: math.floor(v + 0.5)),
    "floor": _mapped(math.floor),
    "ceil": _mapped(math.ceil),
    "to_bipolar": _mapped(lambda v: v * 2 - 1),
    "from_bipolar": _mapped(lambda v: (v + 1) / 2),
    "log2": _mapped(lambda v: math.log2(v) if v > 0 else 0.0),
}


def keepif(p: P, switches: Truth) -> P:
    on = truths(switches, "keepif")
    kept = queries.apply_left(p.events, on, lambda value, wanted: (value, wanted))
    return p._new(queries.map_values(queries.keep(kept, lambda pair: pair[1]), lambda pair: pair[0]))


def listed(p: P) -> P:
    def parts(value: Any) -> Any:
        if isinstance(value, Mapping) and UNNAMED in value:
            return {**value, UNNAMED: parts(value[UNNAMED])}
        several = isinstance(value, str) and ":" in value
        return [convert_numeric_word(part) for part in value.split(":")] if several else value

    return p.map(parts)


def at_begin(p: P) -> P:
    def query(span: Span, seed: int) -> list[CycleEvent[Any]]:
        found = p.events(Span(span.begin, span.begin), seed)
        return [CycleEvent(None, span, event.value, event.places) for event in found]

    return p._new(query)


def rangex(p: P, low: Number, high: Number) -> P:
    if not low > 0 or not high > 0:
        raise UsageError("rangex takes numbers above 0, as in rangex(200, 2000)")
    return p.range(math.log(low), math.log(high)).map(math.exp)


def smooth(p: P) -> P:
    def query(span: Span, seed: int) -> list[CycleEvent[Any]]:
        at = queries.moment(span, seed)
        found = []
        for event in p.events(Span(at, at), seed):
            if event.whole is not None:
                share = float((at - event.whole.begin) / (event.whole.end - event.whole.begin))
                after = [_number(one.value) for one in p.events(Span(event.whole.end, event.whole.end), seed)]
                value = _number(event.value)
                found += [CycleEvent(None, span, value + share * (other - value)) for other in after or [value]]
        return found

    return p._new(query)


def quantise(p: P, steps: Number) -> P:
    count = _number(steps)
    if count <= 0:
        raise UsageError("quantise takes a number of steps above 0, as in quantise(4)")
    return p.map(lambda value: round(_number(value) * count) / count)


def ratio(p: P) -> P:
    def divided(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            first, *rest = (float(part) for part in value.split(":"))
            return operator.truediv(first, math.prod(rest))
        except (ValueError, ZeroDivisionError):
            raise UsageError(f"ratio takes numbers joined by colons, as 5:4, not {value[:40]!r}") from None

    return p.map(divided)


def log(p: P) -> P:
    def printed(span: Any, seed: int) -> Any:
        found = p.events(span, seed)
        for event in found:
            if event.begins and event.whole is not None:
                print(f"{float(event.whole.begin):.4g}: {event.value}")
        return found

    return p._new(printed)


def as_(p: P, names: str) -> P:
    keys = [name.strip() for name in names.replace(",", ":").split(":")]

    def named(value: Any) -> Any:
        parts = value.split(":") if isinstance(value, str) else [value]
        return {key: convert_numeric_word(part) for key, part in zip(keys, parts, strict=False)}

    return ControlPattern(queries.map_values(p.events, named))


def convert_numeric_word(word: Any) -> Any:
    """Converts a numeric word to a number; returns any other word unchanged."""
    try:
        return float(word) if not isinstance(word, str) or not word.lstrip("-").isdigit() else int(word)
    except (TypeError, ValueError):
        return word
