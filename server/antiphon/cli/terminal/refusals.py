"""Errors of the command-line library as one sentence: the option, its allowed values, the value given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import typer

_WHOLE, _NUMBER = "a whole number", "a number"


def sentence(error: BaseException, arguments: Sequence[str]) -> str:
    """The error message, without its full stop. arguments: the words of the command line, to quote the invalid one."""
    text = str(getattr(error, "format_message", lambda: error)()).rstrip(".")
    param = getattr(error, "param", None)
    if not isinstance(error, typer.BadParameter) or param is None:
        return text
    name, given, taken = max(param.opts, key=len), _given(param.opts, arguments), _taken(param)
    if given is None or not taken:
        return text
    return f"{name} takes {taken}, not {given!r}"


def _given(options: Sequence[str], arguments: Sequence[str]) -> str | None:
    """The word after the last of these options, or behind its equals sign."""
    given = None
    for place, word in enumerate(arguments):
        option, equals, value = word.partition("=")
        if word in options:
            given = arguments[place + 1] if place + 1 < len(arguments) else None
        elif equals and option in options:
            given = value
    return given


def _taken(param: Any) -> str:
    """The allowed values of a typed parameter, "" for one that takes any text."""
    kind, low, high = _declared(param)
    if not kind:
        return ""
    if low is not None and high is not None:
        return f"{kind} from {low:g} to {high:g}"
    if low is not None:
        return f"{kind} from {low:g} on"
    doc = (getattr(param, "help", None) or "").rstrip(".")
    return f"{kind} ({doc})" if doc else kind


def _declared(param: Any) -> tuple[str, float | None, float | None]:
    """(kind, least, most). typer keeps its own declaration in some versions, its library's type in others."""
    described = getattr(param, "type_descriptor", None)
    if described is None:
        of = getattr(param, "type", None)
        name = str(getattr(of, "name", "")).removesuffix(" range")
        kind = {"int": _WHOLE, "integer": _WHOLE, "float": _NUMBER}.get(name, "")
        return kind, getattr(of, "min", None), getattr(of, "max", None)
    annotation = next(iter(get_args(described.annotation)), described.annotation)
    kind = {int: _WHOLE, float: _NUMBER}.get(annotation, "")
    return kind, described.parameter_info.min, described.parameter_info.max
