"""Calls from Python: their sentences are in Python's terms; options of a command from arguments."""

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.terms import PROGRAM, speaking
from antiphon.kernel.runtime.typed import HALF

Function = TypeVar("Function", bound=Callable[..., Any])


def word_refusals(function: Function) -> Function:
    """Decorator of functions of the Python interface: refusals name Python's arguments."""

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        try:
            with speaking(PROGRAM):
                return function(*args, **named)
        except UnicodeEncodeError as error:  # a file, an option or a script in UTF-8 is made of what was given
            raise UsageError(f"{short_repr(error.object)} {HALF}") from None

    return call  # type: ignore[return-value]


def option_words(name: str, value: Any) -> list[str]:
    """Words of the command line that give an argument a value; none for an empty text, or a switch that is off."""
    option = f"--{name.replace('_', '-')}"
    if value is None or value is False or value == "":
        return []
    if value is True:
        return [option]
    if isinstance(value, list | tuple):
        return [word for each in value for word in (option, str(each))]
    return [option, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
