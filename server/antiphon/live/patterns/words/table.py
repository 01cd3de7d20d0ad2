"""The table of words, `words.txt`: functions on patterns under the names of Tidal and Strudel, each with an example.

A line has the name in snake_case, the kind, further names, an example and a description. A word is a function whose
first argument is the pattern: a method, `p.linger(1/4)`, and without the pattern a change to be passed on, `every(4,
linger(1/4))`, in snake_case and camelCase. Words of kind `played` are methods of control patterns only; words of kind
`maker` make a pattern. In the chapter `notes`, a word without a function sets the notes' value of its name.
"""

from __future__ import annotations

import builtins
import inspect
import keyword
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns.arguments import Argument
from antiphon.live.patterns.controls import ControlPattern, unnamed, values_of
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.words.samples import convert_hertz_to_notes


@dataclass(frozen=True, slots=True)
class TableWord:
    """A word of live scripts. `function` gets the pattern first; `example` is executable."""

    name: str
    function: Callable[..., Any]
    kind: str
    group: str
    example: str
    names: tuple[str, ...]
    doc: str


WORDS: dict[str, TableWord] = {}
"""Words by their snake_case name."""
UNSUPPORTED_WORDS: dict[str, str] = {}
"""Unsupported words of Tidal and Strudel, with their substitutes."""
_SHOWN_REMARKS: set[str] = set()
"""Remarks already printed, such as those on words without effect; kept by forks, so that each appears once."""
_PLAIN = ("int", "float", "Number")
"""Annotations of arguments that are not patterns; a pattern in such a place is the one to change."""
NO_EFFECT_PREFIX = "Nothing: "
"""Prefix of remarks on words without effect."""


def to_camel_case(name: str) -> str:
    """Converts `loop_at` to `loopAt`."""
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda found: found[1].upper(), name)


def load(modules: tuple[ModuleType, ...]) -> None:
    """Fills the table, and makes its words methods. `modules`: define the functions, or list them in `EXTRA_WORDS`."""
    group = ""
    for line in Path(__file__).with_name("words.txt").read_text().splitlines():
        if line.startswith("["):
            group = line.strip("[]")
            continue
        if group == "not here":
            lacking, _, instead = line.partition(" | ")
            UNSUPPORTED_WORDS[lacking] = instead
            continue
        name, kind, also, example, doc = (part.strip() for part in line.split(" |"))
        function = next((found for module in modules if (found := _defined(module, name))), None)
        function = function or getattr(ControlPattern, name, None)
        nothing, doc = doc.startswith(NO_EFFECT_PREFIX), doc.removeprefix(NO_EFFECT_PREFIX)
        function = function or (_nothing(doc) if nothing else _make_value_setter(name))
        if doc:
            function.__doc__, function.__qualname__ = doc, name  # as errors of calls name it
        names = tuple(dict.fromkeys(x for n in (name, *also.split()) for x in (n, to_camel_case(n))))
        says = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
        WORDS[name] = TableWord(name, function, kind, group, example, names, says)
        owner = ControlPattern if kind == "played" or name in vars(ControlPattern) else Pattern
        for spelling in names if kind != "maker" else ():
            if spelling not in vars(owner):
                setattr(owner, spelling, function)


def extend_plain_patterns() -> None:
    """Adds the words of control patterns to plain patterns, whose values `note` or `s` names later."""
    for name in dir(ControlPattern):
        if not name.startswith("_") and not hasattr(Pattern, name):
            setattr(Pattern, name, _wrap_unnamed_method(name))


def _wrap_unnamed_method(name: str) -> Callable[..., Any]:
    @wraps(getattr(ControlPattern, name))
    def function(p: Any, *args: Any, **values: Any) -> Any:
        return getattr(unnamed(p), name)(*args, **values)

    return function


def _defined(module: ModuleType, name: str) -> Any:
    found = vars(module).get("EXTRA_WORDS", {}).get(name) or vars(module).get(name)
    return found if isinstance(found, FunctionType) else None


