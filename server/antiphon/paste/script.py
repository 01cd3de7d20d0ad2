"""Builds a live script: lines, tracks, and reasons for omissions."""

from __future__ import annotations

import ast
import functools
import json
import keyword
import operator
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO

WIDTH = 100
PATCH = "strudel"
"""Patch of translated programs: it plays sounds by name at any pitch, including drums."""


INVALID_STATEMENT_ERRORS = (AttributeError, IndexError, KeyError, TypeError, ValueError, ArithmeticError)
"""Exceptions of an invalid statement: a word without its arguments, or too large a number."""


class UnknownPartError(Exception):
    """Reason why a part of a program has no counterpart."""


@dataclass(frozen=True, slots=True)
class CallChain:
    """A pattern and its changes, such as `s("bd")` and `.fast(2)`."""

    head: str
    links: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.head + "".join(self.links)

    def with_link(self, link: str) -> CallChain:
        """Returns the chain with one more change."""
        return CallChain(self.head, (*self.links, link))


@dataclass(slots=True)
class Script:
    """Lines of a script."""

    tempo: str = ""  # beats per minute
    dialect: str = "strudel"
    lines: list[str] = field(default_factory=list)
    everything: list[str] = field(default_factory=list)  # changes of all tracks, as expressions of functions
    left_out: list[str] = field(default_factory=list)  # parts without a counterpart, each with its reason
    packs: frozenset[str] = frozenset()  # of the packs in the library, by `pack_key`
    imports: set[str] = field(default_factory=set)  # modules of Python that it needs
    pending: list[str] = field(default_factory=list)
    tracks: dict[str, range] = field(default_factory=dict)
    soloed: list[str] = field(default_factory=list)  # names of tracks
    head: int = 0  # lines of the text before these

    def drop(self, part: str, reason: str) -> None:
        """Records an omitted part, for a comment before its statement."""
        shown = " ".join(part.split())
        self.pending.append(f"# {shown[:72]}{' …' if len(shown) > 72 else ''}: {reason}")

    def comment(self, text: str, reason: str) -> None:
        """Keeps a whole statement as a comment."""
        self.pending.append(f"# {reason}:")
        self.pending += [f"#   {line}" for line in text.splitlines() if line.strip()]
        self.flush()

    def refuse(self, text: str, error: Exception) -> None:
        """Keeps a statement that cannot be translated as a comment."""
        self.pending.clear()
        self.comment(text, str(error) if isinstance(error, UnknownPartError) else "it cannot be read")

    def flush(self) -> None:
        """Writes the pending comments before the next line."""
        self.left_out += [line for line in self.pending if not line.startswith("#   ")]
        self.lines += self.pending
        self.pending.clear()

    def add(self, *lines: str) -> None:
        """Adds lines of code."""
        self.flush()
        self.lines += lines

    def track(self, name: str, pattern: CallChain | str, *, replaces: bool = False) -> str:
        """Adds a track for a pattern: under a name, a numbered one if taken, or in its place. Returns the name."""
        if replaces and name in self.tracks:
            self.replace(name)
        elif not name or name in self.tracks:
            stem = name or "track"
            name = next(f"{stem}{n}" for n in range(1, 10_000) if f"{stem}{n}" not in self.tracks)
        self.flush()
        first = len(self.lines)
        shown = json.dumps(name, ensure_ascii=False)
        self.add(*wrap_line(f"track({shown}, {pattern})", pattern, "track(", f"    {shown},"))
        self.tracks[name] = range(first, len(self.lines))
        return name

    def replace(self, name: str) -> None:
        """Comments out a track, if there is one of the name."""
        for at in self.tracks.pop(name, ()):
            self.lines[at] = f"# {self.lines[at]}"

    def silence(self, first: int, last: int, reason: str) -> bool:
        """Comments out lines of the text, a statement that cannot be played; returns False if they are in its head."""
        at, found = self.head, list[int]()
        for place, line in enumerate(self.lines):
            end = at + line.count("\n") + 1
            if at < last and end >= first:
                found.append(place)
            at = end
        if first <= self.head or not found:
            return False
        for place in found:
            self.lines[place] = "\n".join(f"#   {line}" for line in self.lines[place].split("\n"))
        self.left_out.append(f"# {reason}:")
        self.lines[found[0]] = f"# {reason}:\n{self.lines[found[0]]}"
        self.tracks = {name: where for name, where in self.tracks.items() if where.start not in found}
        return True

    def text(self) -> str:
        """The script as a file."""
        head = ['"""A program of another language, translated; what has no counterpart stands as a comment."""', ""]
        head += [f"import {name}" for name in sorted(self.imports)] + ([""] if self.imports else [])
        head += [
            "from antiphon.live import *\n",
            f'patch("{PATCH}")',
            f'dialect("{self.dialect}")',
            *([self.tempo] if self.tempo else []),
            "",
        ]
        lines = list(self.lines)
        if self.everything:
            change = "lambda p: " + functools.reduce(lambda text, change: f"({change})({text})", self.everything, "p")
            lines = [line.replace("track(", "play_all(", 1) if line.startswith("track(") else line for line in lines]
            head += [f"everything = {change}", "", "", "def play_all(name, pattern):"]
            head += ["    track(name, everything(pattern))", "", ""]
        self.head = "\n".join(head).count("\n") + 1
        if soloed := [json.dumps(name, ensure_ascii=False) for name in self.soloed if name in self.tracks]:
            lines.append(f"solo({', '.join(soloed)})")
        return "\n".join([*head, *lines]).rstrip("\n") + "\n"


