"""Source positions of events in a script: a word of a mini-notation, or a call of `play`.

A position is looked up once, when a pattern is created, from the script's current frame; events of patterns carry it.
Without an active `ScriptPlaces` (`seeking`), as in a render, nothing is looked up, and events have no positions.
Positions do not affect playback: events that differ only in them are equal.
"""

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from types import CodeType
from typing import TypeAlias

Place: TypeAlias = tuple[int, int, int]
"""Number of the script's version, then start and end character, counted from 0."""
Places: TypeAlias = tuple[Place, ...]
MAX_PLACES = 12
"""Maximum positions of one event."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Highlight of an event in a script's text, for displays.

    `length`: length of the event, in beats; `places`: its positions in the script.
    """

    length: Fraction
    places: Places


class ScriptPlaces:
    """Position lookup in the text of one version of a script."""

    def __init__(self, path: str, source: str, version: int) -> None:
        self._path, self._source, self._version = path, source, version
        self._lines = source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._texts: dict[str, list[int]] | None = None
        self._calls: dict[tuple[int, int], tuple[CodeType, tuple[int, int] | None]] = {}

    def call(self) -> Places:
        """Call of the script's innermost frame; () if none of its frames runs."""
        found = self._span()
        return () if found is None else ((self._version, *found),)

    def text(self, text: str) -> int | None:
        """Start of a quoted text in the current call, or of the only equal one of the script; None if ambiguous."""
        if self._texts is None:
            self._texts = self._found()
        starts, span = self._texts.get(text, []), self._span()
        if span is not None:
            inside = [start for start in starts if span[0] <= start < span[1]]
            if inside:
                return inside[-1]  # of a track, the name stands before the pattern
        return starts[0] if len(starts) == 1 else None

    def words(self, start: int, column: int, length: int) -> Places:
        """Position of a word of a text that starts at `start`."""
        return ((self._version, start + column, start + column + length),)

    def _span(self) -> tuple[int, int] | None:
        frame = sys._getframe(1)
        while frame.f_code.co_filename != self._path:
            if frame.f_back is None:
                return None
            frame = frame.f_back
        key = id(frame.f_code), frame.f_lasti
        if key not in self._calls:
            line, last, column, end = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
            span = None
            if line is not None and last is not None and column is not None and end is not None:
                span = self._offset(line, column), self._offset(last, end)
            self._calls[key] = frame.f_code, span  # the code is kept, so that no other one has its id
        return self._calls[key][1]

    def _offset(self, line: int, column: int) -> int:
        if not 1 <= line <= len(self._lines):
            return 0
        text = self._lines[line - 1]
        return self._starts[line - 1] + (
            column if text.isascii() else len(text.encode()[:column].decode("utf-8", "ignore"))
        )

    def _found(self) -> dict[str, list[int]]:
        """Verbatim string literals of the script, without escapes and in one piece."""
        found: dict[str, list[int]] = {}
        for node in ast.walk(ast.parse(self._source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.end_lineno is not None:
                first = self._offset(node.lineno, node.col_offset)
                written = self._source[first : self._offset(node.end_lineno, node.end_col_offset or 0)]
                start = written.find(node.value)
                if node.value and written.endswith(("'", '"')) and 0 < start <= 5:
                    found.setdefault(node.value, []).append(first + start)
        for starts in found.values():
            starts.sort()
        return found


_current: ContextVar[ScriptPlaces | None] = ContextVar("places", default=None)


@contextmanager
def seeking(places: ScriptPlaces | None) -> Iterator[None]:
    """Context manager that records positions of patterns in the script's text; None records none."""
    token = _current.set(places)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> ScriptPlaces | None:
    """Active recorder of positions; None without one."""
    return _current.get()


def of_call() -> Places:
    """Position of the script's current call; () without an active recorder."""
    found = _current.get()
    return () if found is None else found.call()


def join_places(one: Places, other: Places) -> Places:
    """Union of positions."""
    if not other or one == other:
        return one
    if not one:
        return other
    return (*one, *(place for place in other if place not in one))[:MAX_PLACES]


def mark(places: Places, length: Fraction) -> Mark | None:
    """Highlight of an event; None for one without positions."""
    return Mark(length, places) if places else None
