"""The table of words: functions on patterns under the names of Tidal and Strudel, each with an example.

A word is a function whose first argument is the pattern. It is a method of patterns, `p.linger(1/4)`, and without the
pattern a change to be passed on, `every(4, linger(1/4))`, in snake_case and camelCase.
"""

from __future__ import annotations

import builtins
import inspect
import keyword
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, TypeVar

from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.pattern import Pattern

F = TypeVar("F", bound=Callable[..., Any])
METHOD, MAKER = "method", "maker"
"""Of a pattern; makes a pattern."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of live scripts.

    Attributes:
        name: In snake_case.
        function: What it does; the first argument of a method is the pattern.
        kind: `METHOD` or `MAKER`.
        group: Of the reference.
        example: An expression that can be tried.
        names: All spellings.
    """

    name: str
    function: Callable[..., Any]
    kind: str
    group: str
    example: str
    names: tuple[str, ...]

    @property
    def doc(self) -> str:
        """What it does, in a line."""
        return " ".join((inspect.getdoc(self.function) or "").partition("\n\n")[0].split())


WORDS: dict[str, Word] = {}
"""By their snake_case name."""


def camel(name: str) -> str:
    """`loop_at` as `loopAt`."""
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda found: found[1].upper(), name)


def register(function: F, kind: str, group: str, example: str, also: tuple[str, ...] = (), owner: type = Pattern) -> F:
    """Puts a function into the table. also: further names. owner: the patterns that it is a method of."""
    name = function.__name__
    names = tuple(dict.fromkeys(x for n in (name, *also) for x in (n, camel(n))))
    WORDS[name] = Word(name, function, kind, group, example, names)
    if kind == METHOD:
        for spelling in names:
            if spelling not in vars(owner):
                setattr(owner, spelling, function)
    return function


def word(group: str, example: str, *also: str, owner: type = Pattern) -> Callable[[F], F]:
    """Makes a function a method of patterns and a change: `@word("time", 's("bd sd").linger(1/2)')`."""
    return lambda function: register(function, METHOD, group, example, also, owner)


def control_word(group: str, example: str, *also: str) -> Callable[[F], F]:
    """As `word`, for patterns of what is played only."""
    return word(group, example, *also, owner=ControlPattern)


def maker(group: str, example: str, *also: str) -> Callable[[F], F]:
    """Makes a function a word that makes a pattern."""
    return lambda function: register(function, MAKER, group, example, also)


def as_change(function: Callable[..., Any], spelling: str = "") -> Callable[..., Any]:
    """A method as a change: `linger(1/4)` for later, or at once where a pattern comes last, `linger(1/4, p)`."""
    name = spelling or function.__name__
    parameters = list(inspect.signature(function).parameters.values())[1:]
    bare = not any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    most = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    several = any(p.kind is p.VAR_POSITIONAL for p in parameters)

    @wraps(function)
    def change(*args: Any, **values: Any) -> Any:
        if args and isinstance(args[-1], Pattern) and (len(args) > most or (bare and len(args) == 1 and not several)):
            return getattr(args[-1], name)(*args[:-1], **values)
        if args and isinstance(args[0], Pattern) and len(args) == most + 1:  # the pattern first
            return getattr(args[0], name)(*args[1:], **values)
        try:  # what is wrong is said where it is written
            inspect.signature(function).bind(None, *args, **values)
        except TypeError as error:
            raise TypeError(f"{name}() got: {error}") from None
        return partial(_apply, name, args, values)

    vars(change).pop("__wrapped__")
    vars(change)["__signature__"] = inspect.Signature(parameters)
    return change


def _apply(name: str, args: tuple[Any, ...], values: dict[str, Any], pattern: Any) -> Any:
    return getattr(pattern, name)(*args, **values)


def exported(taken: dict[str, Any]) -> dict[str, Any]:
    """The words of the table by all their spellings, for scripts.

    Args:
        taken: Words that stay as they are; the camelCase of each is added.

    Returns:
        Names that are no keywords, and none of Python's own.
    """
    found = {camel(name): value for name, value in taken.items() if camel(name) not in taken}
    for entry in WORDS.values():
        for spelling in entry.names:
            free = spelling not in taken and not keyword.iskeyword(spelling) and not hasattr(builtins, spelling)
            if free:
                found[spelling] = entry.function if entry.kind == MAKER else as_change(entry.function, spelling)
    return found


def camel_methods() -> None:
    """Gives the methods with an underscore their camelCase name too."""
    for owner in (Pattern, ControlPattern):
        for name, value in list(vars(owner).items()):
            if not name.startswith("_") and "_" in name and callable(value) and camel(name) not in vars(owner):
                setattr(owner, camel(name), value)
