"""`Pattern`: a musical value that depends only on time, and the methods that change it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, Generic, Self, TypeVar

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import dialects, queries
from antiphon.live.patterns.arguments import Argument, Truth, each, name_value, numbers, truths, whole
from antiphon.live.patterns.dialects import FIRST_STREAM as FIRST_STREAM
from antiphon.live.patterns.harmony import parse_note_name
from antiphon.live.patterns.queries import Query, chance
from antiphon.live.patterns.spans import CycleEvent, Number, Span, exact

T = TypeVar("T")
U = TypeVar("U")
MAX_TIMES = 1024
"""Largest factor of `fast`, `ply` and `segment`."""
SHOWN = 8
"""Maximum events in a pattern's `repr`."""


class Pattern(Generic[T]):
    """A value that depends only on time, in cycles of one bar unless a track sets another length.

    Every method returns a new pattern. In place of a number, a text in mini-notation ("<2 3>") or a pattern of numbers
    is allowed. A pattern gives the same events for the same time and seed, however often it is queried.
    """

    __slots__ = ("events",)

    def __init__(self, events: Query[T]) -> None:
        self.events: Query[T] = events

    def __repr__(self) -> str:
        """The events of the first cycle, at most eight, each with its beginning."""
        try:
            found = self.query(0, 1)
        except UsageError:
            return "<pattern>"
        shown = [f"{event.part.begin} {event.value}" for event in found[:SHOWN]]
        return f"<pattern, cycle 0: {', '.join(shown) or 'silence'}{', ...' if len(found) > SHOWN else ''}>"

    def _new(self, events: Query[T]) -> Self:
        return type(self)(events)

    def _changed(self, change: Callable[[Self], Self], example: str) -> Self:
        """Applies a change. `example`: usage of the word, for the error if the argument is no change."""
        if not callable(change):
            raise UsageError(
                f"a change of a pattern stands here without quotes, as in {example}, not {name_value(change)}"
            )
        changed = change(self)
        if not isinstance(changed, Pattern):
            raise UsageError(f"a change gives a pattern back, as in {example}; this one gives {name_value(changed)}")
        return changed

    def query(self, begin: Number, end: Number, seed: int = 0) -> list[CycleEvent[T]]:
        """The events between two times.

        Args:
            end: End in cycles, not before `begin`.
        """
        found = self.events(Span(exact(begin), exact(end)), seed)
        return sorted(found, key=lambda event: (event.part.begin, event.reach.begin))

    def fast(self, factor: Argument) -> Self:
        """Speeds the pattern up by a factor: `fast(2)` fits two cycles into one."""
        return self._new(each(factor, "fast", lambda n: queries.fast(self.events, _speed(n, "fast"))))

    def slow(self, factor: Argument) -> Self:
        """Slows the pattern down by a factor: `slow(2)` spreads a cycle over two."""

        def slower(n: Fraction) -> Query[T]:
            return queries.fast(self.events, _speed(1 / n if n > 0 else n, "slow"))

        return self._new(each(factor, "slow", slower))

    def early(self, cycles: Argument) -> Self:
        """Moves the pattern earlier by a number of cycles."""
        return self._new(each(cycles, "early", lambda n: queries.shift(self.events, -n)))

    def late(self, cycles: Argument) -> Self:
        """Moves the pattern later by a number of cycles."""
        return self._new(each(cycles, "late", lambda n: queries.shift(self.events, n)))

    def rev(self) -> Self:
        """Plays each cycle backwards."""
        return self._new(queries.rev(self.events))

    def palindrome(self) -> Self:
        """Plays every second cycle backwards."""
        return self.every(2, lambda p: p.rev(), first=1)

    def iter(self, steps: Argument) -> Self:
        """Begins each cycle one step later, with `steps` steps to a cycle; repeats after `steps` cycles."""

        def later(count: Fraction) -> Query[T]:
            n = whole(count, "iter", 1, MAX_TIMES)
            return queries.cat([queries.shift(self.events, Fraction(-k, n)) for k in range(n)])

        return self._new(each(steps, "iter", later))

    def ply(self, times: Argument) -> Self:
        """Repeats each event `times` times within its own length."""

        def played(n: Fraction) -> Query[T]:
            inner = queries.map_values(self.events, lambda value: queries.fast(queries.pure(value), _speed(n)))

            def query(span: Span, seed: int) -> list[CycleEvent[T]]:
                found: list[CycleEvent[T]] = []
                for event in inner(span, seed):
                    if event.whole is None:
                        continue
                    first, length = event.whole.begin, event.whole.end - event.whole.begin
                    found += queries.squeeze_cycle(event.value, 0, first, length)(event.part, seed)
                return found

            return query

        return self._new(each(times, "ply", played))

    def segment(self, count: Argument) -> Self:
        """Samples the pattern `count` times a cycle, an event each: makes notes or steps of a signal such as `sine`."""
        return self._new(each(count, "segment", lambda n: queries.segment(self.events, _speed(n))))

    def inside(self, factor: Argument, change: Callable[[Self], Self]) -> Self:
        """Applies a change to a slowed-down pattern: `inside(4, rev)` reverses each quarter of a cycle."""
        return self._new(
            each(factor, "inside", lambda n: self.slow(n)._changed(change, "inside(4, rev)").fast(n).events)
        )

    def swing(self, amount: Number = Fraction(1, 3), steps: int = 4) -> Self:
        """Delays the second half of each of `steps` equal parts of a cycle.

        Args:
            amount: Delay as a fraction of a half, 0 to 1; a third makes triplets of eighths. A whole number above 1 is
                taken as `steps`, as in Strudel.
            steps: Parts of a cycle: 4 delays every second eighth of a bar.
        """
        if steps == 4 and isinstance(amount, int) and amount > 1:  # Strudel's swing(4)
            steps, amount = amount, Fraction(1, 3)
        later = exact(amount, "swing") / 2
        return self.inside(steps, lambda p: p.within(Fraction(1, 2), 1, lambda half: half.late(later)))

    def within(self, begin: Number, end: Number, change: Callable[[Self], Self]) -> Self:
        """Changes the events that begin between two positions in the cycle, 0 to 1."""
        low, high = exact(begin), exact(end)

        def inside(event: CycleEvent[T]) -> bool:
            return low <= event.reach.begin % 1 < high

        kept, changed = self._where(inside), self._where(lambda event: not inside(event))
        return self._new(queries.stack([kept._changed(change, "within(0, 1/2, fast(2))").events, changed.events]))

    def _where(self, wanted: Callable[[CycleEvent[T]], bool]) -> Self:
        return self._new(lambda span, seed: [event for event in self.events(span, seed) if wanted(event)])

    def every(self, cycles: Argument, change: Callable[[Self], Self], first: int = 0) -> Self:
        """Changes one of every `cycles` cycles: `every(4, rev)`.

        Args:
            cycles: Number of cycles in a round, from 1.
        """
        changed = self._changed(change, "every(4, rev)").events

        def chosen(n: Fraction) -> Query[T]:
            count = whole(n, "every", 1, 1_000_000)
            return queries.when(self.events, changed, lambda cycle: (cycle - first) % count == 0)

        return self._new(each(cycles, "every", chosen))

    def when(self, test: Callable[[int], bool] | Truth, change: Callable[[Self], Self]) -> Self:
        """Changes the cycles whose number passes a test, `lambda cycle: cycle >= 8`, or while switches are on."""
        changed = self._changed(change, "when(lambda cycle: cycle >= 8, rev)")
        if isinstance(test, bool | str | Pattern):
            switches = truths(test, "when")
            return self._new(queries.for_each(switches, lambda on: (changed if on else self).events))
        if not callable(test):
            raise UsageError(f"when takes a test of the cycle's number, or switches, not {str(test)[:40]!r}")
        return self._new(queries.when(self.events, changed.events, test))

    def chunk(self, parts: int, change: Callable[[Self], Self]) -> Self:
        """Changes one of `parts` equal parts of the cycle, the next one in each cycle."""
        n = whole(exact(parts), "chunk", 1, MAX_TIMES)
        return self._new(
            queries.cat([self.within(Fraction(k, n), Fraction(k + 1, n), change).events for k in range(n)])
        )

    def superimpose(self, *changes: Callable[[Self], Self]) -> Self:
        """Plays the pattern together with one or several changed copies."""
        changed = [self._changed(change, "superimpose(rev)").events for change in changes]
        return self._new(queries.stack([self.events, *changed]))

    def off(self, cycles: Argument, change: Callable[[Self], Self]) -> Self:
        """Plays the pattern together with a changed copy that is delayed: `off(1/8, lambda p: p.add(note=7))`."""
        return self.superimpose(lambda p: p.late(cycles)._changed(change, "off(1/8, fast(2))"))

    def degrade_by(self, share: Argument, seed: int = 0) -> Self:
        """Drops a fraction of the events at random.

        `share`: 0 drops none, 1 all; `seed`: another seed drops other events.
        """
        return self._new(each(share, "degrade_by", lambda n: queries.drop(self.events, float(n), FIRST_STREAM + seed)))

    def degrade(self) -> Self:
        """Drops half of the events at random."""
        return self.degrade_by(0.5)

    def sometimes_by(self, share: Argument, change: Callable[[Self], Self], seed: int = 0) -> Self:
        """Changes a fraction of the events at random.

        Args:
            share: 0 changes none, 1 all.
        """

        def chosen(n: Fraction) -> Query[T]:
            some = self._new(queries.drop(self.events, float(n), FIRST_STREAM + seed, rest=True))
            changed = some._changed(change, "sometimes_by(0.3, rev)")
            return queries.stack([queries.drop(self.events, float(n), FIRST_STREAM + seed), changed.events])

        return self._new(each(share, "sometimes_by", chosen))

    def sometimes(self, change: Callable[[Self], Self]) -> Self:
        """Changes half of the events at random."""
        return self.sometimes_by(0.5, change)

    def often(self, change: Callable[[Self], Self]) -> Self:
        """Changes three quarters of the events at random."""
        return self.sometimes_by(0.75, change)

    def rarely(self, change: Callable[[Self], Self]) -> Self:
        """Changes a quarter of the events at random."""
        return self.sometimes_by(0.25, change)

    def some_cycles(self, change: Callable[[Self], Self], share: float = 0.5, seed: int = 0) -> Self:
        """Changes a fraction of the cycles at random, each as a whole."""

        def chosen(cycle: int, given: int) -> bool:
            return chance(given, FIRST_STREAM + seed, Fraction(cycle)) < share

        def some(cycle: int, span: Span, given: int) -> list[CycleEvent[T]]:
            return self.events(span, given) if chosen(cycle, given) else []

        if dialects.current() == dialects.STRUDEL:  # changes the cycles that are chosen, without the others
            changed = self._new(queries.by_cycle(some))._changed(change, "some_cycles(rev)").events

            def rest(cycle: int, span: Span, given: int) -> list[CycleEvent[T]]:
                return [] if chosen(cycle, given) else self.events(span, given)

            return self._new(queries.stack([queries.by_cycle(rest), changed]))
        changed = self._changed(change, "some_cycles(rev)").events

        def inner(cycle: int, span: Span, given: int) -> list[CycleEvent[T]]:
            return (changed if chosen(cycle, given) else self.events)(span, given)

        return self._new(queries.by_cycle(inner))

    def euclid(self, pulses: Argument, steps: Argument, rotation: Argument = 0) -> Self:
        """Plays the pattern in a euclidean rhythm: `pulses` onsets spread over `steps` steps as evenly as possible.

        Args:
            pulses: Number of onsets; a negative number plays on the other steps.
        """

        def rotated(k: int, n: int) -> Query[T]:
            return each(
                rotation, "euclid", lambda r: queries.euclid(self.events, k, n, whole(r, "euclid", -1024, 1024))
            )

        def stepped(k: int) -> Query[T]:
            return each(steps, "euclid", lambda n: rotated(k, whole(n, "euclid", 1, queries.MAX_STEPS)))

        return self._new(each(pulses, "euclid", lambda k: stepped(whole(k, "euclid", -1024, 1024))))

    def struct(self, rhythm: Truth) -> Self:
        """Plays the pattern at the events of a rhythm, `struct("t f t t")`, with the values that it has there."""
        beginnings = queries.keep(truths(rhythm, "struct"), bool)
        return self._new(queries.apply_left(beginnings, self.events, lambda _, value: value))

    def mask(self, switches: Truth) -> Self:
        """Silences the pattern while switches are off, such as `mask("1 1 0 1")`."""
        on = queries.keep(truths(switches, "mask"), bool)
        return self._new(queries.apply_left(self.events, on, lambda value, _: value))

    def map(self, change: Callable[[T], U]) -> Pattern[U]:
        """Returns a pattern with changed values."""
        return Pattern(queries.map_values(self.events, change))

    def range(self, low: Argument, high: Argument) -> Pattern[Any]:
        """Values from 0 to 1, as those of `sine`, to values from `low` to `high`."""
        if not isinstance(low, int | float) or not isinstance(high, int | float):
            least = Pattern(numbers(low, "range"))
            width = Pattern(numbers(high, "range"))._joined(least, operator.sub, both=False)
            return self._joined(width, operator.mul, both=False)._joined(least, operator.add, both=False)
        first, reach = float(low), float(high) - float(low)
        return self.map(lambda value: first + _number(value) * reach)

    def _joined(self, other: Argument, join: Callable[[Any, Any], Any], *, both: bool) -> Pattern[Any]:
        right = numbers(other, "arithmetic")
        mine = queries.map_values(self.events, _number)
        return Pattern((queries.apply_both if both else queries.apply_left)(mine, right, join))

    def add(self, other: Argument = 0, **values: Argument) -> Pattern[Any]:
        """Adds values, with this pattern's onsets: `add("<0 7>")`. values: only for patterns of notes."""
        if values:
            raise UsageError(f"a pattern of numbers has no value named {next(iter(values))}; write add(7)")
        return self._joined(other, operator.add, both=False)

    def __add__(self, other: Argument) -> Pattern[Any]:
        """Adds values, with the onsets of both patterns."""
        return self._joined(other, operator.add, both=True)

    def __sub__(self, other: Argument) -> Pattern[Any]:
        """Subtracts values, with the onsets of both patterns."""
        return self._joined(other, operator.sub, both=True)

    def __mul__(self, other: Argument) -> Pattern[Any]:
        """Multiplies values, with the onsets of both patterns."""
        return self._joined(other, operator.mul, both=True)

    __radd__, __rmul__ = __add__, __mul__


