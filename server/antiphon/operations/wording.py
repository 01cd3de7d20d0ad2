"""Rewords sentences for Python programs: arguments in place of options, calls in place of commands."""

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from antiphon.kernel.errors import AntiphonError, UsageError
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.typed import HALF

Function = TypeVar("Function", bound=Callable[..., Any])
_FILES = {
    "in.wav": "the sound",
    "in.mid": "what was given",
    "played.mid": "the notes",
    "notes.mid": "the result's .notes",
}
"""Words for internal files."""
_ARGUMENTS = {"in": "sound", "events": "notes", "rate": "resample", "force": "force=True", "no_limit": "limit=False"}
"""Arguments with other names than their options."""
_WORD = r"[^\s;,)`]+"
_CALL = re.compile(
    rf"`?antiphon (run|render) ({_WORD})((?: (?:-p {_WORD}|--[a-z-]+ {_WORD}|[A-Z]+(?:\.\w+)?(?![^\s;,)`])))*)`?"
)
"""Matches a command with its words: a lower-case word not preceded by an option is the sentence's next word."""
_AT = r"(?<![\w'\"/.-])"
"""Lookbehind: not within a name or a given text."""
_OPTION = re.compile(rf"`antiphon [^`]*`|{_AT}--([a-z][a-z-]*)(?: [A-Z]+(?:\.\w+)?\b)?")
"""Matches an option, except in a command that is named in full."""
_PARAM, _ENDS = re.compile(rf"{_AT}-p (\w+)=([a-z]+\b)?"), re.compile(rf"{_AT}(IN|OUT)(?![\w'\"/.-])")


_GIVEN: ContextVar[tuple[str, ...]] = ContextVar("_GIVEN", default=())
"""Names of files given to the call, which stay unchanged."""


def worded(text: str, folder: Path | None = None) -> str:
    """Rewords a sentence for a program. `folder`: folder of files that the program does not know."""
    if folder is not None:
        for file, words in _FILES.items():
            text = text.replace(f"{folder}/{file}", words)
        text = re.sub(rf"{re.escape(str(folder))}/[\w.-]+", "the result", text)
    if not (given := _GIVEN.get()):
        return _reword_for_python(text)
    parts = re.split(f"({'|'.join(map(re.escape, given))})", text)
    return "".join(part if place % 2 else _reword_for_python(part) for place, part in enumerate(parts))


def _reword_for_python(text: str) -> str:
    text = text.replace("(see: antiphon serve --help)", "(see: help(antiphon.Server))")
    text = _OPTION.sub(lambda found: _argument(found[1]) if found[1] else found[0], _CALL.sub(_call, text))
    return _ENDS.sub(lambda found: "sound" if found[1] == "IN" else "out=", _PARAM.sub(_value, text))


@contextmanager
def in_words(folder: Path | None = None) -> Iterator[None]:
    """Context in which refusals are reworded for a program."""
    try:
        yield
    except AntiphonError as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (worded(error.args[0], folder), *error.args[1:])
        raise


def called(function: Function) -> Function:
    """Decorator of functions of the Python interface: refusals name Python's arguments, and quote the caller's texts
    unchanged.
    """

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        token = _GIVEN.set((*_GIVEN.get(), *_names((*args, *named.values()))))
        try:
            with in_words():
                return function(*args, **named)
        except UnicodeEncodeError as error:  # a file, an option or a script in UTF-8 is made of what was given
            raise UsageError(f"{short_repr(error.object)} {HALF}") from None
        finally:
            _GIVEN.reset(token)

    return call  # type: ignore[return-value]


def _names(given: Iterable[Any]) -> Iterator[str]:
    """Yields paths in arguments, and their last parts, that could be mistaken for words of the command line."""
    for value in given:
        if isinstance(value, list | tuple):
            yield from _names(value)
        elif isinstance(value, str | os.PathLike):
            path = str(value)
            yield from (name for name in (path, os.path.basename(path)) if name and _reword_for_python(name) != name)


def _argument(option: str) -> str:
    name = option.replace("-", "_")
    return _ARGUMENTS.get(name, name)


def _value(param: re.Match[str]) -> str:
    """Formats a parameter and its value; words are quoted."""
    return f'{param[1]}="{param[2]}"' if param[2] else f"{param[1]}="


def _sound(file: str) -> str:
    return "sound" if file == "IN" else f'"{file}"'


def _call(command: re.Match[str]) -> str:
    """The call that does what a command does: antiphon.render("set.py", bars=8, out="set.wav")."""
    placed, named, files = [f'"{command[2]}"'], [], []
    words = iter(command[3].split())
    for word in words:
        if word == "-p":
            named.append(_PARAM.sub(_value, f"-p {next(words)}"))
        elif not word.startswith("--"):
            files.append(word)
        elif word == "--in":
            placed.append(_sound(next(words)))
        elif (value := next(words)) != "OUT":
            named.append(f"{_argument(word[2:])}={value if value.replace('.', '').isdigit() else repr(value)}")
    if len(files) > 1:
        placed.append(_sound(files[0]))
    named += [f'out="{file}"' for file in files[1:] or files if file != "OUT"]
    return f"antiphon.{command[1]}({', '.join((*placed, *named))})".replace("'", '"')


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
