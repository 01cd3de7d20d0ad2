"""Calls from Python: their sentences are in Python's terms; options of a command from arguments."""

import functools
import inspect
import numbers
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.terms import PROGRAM, use_terms
from antiphon.kernel.runtime.typed import HALF

Function = TypeVar("Function", bound=Callable[..., Any])
Class = TypeVar("Class")


def word_refusals(function: Function) -> Function:
    """Decorator of functions of the Python interface: refusals name Python's arguments; types as `check_arguments`."""
    function = _checked(function)

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        try:
            with use_terms(PROGRAM):
                return function(*args, **named)
        except UnicodeEncodeError as error:  # a file, an option or a script in UTF-8 is made of what was given
            raise UsageError(f"{short_repr(error.object)} {HALF}") from None

    return call  # type: ignore[return-value]


def check_arguments(kind: type[Class]) -> type[Class]:
    """Decorator of classes: an argument of a public method that is none of its simple types is one sentence."""
    for name, method in list(vars(kind).items()):
        if inspect.isfunction(method) and (not name.startswith("_") or name == "__getitem__"):
            setattr(kind, name, _checked(method))
    return kind


def _checked(method: Function) -> Function:
    signature = inspect.signature(method)
    words = {
        name: str(each.annotation).split(" | ")
        for name, each in signature.parameters.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)  # others have names that no caller wrote
    }
    allowed = {
        name: kinds for name, kinds in words.items() if _KINDS.keys() >= {*kinds} and len({*kinds} - _BESIDE) == 1
    }

    @functools.wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        try:
            given = signature.bind(*args, **named).arguments
        except TypeError:
            return method(*args, **named)  # its own error names it
        for name, value in given.items():
            kinds = [_KINDS[word] for word in allowed.get(name, ())]
            if kinds and not any(fits(value) for _, fits in kinds):
                raise UsageError(f"{name} takes {' or '.join(what for what, _ in kinds)}, not {short_repr(value)}")
        return method(*args, **named)

    return call  # type: ignore[return-value]


def _is_number(value: object) -> bool:
    if not isinstance(value, numbers.Real) and getattr(value, "ndim", None) != 0:  # an array or a tensor of one
        return False
    try:
        return bool(-_LARGEST <= value <= _LARGEST)  # type: ignore[operator]
    except TypeError:  # an array of a text
        return False


_LARGEST = 3e38
_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "float": ("a number", _is_number),
    "int": ("a whole number", lambda value: _is_number(value) and value == int(value)),
    "str": ("a text", lambda value: isinstance(value, str)),
    "bool": ("True or False", lambda value: isinstance(value, bool | np.bool_ | numbers.Integral)),
    "os.PathLike[str]": ("a path", lambda value: isinstance(value, os.PathLike)),
    "None": ("None", lambda value: value is None),
}
_BESIDE = {"None", "os.PathLike[str]"}
"""What an argument takes, and whether a value is that, by the name of a type."""


def option_words(name: str, value: Any) -> list[str]:
    """Words of the command line that give an argument a value; none for an empty text, or a switch that is off.

    Raises UsageError: it is no text, path, finite number or sequence of these.
    """
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool | np.bool_):
        return [option] if value else []
    if value is None or (isinstance(value, str) and not value):
        return []
    if isinstance(value, list | tuple):
        return [word for each in value for word in option_words(name, each)]
    if not isinstance(value, str | os.PathLike) and not _is_number(value):
        raise UsageError(f"{name} takes a text, a path, a number or a list of these, not {short_repr(value)}")
    return [option, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
