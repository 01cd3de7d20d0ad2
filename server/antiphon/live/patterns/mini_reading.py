"""Compiles a tree to a query; the number of events per cycle is bounded before any query."""

from collections.abc import Callable, Iterator, Sequence as Values
from fractions import Fraction
from typing import Any, TypeVar

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import dialects, queries
from antiphon.live.patterns.dialects import STRUDEL
from antiphon.live.patterns.mini_parser import (
    MAX_COPIES,
    Choice,
    Euclid,
    Joined,
    MiniError,
    Node,
    Polymeter,
    RandomStep,
    Range,
    Rest,
    Sequence,
    Simultaneous,
    Speed,
    Word,
    number,
    numbers_between,
    parse,
)
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import Places, current

T = TypeVar("T")
_FALSE = ("f", "false", "0")
MAX_EVENTS = 4096
"""Maximum events of a cycle: 16 a beat for each of 64 voices."""
MAX_DEPTH = 64
"""Maximum depth of nodes: a query recurses about seven times per node, and Python allows 1,000 calls."""


def read(text: str, value: Callable[[str], Values[T]]) -> Query[T]:
    """Pattern of a text in mini-notation.

    `value` returns the simultaneous values of a word; it raises `UsageError` for an invalid word.

    Raises MiniError: the text cannot be read, a word is not taken, or a cycle would have more than `MAX_EVENTS`
    events.
    """
    node = parse(text)
    seeker = current()
    reading = _Reading(text, None if seeker is None else seeker.text(text))
    reading.count(node)
    return reading.query(node, value)


def truth(word: str) -> tuple[bool]:
    """Parses a switch of mini-notation: `f` and `0` are off; `t`, `x`, `1`, other numbers and words are on."""
    return (word.lower() not in _FALSE,)