def wrap_line(line: str, pattern: CallChain | str, *opening: str) -> Sequence[str]:
    """A line with patterns; if too long, several lines with a change each. opening: the lines before the pattern."""
    if len(line) <= WIDTH or not isinstance(pattern, CallChain):
        return [line]
    return [*opening, *(f"    {part}" for part in (pattern.head, *pattern.links)), ")"]


def name_of(name: str) -> str:
    """Valid Python name: keywords get an underscore, `$` becomes one."""
    plain = re.sub(r"\W", "_", name)
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def pack_key(source: str) -> str:
    """Key common to all names of a pack's source: GitHub ignores case, and a branch is only another version."""
    plain = source.rstrip("/")
    return "/".join(plain.lower().split("/")[:2]) if plain.startswith("github:") else plain


def quote(text: str) -> str:
    """Formats a text as a Python literal on one line."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)


def indent(lines: list[str]) -> list[str]:
    """Indents lines by one level."""
    return textwrap.indent("\n".join(lines), "    ").split("\n")


_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def tempo_lines(cycles: float, slowest: float = 40.0, fastest: float = 300.0) -> str:
    """Lines that set a tempo of `cycles` cycles a minute, with four beats if that is `slowest` to `fastest` bpm.

    Raises UnknownPartError: no number of beats gives a valid tempo.
    """
    fits = (n for n in (4, 8, 2, 16, 1, 32, 64) if slowest <= cycles * n <= fastest)
    beats = next(fits, 64 if cycles <= 1 else 1 if cycles < 1000 else 1 / 8)
    if not MIN_TEMPO <= cycles * beats <= MAX_TEMPO:
        raise UnknownPartError("there is no such tempo")
    return f"tempo({cycles * beats:g})" if beats == 4 else f"meter({beats:g})\ntempo({cycles * beats:g})"


def number_of(text: str) -> float:
    """Value of an expression of numbers, + - * / and brackets. Raises UnknownPartError for any other."""
    try:
        return _number(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, KeyError, RecursionError):
        raise UnknownPartError("the tempo is no number") from None


def _number(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_number(inner)
        case ast.BinOp(left=left, op=op, right=right):
            return float(_OPERATORS[type(op)](_number(left), _number(right)))
    raise UnknownPartError("the tempo is no number")
