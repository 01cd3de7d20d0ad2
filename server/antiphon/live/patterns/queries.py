"""Patterns as functions: a query maps a span of time and a seed to the active events.

The idea, and what each function does to cycles, is Tidal's (McLean, "Making programming languages to dance to: live
coding with Tidal", 2014). A query is pure: the same span and seed give the same events, however often and in
whatever order it is asked.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from hashlib import blake2b
from typing import TypeAlias, TypeVar

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import dialects
from antiphon.live.patterns.spans import CycleEvent, Places, Span, join_places

# ---- Seeded random numbers as a function of time. The same seed gives the same numbers, in any query order

_MASK = (1 << 64) - 1


def _mix(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def chance(seed: int, stream: int, time: Fraction) -> float:
    """Random number from 0 to below 1, in steps of 2 ** -53, at a time in cycles or beats; `stream`: one per use.

    A seed below 0 is a dialect.
    """
    if seed < 0:
        return dialects.draw(seed, stream, time)
    x = _mix((seed ^ _mix(stream & _MASK)) & _MASK)
    x = _mix(x ^ (time.numerator & _MASK))
    x = _mix(x ^ (time.denominator & _MASK))
    return (x >> 11) / (1 << 53)


def stream_of(name: str) -> int:
    """Random stream of a name, such as a loop's: 64 bits of its BLAKE2b hash."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())


# ---- Patterns as functions: a query maps a span of time and a seed to the active events

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
Query: TypeAlias = Callable[[Span, int], list[CycleEvent[T]]]
"""Function from (span, seed) to the events of that span."""
Timed: TypeAlias = Callable[[Fraction], Fraction]


def silence(span: Span, seed: int) -> list[CycleEvent[T]]:
    """Returns no events."""
    return []


def pure(value: T, places: Places = ()) -> Query[T]:
    """A value once a cycle, for the whole of it. `places`: its positions in the script."""

    def query(span: Span, seed: int) -> list[CycleEvent[T]]:
        return [
            CycleEvent(Span(Fraction(cycle), Fraction(cycle + 1)), part, value, places) for cycle, part in span.cycles()
        ]

    return query


def signal(at: Callable[[Fraction, int], T]) -> Query[T]:
    """Continuous signal: a query gives one event, with `at(time, seed)` at the middle of its span.

    In a dialect that reads there, at its beginning.
    """
    return lambda span, seed: [CycleEvent(None, span, at(moment(span, seed), seed))]


def moment(span: Span, seed: int) -> Fraction:
    """Time of a span at which signals and chance are read."""
    return span.begin if seed in (dialects.STRUDEL, dialects.TIDAL_1_10) else span.middle


def by_cycle(inner: Callable[[int, Span, int], list[CycleEvent[T]]]) -> Query[T]:
    """Query from a function of parts of single cycles: (cycle, span, seed) → events."""
    return lambda span, seed: [event for cycle, part in span.cycles() for event in inner(cycle, part, seed)]


def map_values(query: Query[T], change: Callable[[T], U]) -> Query[U]:
    """Maps the value of every event."""
    return lambda span, seed: [event.with_value(change(event.value)) for event in query(span, seed)]


def keep(query: Query[T], wanted: Callable[[T], bool]) -> Query[T]:
    """Filters events by their value."""
    return lambda span, seed: [event for event in query(span, seed) if wanted(event.value)]


def retime(query: Query[T], outward: Timed, inward: Timed) -> Query[T]:
    """Maps the times of events: `outward` maps a time of the pattern to one outside, `inward` back."""
    return lambda span, seed: [event.map_time(outward) for event in query(span.map(inward), seed)]


def shift(query: Query[T], cycles: Fraction) -> Query[T]:
    """Shifts later by `cycles`; negative ones shift earlier."""
    return retime(query, lambda t: t + cycles, lambda t: t - cycles) if cycles else query


