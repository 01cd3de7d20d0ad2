"""Syntax tree of mini-notation."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from antiphon.kernel.errors import UsageError

ONE = Fraction(1)


class MiniError(UsageError):
    """A mini-notation syntax error."""

    def __init__(self, reason: str, text: str, column: int) -> None:
        """Syntax error at a character: its reason says what is allowed and what to do; `column` counts from 0."""
        first = max(0, column - 30)
        part = "".join(c if c.isprintable() else "·" for c in text[first : first + 60])
        super().__init__(f'{reason} (column {column + 1} of "{part}")')
        self.picture = f"{part}\n{' ' * (column - first)}^"


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a number. `column`: of its first character, from 0."""

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
    """`a*2` and `a/2`. `column`: of the sign."""

    node: Node
    factor: Node
    slower: bool
    column: int


@dataclass(frozen=True, slots=True)
class Range:
    """`<0 2> .. 3` with a pattern at either end: the numbers between, in one step. `column`: of the points."""

    low: Node
    high: Node
    column: int


@dataclass(frozen=True, slots=True)
class Euclid:
    """`a(3,8,2)`. `column`: of the bracket."""

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
    """`a?` and `a?0.3`. `share`: of dropped events. `stream`: random stream."""

    node: Node
    share: float
    stream: int


Node: TypeAlias = (
    Word | Rest | Sequence | Simultaneous | Choice | Polymeter | Speed | Range | Euclid | Joined | RandomStep
)


def number(word: Word, text: str, what: str) -> Fraction:
    """Number of a word: `3`, `-0.5`, `1%8`. Raises MiniError: it is none, or its denominator is 0."""
    try:
        above, _, below = word.text.partition("%")
        if len(word.text) > 40 or abs(_exponent(above)) > 12:
            raise MiniError(f"{what} takes a number to 1e9", text, word.column)
        return Fraction(above) / Fraction(below or "1")
    except ValueError:
        raise MiniError(f"{what} takes a number, not {word.text[:40]!r}", text, word.column) from None
    except ZeroDivisionError:
        raise MiniError(f"{what} cannot be divided by 0", text, word.column) from None


def numbers_between(low: Fraction, high: Fraction) -> list[str]:
    """The numbers of a range in steps of 1, as Haskell and Tidal have them: from the lower to .5 above the upper."""
    lower, upper = sorted((low, high))
    found = [lower + k for k in range(int(upper - lower + Fraction(1, 2)) + 1)]
    return [str(n if n.denominator == 1 else float(n)) for n in (found if high >= low else reversed(found))]


def _exponent(digits: str) -> int:
    _, found, exponent = digits.lower().partition("e")
    return int(exponent) if found else 0
