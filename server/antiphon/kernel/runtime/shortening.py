"""Shortens outside values to one line of an error, composes and checks them, and escapes them for terminal and log."""

import math
import unicodedata
from collections.abc import Callable
from typing import Any, TypeGuard

from antiphon.kernel.errors import RequestError


def shorten(text: str, most: int = 40) -> str:
    """`text`, or its beginning and "..." if it has more than `most` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def composed(text: str) -> str:
    """A name with each letter and its accents as one character (NFC), the form in which names are compared."""
    return unicodedata.normalize("NFC", text)


def short_repr(value: object, most: int = 40) -> str:
    """`value` as Python writes it, of at most `most` characters."""
    try:
        return shorten(repr(value), most)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a number of thousands of digits"


def count_of(number: float, noun: str) -> str:
    """A number with its noun in the singular or plural: "1 channel", "2 channels"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def is_finite_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number that a float can hold: finite, and no bool."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 1024 bits
        return False


def check_number(
    value: object,
    name: str,
    low: float,
    high: float,
    *,
    whole: bool = False,
    takes: str = "",
    error: Callable[[str], Exception] = RequestError,
) -> Any:
    """Returns a number from outside as a float, or with `whole` as an int.

    `takes`: the range in words, where that is not LOW to HIGH.

    Raises `error`: "NAME takes 0 to 1, not 2".
    """
    if is_finite_number(value) and low <= value <= high:
        if not whole:
            return float(value)
        if value == int(value):
            return int(value)
        takes = takes or f"a whole number from {low:.0f} to {high:.0f}"
    digits = ".0f" if whole else "g"
    shown = f"{value:.7g}" if isinstance(value, float) else short_repr(value)
    raise error(f"{name} takes {takes or f'{low:{digits}} to {high:{digits}}'}, not {shown}")


def escape_unprintable(text: str) -> str:
    """The text on one line, with characters that are not printable as escapes: a control sequence becomes `\\x1b[2J`.

    Unescaped, a sender could clear the terminal that shows its message, or forge lines of a log.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
