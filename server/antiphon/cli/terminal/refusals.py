"""Errors of the command-line library as one sentence: the option, its allowed values, the value given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args

import typer

from antiphon.kernel.runtime.suggestion import list_names, suggest

_EXTRA = re.compile(r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)")
_COMMAND = re.compile(r"No such command '(.*?)'")
_SYNONYMS = {
    "find": "search",
    "import": "add",
    "index": "add",
    "ls": "list",
    "nodes": "plugins",
    "scan": "add",
    "start": "serve",
    "tag": "label",
}
"""Commands that other programs have, and ours that do the same."""
_WHOLE, _NUMBER = "a whole number", "a number"


def sentence(error: BaseException, arguments: Sequence[str]) -> str:
    """The error message, without its full stop. arguments: the words of the command line, to quote the invalid one."""
    text = str(getattr(error, "format_message", lambda: error)()).rstrip(".")
    context = getattr(error, "ctx", None)
    if context is not None and (found := _EXTRA.fullmatch(text)):
        return _extra(context, found[1])
    if context is not None and (found := _COMMAND.match(text)):
        return _command(context, found[1])
    param = getattr(error, "param", None)
    if not isinstance(error, typer.BadParameter) or param is None:
        return text
    name, given, taken = max(param.opts, key=len), _given(param.opts, arguments), _taken(param)
    if given is None or not taken:
        return text
    return f"{name} takes {taken}, not {given!r}"


def _extra(context: Any, words: str) -> str:
    """Words that a command does not take: too many, or the value of an option that has taken another option as its."""
    options = {name for param in context.command.params for name in getattr(param, "opts", ())}
    for param in context.command.params:
        value = context.params.get(param.name)
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, str) and one.startswith("-") and one in options:
                return f"{max(param.opts, key=len)} takes a value, and {one} follows it"
    taken = [param.name for param in context.command.params if getattr(param, "param_type_name", "") == "argument"]
    takes = f"only {' and '.join(taken)}, and options" if taken else "only options"
    return f"{context.info_name} takes {takes}, not {words}"


def _command(context: Any, word: str) -> str:
    known = context.command.list_commands(context)
    other = _SYNONYMS.get(word, "")
    hint = f"did you mean {other}? " if other in known else suggest(word, known)
    return f"there is no command {word!r}; {hint}there are: {list_names(known)}"


def _given(options: Sequence[str], arguments: Sequence[str]) -> str | None:
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
