"""Reads TOML as a type, finds the place of a key in its text for errors, and refuses what would take long to parse."""

import re
import tomllib
from pathlib import Path
from typing import TypeVar

from antiphon.kernel.errors import FileError, PatchError
from antiphon.kernel.runtime.paths import os_error_text
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.typed import Misfit, convert

T = TypeVar("T")
MAX_PARTS = 8
MAX_NESTING = 32

_QUOTED = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""'
    r"|'''(?:[^']|'(?!''))*'''"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\"'].*",  # from an open quote on, which the parser reports
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?:\.[^.\n=,\[\]{{}}]*){{{MAX_PARTS}}}")
_BRACKET = re.compile(r"[\[\]{}]")
_PART = re.compile(r"""\s*(?:"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)'|([A-Za-z0-9_-]+))\s*""")


def guard(text: str, source: str) -> None:
    """Raises PatchError for long dotted keys and deep nesting: the parser's time grows with the square of both."""
    bare = _QUOTED.sub(lambda quoted: "\n" * quoted[0].count("\n"), text)
    if long := _LONG_KEY.search(bare):
        line = bare.count("\n", 0, long.start()) + 1
        raise PatchError(f"{source}, line {line}: a key of more than {MAX_PARTS} parts is not a patch's")
    depth = 0
    for bracket in _BRACKET.finditer(bare):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_NESTING:
            line = bare.count("\n", 0, bracket.start()) + 1
            raise PatchError(f"{source}, line {line}: values nested more than {MAX_NESTING} deep are refused")


def read_toml(path: Path, kind: type[T], whole: str) -> T:
    """Reads a TOML file as a type.

    `kind`: a `msgspec.Struct`; a field's `Meta` describes its allowed values. `whole`: a name for the file, such as "a
    style". Raises FileError: it cannot be read or does not fit; the message names the file, the line and the key.
    """
    text = ""
    try:
        text = path.read_text("utf-8-sig")
        return convert(tomllib.loads(text), kind, whole)
    except Misfit as misfit:
        raise FileError(f"{place_of(path.name, text, misfit.path)}: {misfit.what}") from None
    except OSError as error:
        raise FileError(f"cannot read {path.name}: {os_error_text(error)}") from None
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path.name} is not TOML: {error}") from None


def place_of(source: str, text: str, path: tuple[str, ...]) -> str:
    """Text with file, line and key `path`, for an error message."""
    key = f", {short_repr('.'.join(path), 60)}" if path else ""
    return f"{source}, line {line_of(text, path)}{key}"


def line_of(text: str, path: tuple[str, ...]) -> int:
    """The line, from 1, of the key `path`, or of the nearest table that would contain it; 1 if there is none."""
    best, depth = 1, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            table = _parts(bare.lstrip("["))
            here = table
        else:
            key = _parts(bare)
            if not key:
                continue
            here = table + key
        same = _common(here, path)
        if here[: len(path)] == path:
            return number
        if same == len(here) and same > depth:
            best, depth = number, same
    return best


def _parts(text: str) -> tuple[str, ...]:
    """The parts of the key at the beginning of `text`; () when there is none."""
    parts: list[str] = []
    at = 0
    while len(parts) < MAX_PARTS:
        match = _PART.match(text, at)
        if match is None:
            return ()
        parts.append(next(group for group in match.groups() if group is not None))
        at = match.end()
        if text[at : at + 1] == ".":
            at += 1
        elif text[at : at + 1] in ("=", "]"):
            return tuple(parts)
        else:
            return ()
    return ()


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    count = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        count += 1
    return count