class _Reading:
    def __init__(self, text: str, start: int | None) -> None:
        """`start`: position of the text in the script, if known."""
        self._text, self._start = text, start
        self._seeker = current()
        self._dialect = dialects.current()
        self._depth = 0
        self._counts: dict[int, Fraction] = {}
        self._queries: dict[int, Any] = {}

    def count(self, node: Node) -> Fraction:
        """Upper bound of events and rests per cycle."""
        if id(node) in self._counts:  # a step that `!` repeats stands several times
            return self._counts[id(node)]
        if self._depth >= MAX_DEPTH:
            raise MiniError(f"changes are nested deeper than {MAX_DEPTH}; take some out", self._text, 0)
        self._depth += 1
        events = self._count(node)
        self._depth -= 1
        self._counts[id(node)] = events
        return events

    def _count(self, node: Node) -> Fraction:
        match node:
            case Sequence(steps):
                total = max(Fraction(1), sum((self.count(step.node) for step in steps), Fraction(0)))
            case Simultaneous(parts):
                total = sum((self.count(part) for part in parts), Fraction(0))
            case Choice(parts):
                total = max(self.count(part) for part in parts)
            case Polymeter(parts, steps):
                return self._polymeter_count(parts, steps)
            case Speed(inner, factor, slower, column):
                times = max((abs(n) if not slower else 1 / abs(n) for n in self._numbers(factor) if n), default=1)
                return self._few(self.count(inner) * max(Fraction(times), Fraction(1)), column)
            case Range(low, high, column):
                ends = [number for end in (low, high) for number in self._numbers(end)]
                reach = max(ends, default=Fraction(0)) - min(ends, default=Fraction(0))
                if reach >= MAX_COPIES:
                    raise MiniError(f".. takes numbers {MAX_COPIES} apart at most", self._text, column)
                return self._few((int(reach) + 2) * self.count(low) * self.count(high), column)
            case Euclid(inner, _, steps, _, column):
                counts = [abs(n) for n in self._numbers(steps)]
                most = max(counts, default=0)
                if 0 in counts:
                    raise MiniError("a euclidean rhythm takes 1 step or more, not 0", self._text, column)
                if most > queries.MAX_STEPS:
                    reason = f"a euclidean rhythm takes up to {queries.MAX_STEPS} steps, not {float(most):g}"
                    raise MiniError(reason, self._text, column)
                return self._few(self.count(inner) * max(most, 1), column)
            case Joined(inner, tail, column):
                return self._few(self.count(inner) * self.count(tail), column)
            case RandomStep(inner):
                return self.count(inner)
            case _:
                return Fraction(1)
        return self._few(Fraction(total), 0)

    def _polymeter_count(self, parts: tuple[Sequence, ...], steps: Node | None) -> Fraction:
        if not parts:
            return Fraction(0)
        most = parts[0].weight if steps is None else max((abs(n) for n in self._numbers(steps)), default=Fraction(1))
        counts = (self.count(part) * max(Fraction(1), most / part.weight) for part in parts)
        return self._few(sum(counts, Fraction(0)), 0)

    def _few(self, events: Fraction, column: int) -> Fraction:
        if events > MAX_EVENTS:
            reason = f"a cycle has at most {MAX_EVENTS:,} events, and this makes {float(events):,.6g}"
            raise MiniError(reason, self._text, column)
        return events

    def _numbers(self, node: Node) -> Iterator[Fraction]:
        """Yields all numbers within a factor."""
        match node:
            case Word():
                yield number(node, self._text, "a factor")
            case Sequence(steps):
                for step in steps:
                    yield from self._numbers(step.node)
            case Simultaneous(parts) | Choice(parts) | Polymeter(parts):
                for part in parts:
                    yield from self._numbers(part)
            case Speed(inner) | Euclid(inner) | RandomStep(inner):
                yield from self._numbers(inner)
            case Range(low, high):
                for end in (low, high):
                    yield from self._numbers(end)

    def query(self, node: Node, value: Callable[[str], Values[T]]) -> Query[T]:
        key = id(node)
        if key not in self._queries:
            self._queries[key] = self._query(node, value)
        found: Query[T] = self._queries[key]
        return found

    def _query(self, node: Node, value: Callable[[str], Values[T]]) -> Query[T]:
        match node:
            case Word():
                return self._word(node, value)
            case Rest():
                return queries.silence
            case Sequence(steps):
                if not steps:
                    return queries.silence
                return queries.timecat([(step.weight, self.query(step.node, value)) for step in steps])
            case Simultaneous(parts):
                return queries.stack([self.query(part, value) for part in parts])
            case Choice(parts, stream):
                return queries.one_of([self.query(part, value) for part in parts], stream)
            case Polymeter(parts, steps):
                return self._polymeter(parts, steps, value)
            case Speed(inner, factor, slower):
                played = self.query(inner, value)
                return self._each(factor, lambda n: queries.fast(played, (1 / n if n else n) if slower else n))
            case Range(low, high):
                return self._each(low, lambda a: self._each(high, lambda b: self._between(node, a, b, value)))
            case Euclid(inner):
                return self._euclid(node, self.query(inner, value), value)
            case Joined():
                return self._joined(node, value)
            case RandomStep(inner, share, stream):
                return queries.drop(self.query(inner, value), share, stream)

    def _word(self, word: Word, value: Callable[[str], Values[T]]) -> Query[T]:
        try:
            values = value(word.text)
        except MiniError:
            raise
        except UsageError as error:
            raise MiniError(str(error), self._text, word.column) from None
        together = [queries.pure(one, self._places(word)) for one in values]
        return together[0] if len(together) == 1 else queries.stack(together)

    def _joined(self, node: Joined, value: Callable[[str], Values[T]]) -> Query[T]:
        heads, tails = (self._texts(part, node.column) for part in (node.node, node.tail))
        if len(heads) * len(tails) > MAX_EVENTS:
            raise MiniError(f": joins at most {MAX_EVENTS:,} pairs of words", self._text, node.column)
        try:
            made = {text: value(text) for head in heads for tail in tails for text in (f"{head}:{tail}",)}
        except MiniError:
            raise
        except UsageError as error:
            raise MiniError(str(error), self._text, node.column) from None
        reading = _Reading(self._text, self._start)
        left, right = (reading.query(part, lambda word: (word,)) for part in (node.node, node.tail))
        texts = queries.apply_left(left, right, lambda head, tail: f"{head}:{tail}")
        return lambda span, seed: [event.with_value(one) for event in texts(span, seed) for one in made[event.value]]

    def _texts(self, node: Node, column: int) -> set[str]:
        """All words in an operand of a colon."""
        match node:
            case Word(text):
                return {text}
            case Sequence(steps):
                return set().union(*(self._texts(step.node, column) for step in steps))
            case Simultaneous(parts) | Choice(parts) | Polymeter(parts):
                return set().union(*(self._texts(part, column) for part in parts))
            case Speed(inner) | Euclid(inner) | RandomStep(inner):
                return self._texts(inner, column)
            case Joined(inner, tail):
                both = (self._texts(inner, column), self._texts(tail, column))
                return {f"{head}:{tail}" for head in both[0] for tail in both[1]}
            case Range():
                raise MiniError("a range of patterns cannot stand beside a colon", self._text, column)
        return set()

    def _places(self, word: Word) -> Places:
        if self._seeker is None or self._start is None or not self._text.startswith(word.text, word.column):
            return ()
        return self._seeker.words(self._start, word.column, len(word.text))

    def _between(self, node: Range, low: Fraction, high: Fraction, value: Callable[[str], Values[T]]) -> Query[T]:
        words = [Word(text, node.column) for text in numbers_between(low, high)]
        return queries.fastcat([self._word(word, value) for word in words])

    def _polymeter(
        self, parts: tuple[Sequence, ...], steps: Node | None, value: Callable[[str], Values[T]]
    ) -> Query[T]:
        played = [(part.weight, self.query(part, value)) for part in parts]
        if not played:
            return queries.silence

        def shared(count: Fraction) -> Query[T]:
            return queries.stack([queries.fast(query, count / weight) for weight, query in played])

        return shared(played[0][0]) if steps is None else self._each(steps, shared)

    def _euclid(self, node: Euclid, played: Query[T], value: Callable[[str], Values[T]]) -> Query[T]:
        def whole(n: Fraction) -> int:
            if n.denominator != 1:
                raise MiniError("a euclidean rhythm takes whole numbers", self._text, node.column)
            return int(n)

        for argument in (node.pulses, node.steps, *(() if node.rotation is None else (node.rotation,))):
            for n in self._numbers(argument):
                whole(n)
        # switches of Tidal are off between the beginnings of a rhythm
        off: Query[Any] = queries.pure(False) if self._dialect < STRUDEL and value is truth else queries.silence
        rotation: Node = Word("0", node.column) if node.rotation is None else node.rotation
        return self._each(
            node.pulses,
            lambda k: self._each(
                node.steps, lambda n: self._each(rotation, lambda r: self._rhythm(played, int(k), int(n), int(r), off))
            ),
        )

    def _rhythm(self, played: Query[T], pulses: int, steps: int, rotation: int, off: Query[T]) -> Query[T]:
        """A euclidean rhythm as the dialect has it: in Strudel of the values that the pattern has at its beginnings."""
        if self._dialect == STRUDEL:
            rhythm = queries.euclid(queries.pure(None), pulses, steps, rotation)
            return queries.apply_left(rhythm, played, lambda _, value: value)
        found = queries.euclid(played, pulses, steps, rotation)
        if off is queries.silence:
            return found
        return queries.stack([found, queries.euclid(off, -pulses or -steps, steps, rotation)])

    def _each(self, argument: Node, change: Callable[[Fraction], Query[T]]) -> Query[T]:
        """Query of `change` for an argument: once if it is constant, else for each value while active."""
        while isinstance(argument, Sequence) and len(argument.steps) == 1:
            argument = argument.steps[0].node
        if isinstance(argument, Word):
            return change(number(argument, self._text, "a factor"))
        reading = _Reading(self._text, self._start)
        figures = reading.query(argument, lambda word: (number(Word(word, 0), self._text, "a factor"),))
        return queries.for_each(figures, change)
