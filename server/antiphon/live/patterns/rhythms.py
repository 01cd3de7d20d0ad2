"""Euclidean rhythms: onsets spread over steps as evenly as possible."""

from __future__ import annotations

from fractions import Fraction

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import queries
from antiphon.live.patterns.queries import Query, T

MOST_STEPS = 1024
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
    """A pattern's cycle on each onset of a rhythm of `steps` a cycle; silence for 0.

    With `pulses` below 0, on the steps without an onset of the rhythm of `-pulses`; the pattern starts `rotation` steps
    later.

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