def _make_value_setter(name: str) -> Callable[..., Any]:
    def function(p: Any, value: Argument) -> Any:
        return p.set(**{name: value})

    return function


def print_remark_once(sentence: str) -> None:
    """Prints a remark of a performance, unless it has been printed."""
    if sentence not in _SHOWN_REMARKS:
        _SHOWN_REMARKS.add(sentence)
        print(sentence)


def _nothing(sentence: str) -> Callable[..., Any]:
    def function(p: Any, *_: Any, **__: Any) -> Any:
        print_remark_once(sentence)
        return p

    return function


class Change:
    """A word without its pattern, such as `fast(2)`: a function of a pattern. Further words may follow it."""

    def __init__(self, *steps: tuple[str, tuple[Any, ...], dict[str, Any]]) -> None:
        """steps: name, arguments and values of each word."""
        self._steps = steps
        self.__name__ = steps[0][0]

    def __call__(self, pattern: Any) -> Any:
        for name, args, values in self._steps:
            pattern = getattr(pattern, name)(*args, **values)
        return pattern

    def __getattr__(self, name: str) -> Callable[..., Change]:
        if name.startswith("_") or not hasattr(ControlPattern, name):
            raise AttributeError(name=name, obj=self)
        return lambda *args, **values: Change(*self._steps, (name, args, values))

    def played(self) -> ControlPattern | None:
        """The pattern of a change that begins with a note value, such as `ccv("0 64").ccn(1)`; None for any other."""
        (name, args, values), rest = self._steps[0], self._steps[1:]
        word = next((word for word in WORDS.values() if name in word.names), None)
        if word is None or len(args) != 1 or values or not (word.group == "notes" or word.name == "freq"):
            return None
        hertz = word.name == "freq"
        first = convert_hertz_to_notes(args[0]) if hertz else ControlPattern(values_of(word.name, args[0]))
        return Change(*rest)(first) if rest else first


def make_delayed_change(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Makes a change of a method: `linger(1/4)` is applied later; with a final pattern, `linger(1/4, p)`, at once."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    bare = all(p.default is not p.empty for p in parameters)  # none is needed, and none takes anything
    plain = [p.annotation in _PLAIN for p in parameters]
    most = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)

    @wraps(function)
    def change(*args: Any, **values: Any) -> Any:
        last = args[-1] if args else None
        if isinstance(last, Change) and len(args) > most:
            inner = last.__name__
            form = f'{name}(…, {inner}(…, s("bd*4")))'
            raise UsageError(f"{name}(…) changes a pattern, and {inner}(…) in it has none; write {form}")
        if isinstance(last, Pattern) and (len(args) > most or (bare and len(args) == 1) or plain[len(args) - 1]):
            return getattr(args[-1], name)(*args[:-1], **values)
        if args and isinstance(args[0], Pattern) and len(args) == most + 1:  # the pattern first
            return getattr(args[0], name)(*args[1:], **values)
        try:
            inspect.signature(function).bind(None, *args, **values)
        except TypeError as error:
            raise TypeError(f"{name}() got: {error}") from None
        return Change((name, args, values))

    vars(change).pop("__wrapped__")
    vars(change)["__signature__"] = inspect.Signature(parameters)
    return change


def export_words(taken: dict[str, Any]) -> dict[str, Any]:
    """Words of the table in all spellings, and the words of `taken`, unchanged, in camelCase."""
    found = {to_camel_case(name): value for name, value in taken.items() if to_camel_case(name) not in taken}
    for entry in WORDS.values():
        for spelling in entry.names:
            if spelling not in taken and not keyword.iskeyword(spelling) and not hasattr(builtins, spelling):
                maker = entry.kind == "maker"
                found[spelling] = entry.function if maker else make_delayed_change(entry.function, spelling)
    return found
