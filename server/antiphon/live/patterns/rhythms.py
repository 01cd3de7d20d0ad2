"""Euclidean rhythms: so many beginnings spread over so many steps as evenly as whole steps allow."""

from __future__ import annotations

from fractions import Fraction

from antiphon.errors import UsageError
from antiphon.live.patterns import queries
from antiphon.live.patterns.queries import Query, T

MOST_STEPS = 1024
"""Steps of a rhythm: more than anyone plays in a cycle."""


def rhythm(pulses: int, steps: int) -> list[bool]:
    """Where the beginnings are, by Bjorklund's algorithm (Toussaint, "The Euclidean algorithm generates traditional
    musical rhythms", 2005).

    Args:
        pulses: How many beginnings; of more than `steps`, every step has one.
        steps: How many steps, 0 to `MOST_STEPS`.

    Returns:
        For each step, whether something begins there.
    """
    pulses = min(pulses, steps)
    groups, rest = [[True]] * pulses, [[False]] * (steps - pulses)
    while len(rest) > 1 and groups:
        both = min(len(groups), len(rest))
        joined = [a + b for a, b in zip(groups, rest, strict=False)]
        groups, rest = joined, groups[both:] + rest[both:]
    return [step for group in groups + rest for step in group]


def euclid(query: Query[T], pulses: int, steps: int, rotation: int = 0) -> Query[T]:
    """A pattern's cycle on each beginning of a rhythm.

    Args:
        query: The pattern.
        pulses: How many; below 0, on the steps on which the rhythm of `-pulses` has none.
        steps: Of a cycle; silence for 0.
        rotation: Steps by which the rhythm begins later in itself.

    Raises:
        UsageError: Too many steps.
    """
    if steps <= 0:
        return queries.silence
    if max(steps, abs(pulses)) > MOST_STEPS:
        raise UsageError(f"a euclidean rhythm takes up to {MOST_STEPS} steps, not {max(steps, abs(pulses))}")
    on = pulses >= 0
    cycle = queries.fastcat([query if step is on else queries.silence for step in rhythm(abs(pulses), steps)])
    return queries.shift(cycle, Fraction(-rotation, steps))