def fast(query: Query[T], factor: Fraction) -> Query[T]:
    """Speeds up by `factor`; negative ones reverse, and 0 is silence."""
    if factor == 0:
        return silence
    if factor < 0:
        return rev(fast(query, -factor))
    return retime(query, lambda t: t / factor, lambda t: t * factor) if factor != 1 else query


def rev(query: Query[T]) -> Query[T]:
    """Reverses each cycle."""

    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[T]]:
        both = 2 * cycle + 1

        def turned(turn: Span) -> Span:
            return Span(both - turn.end, both - turn.begin)

        return [
            CycleEvent(
                None if event.whole is None else turned(event.whole), turned(event.part), event.value, event.places
            )
            for event in query(turned(span), seed)
        ]

    return by_cycle(inner)


def stack(queries: Sequence[Query[T]]) -> Query[T]:
    """Plays queries simultaneously."""
    return lambda span, seed: [event for query in queries for event in query(span, seed)]


def cat(queries: Sequence[Query[T]]) -> Query[T]:
    """Concatenation, one cycle of each in turn; no cycle is skipped."""
    count = len(queries)
    if not count:
        return silence

    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[T]]:
        turn, place = divmod(cycle, count)
        return shift(queries[place], Fraction(cycle - turn))(span, seed)

    return by_cycle(inner)


def timecat(steps: Sequence[tuple[Fraction, Query[T]]]) -> Query[T]:
    """Concatenation in one cycle, each (weight above 0, query) for its share of it."""
    if len(steps) == 1:
        return steps[0][1]
    total = sum((weight for weight, _ in steps), Fraction(0))
    shares: list[tuple[Fraction, Fraction, Query[T]]] = []
    at = Fraction(0)
    for weight, query in steps:
        shares.append((at / total, weight / total, query))
        at += weight

    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[T]]:
        events: list[CycleEvent[T]] = []
        for place, length, query in shares:
            first = cycle + place
            here = span.overlap(Span(first, first + length))
            if here is not None:
                events += squeeze_cycle(query, cycle, first, length)(here, seed)
        return events

    return by_cycle(inner)


def squeeze_cycle(query: Query[T], cycle: int, first: Fraction, length: Fraction) -> Query[T]:
    """Squeezes cycle number `cycle` of a query into `length`, from `first` on."""
    return retime(query, lambda t: first + (t - cycle) * length, lambda t: cycle + (t - first) / length)


def fastcat(queries: Sequence[Query[T]]) -> Query[T]:
    """Concatenation in one cycle, in equal shares."""
    return fast(cat(queries), Fraction(len(queries)))


def apply_left(left: Query[T], right: Query[U], join: Callable[[T, U], V]) -> Query[V]:
    """Joins the values of two patterns at each overlap, with the left one's time structure."""

    def query(span: Span, seed: int) -> list[CycleEvent[V]]:
        events: list[CycleEvent[V]] = []
        for event in left(span, seed):
            for other in right(event.reach, seed):
                part = event.part.overlap(other.part)
                if part is not None:
                    places = join_places(event.places, other.places)
                    events.append(CycleEvent(event.whole, part, join(event.value, other.value), places))
        return events

    return query


def apply_both(left: Query[T], right: Query[U], join: Callable[[T, U], V]) -> Query[V]:
    """Joins the values of two patterns at overlaps; the result has the time structure of both."""

    def query(span: Span, seed: int) -> list[CycleEvent[V]]:
        events: list[CycleEvent[V]] = []
        others = right(span, seed)
        for event in left(span, seed):
            for other in others:
                part = event.part.overlap(other.part)
                if part is None:
                    continue
                if event.whole is None or other.whole is None:
                    whole = event.whole or other.whole
                else:
                    whole = event.whole.overlap(other.whole)
                places = join_places(event.places, other.places)
                events.append(CycleEvent(whole, part, join(event.value, other.value), places))
        return events

    return query


