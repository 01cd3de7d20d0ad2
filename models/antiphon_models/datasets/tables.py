"""Reads the tables and lists of data sets (csv, tsv, json, lines), bounded in size."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from antiphon.api import FileError
from antiphon.api.backends.files import reason_of_os_error

MAX_BYTES = 1 << 30
"""Maximum bytes of a table: FMA's largest has 260 MB."""
MAX_FIELD_LETTERS = 1 << 20
"""Maximum characters of a field."""


def lines(path: Path, *, stripped: bool = True) -> list[str]:
    """Non-empty lines of a list; `stripped`: without blanks at both ends. Raises `FileError`: it cannot be read."""
    every = _text(path).splitlines()
    return [line for line in ((raw.strip() for raw in every) if stripped else every) if line]


def rows(path: Path, separator: str = ",") -> list[dict[str, str]]:
    """Rows of a table by column name. Raises `FileError`: it cannot be read, or is no table."""
    reader = _reader(path, separator)
    try:
        head = next(reader, None)
        if not head:
            raise FileError(f"{path} is empty: a table with a line of names was expected")
        return [dict(zip(head, row, strict=False)) for row in reader if row]
    except csv.Error as error:
        raise FileError(f"{path} is not a table: {error}") from None


def plain_rows(path: Path, separator: str = ",") -> list[list[str]]:
    """Rows of a table as lists. Raises `FileError`: it cannot be read, or is no table."""
    try:
        return [row for row in _reader(path, separator) if row]
    except csv.Error as error:
        raise FileError(f"{path} is not a table: {error}") from None


def json_object(path: Path) -> dict[str, Any]:
    """A JSON object. Raises `FileError`: it cannot be read, or is not an object."""
    value = _json(path)
    if not isinstance(value, dict):
        raise FileError(f"{path} holds no JSON object")
    return value


def json_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table in JSON: a list of objects, or an object of columns indexed by row number.

    Raises `FileError`: it cannot be read, or is neither.
    """
    value = _json(path)
    if isinstance(value, dict) and all(isinstance(column, dict) for column in value.values()):
        numbers = list(next(iter(value.values()), {}))
        value = [{name: column.get(number) for name, column in value.items()} for number in numbers]
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise FileError(f"{path} holds no table: a list of objects, or an object of columns")
    return [{str(name): str(cell) for name, cell in row.items()} for row in value]


def digests(path: Path, kind: str) -> dict[str, str]:
    """Digests by file, as "KIND:DIGEST", from a list in sha1sum's format; empty if there is no list."""
    if not path.is_file():
        return {}
    pairs = (line.split(maxsplit=1) for line in lines(path))
    return {pair[1].lstrip("*"): f"{kind}:{pair[0]}" for pair in pairs if len(pair) == 2}


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not JSON: {error}") from None


def _reader(path: Path, separator: str) -> Iterator[list[str]]:
    csv.field_size_limit(MAX_FIELD_LETTERS)
    return csv.reader(_text(path).splitlines(keepends=True), delimiter=separator)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"{path} has more than {MAX_BYTES >> 20} MB: it cannot be a list of this data set")
        return path.read_text("utf-8-sig", errors="replace")
    except OSError as error:
        raise FileError(f"cannot read {path}: {reason_of_os_error(error)}") from None
