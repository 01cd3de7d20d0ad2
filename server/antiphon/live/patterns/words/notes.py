"""Notes of patterns of numbers, and values of a note that are more than one value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from antiphon.errors import UsageError
from antiphon.live.patterns.arguments import Argument
from antiphon.live.patterns.controls import ControlPattern, values_of
from antiphon.live.patterns.queries import apply_left


def _played(name: str) -> Callable[..., ControlPattern]:
    def function(p: Any, value: Argument | None = None) -> ControlPattern:
        if value is None:
            return ControlPattern(values_of(name, p))
        if not isinstance(p, ControlPattern):
            raise UsageError(
                f'{name} takes no value here: write {name}() after the pattern, or {name}("0 2") for another'
            )
        return p.set(**{name: value})

    return function


def sound(names: Argument, **values: Argument) -> ControlPattern:
    return ControlPattern(values_of("s", names)).set(**values)


def _envelope(*keys: str) -> Callable[[Any, Argument], Any]:
    def function(p: Any, values: Argument) -> Any:
        def named(old: Any, given: Any) -> Any:
            return {**old, **{key: float(part) for key, part in zip(keys, str(given).split(":"), strict=False)}}

        return p._new(apply_left(p.events, values_of("", values, plain=True), named))

    return function


MORE = {
    "s": _played("s"), "n": _played("n"), "note": _played("note"), "ar": _envelope("attack", "release"),
    "adsr": _envelope("attack", "decay", "sustain", "release"),
}  # fmt: skip
