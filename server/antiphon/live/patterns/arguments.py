"""Arguments of pattern words: a number, a text in mini-notation, or a pattern."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol, TypeAlias, TypeVar

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import queries
from antiphon.live.patterns.mini_reading import read, truth
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import Number, exact

T = TypeVar("T")
U = TypeVar("U")


class Queried(Protocol[U]):
    """An object with a query: a pattern."""

    @property
    def events(self) -> Query[U]:
        """Query of the pattern: events of a span."""
        ...


Argument: TypeAlias = Number | str | Queried[Any]
"""A number, a text in mini-notation such as "<2 3>", or a pattern of numbers."""
Truth: TypeAlias = bool | str | Queried[Any]
"""A switch, a text in mini-notation such as "t f" or "1 0", or a pattern of them."""


def figure(word: str) -> tuple[float]:
    """Parses a number of mini-notation: `3`, `-0.5`, `1%8`. Raises UsageError: the word is no number."""
    above, _, below = word.partition("%")
    try:
        value = float(above) / float(below or "1")
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"a number is wanted here, as in 3 or 0.5, not {word[:40]!r}") from None
    return (int(value) if value.is_integer() and abs(value) < 2**53 else value,)


def name_value(value: object) -> str:
    """Formats a value for a sentence."""
    name = getattr(value, "__name__", "") if callable(value) else ""  # a change has that of its word
    return f"the function {name}" if name else repr(value)[:40]


def number_of(value: object, what: str) -> Fraction:
    """Converts a pattern's value to an exact number. Raises `UsageError` for another value."""
    if isinstance(value, bool | int | float | Fraction):
        return exact(int(value) if isinstance(value, bool) else value, what)
    raise UsageError(f"{what} takes numbers, not {name_value(value)}")


def numbers(argument: Argument, what: str) -> Query[float]:
    """Query of a number argument; `what`: its use, for the error. `UsageError` if it is no number, text or pattern."""
    if isinstance(argument, str):
        return read(argument, figure)
    if isinstance(argument, int | float | Fraction):
        exact(argument, what)
        return queries.pure(argument if isinstance(argument, int) else float(argument))
    if hasattr(argument, "events"):
        return queries.map_values(argument.events, lambda value: _read_float(value, what))
    raise UsageError(f"{what} takes a number, a text or a pattern, not {name_value(argument)}")


def _read_float(value: object, what: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return float(number_of(value, what))


def truths(argument: Truth, what: str) -> Query[bool]:
    """Query of a switch argument; see `numbers`."""
    if isinstance(argument, str):
        return read(argument, truth)
    if isinstance(argument, bool):
        return queries.pure(argument)
    if hasattr(argument, "events"):
        return queries.map_values(
            argument.events, lambda value: truth(value)[0] if isinstance(value, str) else bool(value)
        )
    raise UsageError(f"{what} takes a switch, a text such as 't f' or a pattern, not {str(argument)[:40]!r}")


def each(argument: Argument, what: str, change: Callable[[Fraction], Query[T]]) -> Query[T]:
    """Calls `change` for an argument: once for a number, else for each value while it is active.

    Raises UsageError: it is no number, text or pattern, or `change` refuses the number.
    """
    if isinstance(argument, int | float | Fraction):
        return change(exact(argument, what))
    return queries.for_each(numbers(argument, what), lambda value: change(number_of(value, what)))


def whole(value: Fraction, what: str, low: int, high: int) -> int:
    """Returns an integer within a range. Raises `UsageError` for any other value."""
    if value.denominator != 1 or not low <= value <= high:
        raise UsageError(f"{what} takes a whole number from {low} to {high}, not {float(value):g}")
    return int(value)
