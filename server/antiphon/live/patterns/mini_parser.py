"""Recursive-descent parser of mini-notation to a tree; depth and length are bounded."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, TypeAlias

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns.dialects import current as current_dialect

# ---- Syntax tree of mini-notation

ONE = Fraction(1)


class MiniError(UsageError):
    """A mini-notation syntax error."""

    def __init__(self, reason: str, text: str, column: int) -> None:
        """Syntax error at a character. The reason says what is allowed and what to do; `column` counts from 0."""
        first = max(0, column - 30)
        part = "".join(c if c.isprintable() else "·" for c in text[first : first + 60])
        super().__init__(f'{reason} (column {column + 1} of "{part}")')
        self.picture = f"{part}\n{' ' * (column - first)}^"


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a number. `column`: position of its first character, from 0."""

    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Rest:
    """`~`: a rest."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """A step of a sequence, and its weight in steps."""

    node: Node
    weight: Fraction = ONE


@dataclass(frozen=True, slots=True)
class Sequence:
    """`a b c`: sequence in one cycle."""

    steps: tuple[Weighted, ...]

    @property
    def weight(self) -> Fraction:
        """The sum of its steps' weights."""
        return sum((step.weight for step in self.steps), Fraction(0))


@dataclass(frozen=True, slots=True)
class Simultaneous:
    """`a, b`: simultaneous sequences."""

    parts: tuple[Sequence, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """`a | b`: random choice per cycle. `stream`: random stream."""

    parts: tuple[Sequence, ...]
    stream: int


@dataclass(frozen=True, slots=True)
class Polymeter:
    """`{a b, c d e}` and `<a b>`: sequences with a common step length.

    `steps`: steps per cycle; None for those of the first sequence.
    """

    parts: tuple[Sequence, ...]
    steps: Node | None


@dataclass(frozen=True, slots=True)
class Speed:
    """`a*2` and `a/2`. `column`: position of the sign."""

    node: Node
    factor: Node
    slower: bool
    column: int


@dataclass(frozen=True, slots=True)
class Range:
    """`<0 2> .. 3` with a pattern at either end: the numbers between, in one step. `column`: position of the points."""

    low: Node
    high: Node
    column: int


@dataclass(frozen=True, slots=True)
class Euclid:
    """`a(3,8,2)`. `column`: position of the bracket."""

    node: Node
    pulses: Node
    steps: Node
    rotation: Node | None
    column: int


@dataclass(frozen=True, slots=True)
class Joined:
    """`bd:<1 2>`: words of the first, each with those of the second at its beginning. `column`: of the colon."""

    node: Node
    tail: Node
    column: int


@dataclass(frozen=True, slots=True)
class RandomStep:
    """`a?` and `a?0.3`. `share`: fraction of dropped events. `stream`: random stream."""

    node: Node
    share: float
    stream: int


Node: TypeAlias = (
    Word | Rest | Sequence | Simultaneous | Choice | Polymeter | Speed | Range | Euclid | Joined | RandomStep
)


def number(word: Word, text: str, what: str) -> Fraction:
    """Parses a number: `3`, `-0.5`, `1%8`. Raises MiniError: the word is no number, or its denominator is 0."""
    try:
        above, _, below = word.text.partition("%")
        exponent = above.lower().partition("e")[2] or "0"
        if len(word.text) > 40 or abs(int(exponent)) > 12:
            raise MiniError(f"{what} takes a number to 1e9", text, word.column)
        return Fraction(above) / Fraction(below or "1")
    except ValueError:
        raise MiniError(f"{what} takes a number, not {word.text[:40]!r}", text, word.column) from None
    except ZeroDivisionError:
        raise MiniError(f"{what} cannot be divided by 0", text, word.column) from None


def numbers_between(low: Fraction, high: Fraction) -> list[str]:
    """Numbers of a range in steps of 1, as in Haskell and Tidal: from the lower to .5 above the upper."""
    lower, upper = sorted((low, high))
    found = [lower + k for k in range(int(upper - lower + Fraction(1, 2)) + 1)]
    return [str(n if n.denominator == 1 else float(n)) for n in (found if high >= low else reversed(found))]


# ---- Recursive-descent parser of mini-notation to a tree; depth and length are bounded

MAX_DEPTH = 32
"""Maximum bracket nesting: more than anyone reads, and safe for Python's stack."""
MAX_LETTERS = 20_000
"""Maximum characters of a text."""
MAX_COPIES = 1024
"""Maximum steps of one `!` or `..`."""
MAX_REST = 10**9
"""Maximum steps of a rest."""
MAX_STREAMS = 4096
"""Maximum random choices in a text: the maximum of events in a cycle."""
_INNER = ("node", "factor", "low", "high", "tail", "pulses", "rotation")
_CLOSING = {"[": "]", "<": ">", "{": "}", "(": ")"}
_WORD = re.compile(
    r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?(?:%\d+)?(?![\w'#:]|\.\d)|(?:[^\W_]|['\-]|\.(?=\d))(?:[\w'#:^\-]|\.(?=\w))*"
)
_SPACE = " \t\r\n"
_BEFORE = re.compile(r"([*/])(\s+)([\d.]+)")
_AFTER = re.compile(r"(?:(?<=[\]}>])(\s+)([*/][\d.]+|%\d+)|(?<=[\w\]}>~])(\s+)(@[\d.]+|\([^()\s]*\d\s*,[^()]*\)))")
"""Matches signs separated by a space, which Tidal allows: `bd* 2`; `[bd sd] /2`, `{bd sd} %4`, `bd @3`, `2 (3,8)`."""
_DEFAULT_SHARE = 0.5


def parse(text: str) -> Node:
    """Parses a text of at most `MAX_LETTERS` characters, with at most `MAX_DEPTH` nested brackets, to a tree.

    Raises MiniError: it cannot be read; the error names the column.
    """
    if len(text) > MAX_LETTERS:
        reason = f"a text in mini-notation has at most {MAX_LETTERS} characters, not {len(text)}"
        raise MiniError(reason, text, MAX_LETTERS)
    return _Parser(_join_signs(unicodedata.normalize("NFC", text))).whole()


def _join_signs(text: str) -> str:
    """Moves signs to their steps and the spaces after them; all other characters keep their columns."""
    text = _BEFORE.sub(r"\1\3\2", text)
    return _AFTER.sub(lambda found: (found[2] or found[4]) + (found[1] or found[3]), text)


def _inner(node: Node) -> list[Node]:
    match node:
        case Sequence(steps):
            return [step.node for step in steps]
        case Simultaneous(parts) | Choice(parts):
            return list(parts)
        case Polymeter(parts, steps):
            return [*parts, *(() if steps is None else (steps,))]
        case Speed(inner, factor):
            return [inner, factor]
        case Range(low, high):
            return [low, high]
        case Euclid(inner, pulses, steps, rotation):
            return [inner, pulses, steps, *(() if rotation is None else (rotation,))]
        case Joined(inner, tail):
            return [inner, tail]
        case RandomStep(inner):
            return [inner]
    return []


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._streams = 0
        self._open: list[int] = []
        self._known: dict[int, tuple[Node, bool]] = {}

    def whole(self) -> Node:
        node = self._group("")
        if self._at < len(self._text):
            raise self._error(f"{self._peek()!r} closes nothing that is open; take it out or open it before")
        return node

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _skip(self) -> bool:
        """Skips spaces; True if there were any, or at the text's beginning."""
        first = self._at
        while self._peek() and self._peek() in _SPACE:
            self._at += 1
        return self._at > first or first == 0

    def _take(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _digit(self) -> bool:
        return self._text[self._at : self._at + 2].lstrip(".")[:1].isdigit()

    def _error(self, reason: str, column: int | None = None) -> MiniError:
        return MiniError(reason, self._text, self._at if column is None else column)

    def _stream(self) -> int:
        self._streams += 1
        if self._streams > MAX_STREAMS:
            raise self._error(f"a text has at most {MAX_STREAMS} places of chance")
        return self._streams

    def _copy(self, node: Node) -> Node:
        """Copy of a node, with new random streams; in a dialect with the same."""
        if current_dialect() or not self._random(node):
            return node
        changes: dict[str, Any] = {"stream": self._stream()} if isinstance(node, Choice | RandomStep) else {}
        for field in fields(node):
            value = getattr(node, field.name)
            if isinstance(value, Sequence) or (field.name in _INNER and value is not None):
                changes[field.name] = self._copy(value)
            elif field.name == "parts":
                changes["parts"] = tuple(self._copy(part) for part in value)
            elif field.name == "steps" and isinstance(value, tuple):
                changes["steps"] = tuple(Weighted(self._copy(step.node), step.weight) for step in value)
        return replace(node, **changes)

    def _random(self, node: Node) -> bool:
        """True if a node contains a random choice; cached, since copies share nodes."""
        known = self._known.get(id(node))
        if known is None:
            known = node, isinstance(node, Choice | RandomStep) or any(self._random(inner) for inner in _inner(node))
            self._known[id(node)] = known
        return known[1]

    def _bracket(self) -> tuple[str, int]:
        """Consumes an opening bracket; returns the closing one, and the column of the opening one."""
        column = self._at
        if len(self._open) >= MAX_DEPTH:
            raise self._error(f"brackets are nested deeper than {MAX_DEPTH}; take some out")
        self._open.append(column)
        self._at += 1
        return _CLOSING[self._text[column]], column

    def _close(self, sign: str) -> None:
        column = self._open.pop()
        if not self._take(sign):
            opened = self._text[column]
            if not self._peek():
                raise self._error(f"the {opened} is not closed; write {sign} where it ends", column)
            raise self._error(f"{self._peek()!r} cannot stand here; the {opened} is to be closed by {sign}")

    def _group(self, closing: str) -> Node:
        parts, sign = self._parts(closing)
        if sign == "|":
            return Choice(tuple(parts), self._stream())
        return parts[0] if len(parts) == 1 else Simultaneous(tuple(parts))

    def _parts(self, closing: str) -> tuple[list[Sequence], str]:
        parts, sign = [self._sequence(closing)], ""
        while self._peek() and self._peek() in ",|":
            if sign and self._peek() != sign:
                raise self._error("a comma and a bar cannot stand in one group; put one of them in brackets")
            sign = self._peek()
            self._at += 1
            parts.append(self._sequence(closing))
        return parts, sign

    def _sequence(self, closing: str) -> Sequence:
        """Parses steps up to a comma, a bar or a bracket; steps between single points form groups."""
        groups: list[list[Weighted]] = [[]]
        while True:
            self._skip()
            sign = self._peek()
            if not sign or sign in ",|" or sign in "]>})":
                break
            if self._range(groups[-1]):
                continue
            if sign == "." and not self._digit():
                if len(groups) > 1 and not groups[-1]:
                    raise self._error("a point groups the steps before it, and there are none; take it out")
                self._at += 1
                groups.append([])
                continue
            self._step(groups[-1])
        if len(groups) == 1:
            return Sequence(tuple(groups[0]))
        return Sequence(tuple(Weighted(Sequence(tuple(group))) for group in groups if group))

    def _range(self, steps: list[Weighted]) -> bool:
        """Parses `.. 3` after a number: the numbers between share its step."""
        column = self._at
        if not self._take(".."):
            return False
        self._skip()
        last, before = self._term("the end of a range"), steps[-1].node if steps else None
        if before is None or isinstance(last, Rest) or isinstance(before, Rest):
            raise self._error(".. stands between two numbers, as in 0 .. 3", column)
        if not (isinstance(before, Word) and isinstance(last, Word)):
            steps[-1] = Weighted(Range(before, last, column), steps[-1].weight)
            return True
        low, high = (number(word, self._text, "a range") for word in (before, last))
        if abs(high - low) >= MAX_COPIES:
            raise self._error(f"a range has at most {MAX_COPIES} numbers", column)
        numbers = tuple(Weighted(Word(text, before.column)) for text in numbers_between(low, high))
        steps[-1] = Weighted(Sequence(numbers), steps[-1].weight)
        return True

    def _step(self, steps: list[Weighted]) -> None:
        sign, column = self._peek(), self._at
        if sign in "_!" and not steps:
            raise self._error(f"{sign} goes on with the step before it, and there is none; write a step first")
        if sign == "_":
            self._at += 1
            steps[-1] = Weighted(steps[-1].node, steps[-1].weight + 1)
            return
        if sign == "!":
            self._at += 1
            steps.append(Weighted(self._copy(steps[-1].node)))
            return
        node, weight, copies, rests = self._term(), ONE, 1, 1
        while (sign := self._peek()) and sign in "*/:?!@(":
            column = self._at
            if sign == "@":
                self._at += 1
                weight = self._number("a weight")
                if weight <= 0:
                    raise self._error("a weight is above 0", column)
            elif sign == "!":
                self._at += 1
                count = self._count()
                if isinstance(node, Rest) and count:  # rests in turn are one long rest
                    rests *= count
                    if rests > MAX_REST:
                        raise self._error(f"! makes a rest of at most {MAX_REST:,} steps", column)
                    continue
                if copies * count > MAX_COPIES:
                    raise self._error(f"! repeats a step at most {MAX_COPIES} times", column)
                copies *= count
            else:
                node = self._changed(node, sign)
        steps += [Weighted(node if n == 0 else self._copy(node), weight * rests) for n in range(copies)]

    def _count(self) -> int:
        """Parses the repeat count after `!`; 2 without one."""
        if not (self._peek().isdigit()):
            return 2
        column = self._at
        count = self._number("!")
        if count.denominator != 1:
            raise self._error("! takes a whole number", column)
        return int(count)

    def _changed(self, node: Node, sign: str) -> Node:
        column = self._at
        match sign:
            case "*" | "/":
                self._at += 1
                return Speed(node, self._term(f"{sign} takes a number, as in {sign}2"), sign == "/", column)
            case "?":
                self._at += 1
                share = _DEFAULT_SHARE
                if self._digit():
                    share = float(self._number("?"))
                if not 0.0 <= share <= 1.0:
                    raise self._error("? takes 0 to 1: the share of the events that is left out", column)
                return RandomStep(node, share, self._stream())
            case ":":
                self._at += 1
                return Joined(node, self._term(": takes a number or a pattern, as in bd:3 or bd:<3 5>"), column)
        return self._euclid(node)

    def _euclid(self, node: Node) -> Node:
        closing, column = self._bracket()
        parts, sign = self._parts(closing)
        if sign == "|" or not 2 <= len(parts) <= 3 or not all(part.steps for part in parts):
            raise self._error("a euclidean rhythm takes two or three numbers, as in (3,8) or (3,8,2)", column)
        self._close(closing)
        return Euclid(node, parts[0], parts[1], parts[2] if len(parts) == 3 else None, column)

    def _term(self, missing: str = "a step is missing here") -> Node:
        match self._peek():
            case "~":
                self._at += 1
                return Rest()
            case "[":
                closing, _ = self._bracket()
                node = self._group(closing)
                self._close(closing)
                return node
            case "<":
                return self._polymeter(Word("1", self._at))
            case "{":
                return self._polymeter(None)
        word = self._word(missing)
        return Rest() if word.text == "-" else word

    def _polymeter(self, steps: Node | None) -> Node:
        closing, column = self._bracket()
        parts, sign = self._parts(closing)
        if sign == "|":
            raise self._error(f"a bar cannot stand in {self._text[column]}{closing}; write [a|b]", column)
        self._close(closing)
        if steps is None and self._take("%"):
            steps = self._term("% takes the number of steps of a cycle, as in {a b c}%4")
        return Polymeter(tuple(part for part in parts if part.steps), steps)

    def _number(self, what: str) -> Fraction:
        word = self._word(f"{what} takes a number")
        return number(word, self._text, what)

    def _word(self, missing: str) -> Word:
        found = _WORD.match(self._text, self._at)
        if found is None:
            sign = self._peek()
            raise self._error(f"{missing}, not {sign!r}" if sign else missing)
        column, self._at = self._at, found.end()
        word = found.group()
        if word.endswith(":") and self._peek() and self._peek() in "<[{":  # the colon joins what follows it
            word, self._at = word[:-1], self._at - 1
        return Word(word, column)