def _speed(factor: Fraction, what: str = "a factor of speed") -> Fraction:
    if not 0 < factor <= MAX_TIMES:
        backwards = "; rev plays backwards" if factor < 0 else ""
        raise UsageError(f"{what} takes a number above 0, to {MAX_TIMES}, not {float(factor):g}{backwards}")
    return factor


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if (number := parse_note_name(value)) is not None:
        return number
    raise UsageError(f"arithmetic takes patterns of numbers, and this one has {str(value)[:40]!r}")


P = TypeVar("P", bound=Pattern[Any])


def _all(patterns: Iterable[P]) -> tuple[P, ...]:
    given = tuple(Pattern(queries.pure(one)) if isinstance(one, int | float) else one for one in patterns)
    if not given or not all(isinstance(pattern, Pattern) for pattern in given):
        raise UsageError("one or more patterns are wanted here, as in stack(s('bd*4'), s('~ cp'))")
    return given


def stack(*patterns: P) -> P:
    """Plays all patterns at once."""
    given = _all(patterns)
    return given[0]._new(queries.stack([pattern.events for pattern in given]))


def cat(*patterns: P) -> P:
    """Plays the patterns in turn, a cycle of each."""
    given = _all(patterns)
    return given[0]._new(queries.cat([pattern.events for pattern in given]))


