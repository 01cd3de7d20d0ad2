"""Signals: patterns that change continuously, from 0 to 1. `range` scales them, `segment` turns them into events."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import queries
from antiphon.live.patterns.arguments import Argument, each, whole
from antiphon.live.patterns.pattern import MAX_TIMES, Pattern, pure
from antiphon.live.patterns.queries import chance

T = TypeVar("T")
_SMOOTH, _CHOICE = 1 << 33, 1 << 34
"""Random streams."""


def _wave(shape: Callable[[float], float]) -> Pattern[float]:
    return Pattern(queries.signal(lambda time, seed: shape(float(time % 1))))


sine: Pattern[float] = _wave(lambda t: 0.5 + 0.5 * math.sin(2.0 * math.pi * t))
"""A sine, once a cycle: 0.5 at its beginning, 1 after a quarter."""
cosine: Pattern[float] = _wave(lambda t: 0.5 + 0.5 * math.cos(2.0 * math.pi * t))
"""A cosine, once a cycle: 1 at its beginning."""
saw: Pattern[float] = _wave(lambda t: t)
"""Rises from 0 to 1 in each cycle."""
isaw: Pattern[float] = _wave(lambda t: 1.0 - t)
"""Falls from 1 to 0 in each cycle."""
tri: Pattern[float] = _wave(lambda t: 2.0 * t if t < 0.5 else 2.0 - 2.0 * t)
"""Rises from 0 to 1 and falls back in each cycle."""
square: Pattern[float] = _wave(lambda t: float(t >= 0.5))
"""0 in the first half of each cycle, 1 in the second."""
rand: Pattern[float] = Pattern(queries.signal(lambda time, seed: chance(seed, _SMOOTH, time)))
"""A random number for each moment, 0 to below 1."""


def _between(time: Fraction, seed: int) -> float:
    cycle = math.floor(time)
    low, high = (chance(seed, _SMOOTH + 1, Fraction(n)) for n in (cycle, cycle + 1))
    at = float(time - cycle)
    if seed < 0:  # Perlin's curve, "Improving noise", 2002
        return low + (high - low) * at**3 * (at * (6.0 * at - 15.0) + 10.0)
    return low + (high - low) * (0.5 - 0.5 * math.cos(math.pi * at))


perlin: Pattern[float] = Pattern(queries.signal(_between))
"""Random curve: moves smoothly from one random number to another in each cycle."""


def irand(count: Argument) -> Pattern[int]:
    """A whole number by chance for each moment, from 0 to below `count`."""
    return Pattern(each(count, "irand", lambda n: queries.map_values(rand.events, lambda value: int(value * float(n)))))


def run(count: Argument) -> Pattern[int]:
    """The numbers from 0 to below `count`, in one cycle."""

    def numbered(n: Fraction) -> queries.Query[int]:
        return queries.fastcat([queries.pure(k) for k in range(whole(n, "run", 0, MAX_TIMES))])

    return Pattern(each(count, "run", numbered))


def choose(*values: T, seed: int = 0) -> Pattern[T]:
    """A random one of several values for each moment; `segment(4)` turns it into four events a cycle.

    Raises UsageError: there is no value to choose from.
    """
    if not values:
        raise UsageError("choose takes one or more values, as in choose('c4', 'e4')")
    found = queries.signal(lambda time, given: values[int(chance(given, _CHOICE + seed, time) * len(values))])
    if any(isinstance(value, Pattern) for value in values):
        return Pattern(queries.join_inner(queries.map_values(found, lambda value: pure(value).events)))
    return Pattern(found)