def join_inner(outer: Query[Query[T]]) -> Query[T]:
    """Flattens a pattern of patterns: the events of each while it is active."""

    def query(span: Span, seed: int) -> list[CycleEvent[T]]:
        return [
            event.at(join_places(event.places, chosen.places)) if chosen.places else event
            for chosen in outer(span, seed)
            for event in chosen.value(chosen.part, seed)
        ]

    return query


def for_each(argument: Query[U], change: Callable[[U], Query[T]]) -> Query[T]:
    """Calls `change` for each value of a pattern, while it is active."""
    return join_inner(map_values(argument, change))


def segment(query: Query[T], count: Fraction) -> Query[T]:
    """Signal sampled `count` times a cycle: an event of equal length for each."""
    return apply_left(fast(pure(None), count), query, lambda _, value: value)


def when(query: Query[T], change: Query[T], test: Callable[[int], bool]) -> Query[T]:
    """Plays `change` in the cycles whose number passes the test, else `query`."""
    return by_cycle(lambda cycle, span, seed: (change if test(cycle) else query)(span, seed))


def drop(query: Query[T], share: float, stream: int, *, rest: bool = False) -> Query[T]:
    """Randomly drops a fraction of the events, 0 to 1; with `rest` keeps only these."""

    def inner(span: Span, seed: int) -> list[CycleEvent[T]]:
        return [event for event in query(span, seed) if chosen(seed, event.reach)]

    def chosen(seed: int, whole: Span) -> bool:
        drawn = chance(seed, stream, moment(whole, seed))
        if drawn == share and seed == dialects.STRUDEL:
            return False
        return (drawn < share) is rest

    return inner


def one_of(queries: Sequence[Query[T]], stream: int) -> Query[T]:
    """Chooses one query at random for each cycle."""

    def inner(cycle: int, span: Span, seed: int) -> list[CycleEvent[T]]:
        place = int(chance(seed, stream, cycle_moment(cycle, seed)) * len(queries))
        if (
            seed in (dialects.TIDAL, dialects.TIDAL_1_10) and stream >= dialects.FIRST_STREAM
        ):  # that much later in `cat`
            return shift(cat(queries), Fraction(-place))(span, seed)
        return queries[place](span, seed)

    return by_cycle(inner) if queries else silence


def cycle_moment(cycle: int, seed: int) -> Fraction:
    """Time at which chance is read for a whole cycle."""
    return Fraction(cycle) if seed >= 0 else moment(Span(Fraction(cycle), Fraction(cycle + 1)), seed)


MAX_STEPS = 1024
"""Maximum steps of a rhythm: more than anyone plays in a cycle."""


def rhythm(pulses: int, steps: int) -> list[bool]:
    """Onset flags of `steps` steps, by Bjorklund's algorithm.

    See Toussaint, "The Euclidean algorithm generates traditional musical rhythms", 2005. With more than `steps` pulses
    every step has an onset.
    """
    pulses = min(pulses, steps)
    groups, rest = [[True]] * pulses, [[False]] * (steps - pulses)
    while len(rest) > 1 and groups:
        both = min(len(groups), len(rest))
        joined = [a + b for a, b in zip(groups, rest, strict=False)]
        groups, rest = joined, groups[both:] + rest[both:]
    return [step for group in groups + rest for step in group]


def euclid(query: Query[T], pulses: int, steps: int, rotation: int = 0) -> Query[T]:
    """Plays a pattern's cycle on each onset of a rhythm of `steps` a cycle; silence for 0.

    Negative `pulses` play on the steps without an onset in the rhythm of `-pulses`; the pattern starts `rotation` steps
    later.

    Raises UsageError: too many steps.
    """
    if steps <= 0:
        return silence
    if max(steps, abs(pulses)) > MAX_STEPS:
        raise UsageError(f"a euclidean rhythm takes up to {MAX_STEPS} steps, not {max(steps, abs(pulses))}")
    on = pulses >= 0
    cycle = fastcat([query if step is on else silence for step in rhythm(abs(pulses), steps)])
    return shift(cycle, Fraction(-rotation, steps))