def fastcat(*patterns: P) -> P:
    """Plays all patterns in one cycle, each for an equal part."""
    given = _all(patterns)
    return given[0]._new(queries.fastcat([pattern.events for pattern in given]))


def timecat(*steps: tuple[Number, P]) -> P:
    """Plays all patterns in one cycle, each for its part: pairs of weight and pattern."""
    given = _all(pattern for _, pattern in steps)
    weights = [exact(weight, "a weight") for weight, _ in steps]
    if not all(weight > 0 for weight in weights):
        raise UsageError("weights are above 0")
    return given[0]._new(queries.timecat([(w, p.events) for w, p in zip(weights, given, strict=True)]))


def polymeter(steps: Number, *patterns: tuple[Number, P]) -> P:
    """Plays patterns of different lengths with the same step length.

    `steps`: steps of a cycle; `patterns`: pairs of a pattern's number of steps in its own cycle, and the pattern.
    """
    given = _all(pattern for _, pattern in patterns)
    count = exact(steps, "steps")
    speeds = [_speed(count / (exact(own, "steps") or 1)) for own, _ in patterns]
    return given[0]._new(queries.stack([queries.fast(p.events, n) for n, p in zip(speeds, given, strict=True)]))


def randcat(*patterns: P, seed: int = 0) -> P:
    """Plays a random one of the patterns each cycle. `seed`: another seed chooses others."""
    given = _all(patterns)
    return given[0]._new(queries.one_of([pattern.events for pattern in given], FIRST_STREAM + seed))


def pure(value: Any) -> Pattern[Any]:
    """Returns a pattern with a value once a cycle; a pattern is returned unchanged."""
    return value if isinstance(value, Pattern) else Pattern(queries.pure(value))
