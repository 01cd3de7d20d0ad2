"""Terms of an interface: how a sentence names arguments, parameters, calls and files to the caller."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import PurePath
from types import MappingProxyType
from typing import NamedTuple, TypeVar

T = TypeVar("T")
VARIABLE = "ANTIPHON_TERMS"
"""Environment variable of a child process that speaks for another interface: `names` or `web`."""


class Terms(NamedTuple):
    """Terms of one interface.

    Attributes:
        names: Arguments that it calls otherwise.
        argument: Formats another argument.
        parameter: Formats a processor's parameter with a value.
        call: Formats a call of `run` or `render` by its command, name, files and options.
    """

    names: Mapping[str, str]
    argument: Callable[[str], str]
    parameter: Callable[[str, str], str]
    call: Callable[[str, str, tuple[str, ...], dict[str, object]], str]


def _type_call(command: str, name: str, files: tuple[str, ...], options: dict[str, object]) -> str:
    words = files if command == "run" else [f"--in {file}" for file in files]
    more = [f"-p {one}={value}" if command == "run" else f"--{one} {value}" for one, value in options.items()]
    return " ".join((f"antiphon {command} {name}", *words, *more))


def _write_parameter(name: str, value: str) -> str:
    return f'{name}="{value}"' if value.isalpha() and value.islower() else f"{name}={value}"


def _write_call(command: str, name: str, files: tuple[str, ...], options: dict[str, object]) -> str:
    out = [file for file in (*files[1:], str(options.pop("out", ""))) if file not in ("", "OUT")]
    placed = [f'"{name}"', *("sound" if file == "IN" else f'"{file}"' for file in files[:1])]
    named = [_write_parameter(one, str(value)) for one, value in options.items()]
    return f"antiphon.{command}({', '.join((*placed, *named, *(f'out={chr(34)}{file}{chr(34)}' for file in out)))})"


def _send_parameter(name: str, value: str) -> str:
    plain = (
        '{"file": ID}'
        if value == "FILE"
        else value
        if value.replace(".", "", 1).isdigit()
        else f'"{value.strip(chr(34))}"'
    )
    return f'"params": {{"{name}": {plain}}}'


_PROGRAM = {"source": "sound", "in": "sound", "target": "out=", "events": "notes", "rate": "resample"}
_WEB = {"source": "the file", "in": "the file", "target": "the result", "only": '"stems"', "midi_out": '"midi"'}
COMMAND_LINE = Terms(
    {"source": "IN", "target": "OUT"},
    lambda name: f"--{name.replace('_', '-')}",
    lambda name, value: f"-p {name}={value}",
    _type_call,
)
NAMES = Terms({}, str, _write_parameter, _write_call)
"""Arguments by their names, for callers of an operation."""
PROGRAM = Terms({**_PROGRAM, "force": "force=True", "no_limit": "limit=False"}, str, _write_parameter, _write_call)
"""Arguments of `antiphon.run` and `antiphon.render`."""
WEB = Terms(_WEB, lambda name: f'"{name}"', _send_parameter, lambda command, name, *_: f"POST /api/{command}/{name}")
"""Fields of a body."""

_OWN = {"names": NAMES, "web": WEB}.get(os.environ.get(VARIABLE, ""), COMMAND_LINE)
_TERMS: ContextVar[Terms] = ContextVar("_TERMS", default=_OWN)
_FILES: ContextVar[Mapping[str, str]] = ContextVar("_FILES", default=MappingProxyType(dict[str, str]()))


@contextmanager
def _hold(variable: ContextVar[T], value: T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def use_terms(terms: Terms) -> AbstractContextManager[None]:
    """Context in which sentences are in these terms."""
    return _hold(_TERMS, terms)


def hold_file_names(files: Mapping[str, str]) -> AbstractContextManager[None]:
    """Context in which sentences name files as the caller knows them. `files`: name by path; a folder's name stands for
    every file in it."""
    return _hold(_FILES, {**_FILES.get(), **files})


def known_name(path: str) -> str | None:
    """Name by which the caller knows the file at `path`; None if the caller knows it by its path."""
    if not (names := _FILES.get()):
        return None
    return next((names[place] for place in (path, *map(str, PurePath(path).parents)) if place in names), None)


def path_text(path: str | os.PathLike[str]) -> str:
    """Formats a path for a message: by the name that is known of it, or as one line of printable text."""
    text = os.fspath(path)
    if (known := known_name(text)) is not None:
        return known
    return text if text.isprintable() else text.encode("unicode_escape", "surrogatepass").decode("ascii")


def spell(name: str, value: str = "", flag: str = "") -> str:
    """Name of an argument in the caller's terms.

    "source" and "target" are IN and OUT. `value`: a value, or in capitals what it is, for the command line alone.
    `flag`: the option, where that is not the name.
    """
    terms = _TERMS.get()
    typed = terms is COMMAND_LINE
    word = terms.names.get(name) or (flag if typed and flag else terms.argument(name))
    return f"{word} {value}" if value and (typed or not value[0].isupper()) else word


def spell_parameter(name: str, value: object = "…") -> str:
    """A processor's parameter with a value, in those terms."""
    return _TERMS.get().parameter(name, str(value))


def spell_call(command: str, name: str, *files: str, **options: object) -> str:
    """A call of `run` (with parameters) or `render` (with options), in those terms."""
    return _TERMS.get().call(command, name, files, options)
