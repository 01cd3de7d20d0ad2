"""Changes of patterns as functions, to pass to `every`, `off`, `jux` and others: `every(4, fast(2))`, `jux(rev)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from antiphon.live.patterns.arguments import Argument, Truth
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.spans import Number

P = TypeVar("P", bound=Pattern[Any])
Change: TypeAlias = Callable[[Any], Any]
"""A pattern to a pattern of the same kind."""


def rev(pattern: P) -> P:
    """Plays each cycle backwards."""
    return pattern.rev()


def degrade(pattern: P) -> P:
    """Leaves out half of the events by chance."""
    return pattern.degrade()


def palindrome(pattern: P) -> P:
    """Plays every second cycle backwards."""
    return pattern.palindrome()


def fast(factor: Argument) -> Change:
    """Plays so many times as fast."""
    return lambda pattern: pattern.fast(factor)


def slow(factor: Argument) -> Change:
    """Plays so many times as slowly."""
    return lambda pattern: pattern.slow(factor)


def early(cycles: Argument) -> Change:
    """Moves to an earlier time."""
    return lambda pattern: pattern.early(cycles)


def late(cycles: Argument) -> Change:
    """Moves to a later time."""
    return lambda pattern: pattern.late(cycles)


def ply(times: Argument) -> Change:
    """Plays each event so many times within its own length."""
    return lambda pattern: pattern.ply(times)


def degrade_by(share: Argument, seed: int = 0) -> Change:
    """Leaves out a share of the events by chance."""
    return lambda pattern: pattern.degrade_by(share, seed)


def every(cycles: Argument, change: Change, first: int = 0) -> Change:
    """Changes every so many cycles one."""
    return lambda pattern: pattern.every(cycles, change, first)


def off(cycles: Argument, change: Change) -> Change:
    """Adds the pattern itself, later and changed."""
    return lambda pattern: pattern.off(cycles, change)


def struct(rhythm: Truth) -> Change:
    """Plays where a rhythm has events."""
    return lambda pattern: pattern.struct(rhythm)


def mask(switches: Truth) -> Change:
    """Silences while switches are off."""
    return lambda pattern: pattern.mask(switches)


def euclid(pulses: Argument, steps: Argument, rotation: Argument = 0) -> Change:
    """Plays in a euclidean rhythm."""
    return lambda pattern: pattern.euclid(pulses, steps, rotation)


def put(**values: Argument) -> Callable[[ControlPattern], ControlPattern]:
    """Gives each event further values."""
    return lambda pattern: pattern.set(**values)


def add(other: Argument = 0, **values: Argument) -> Change:
    """Adds to notes, numbers or named values."""
    return lambda pattern: pattern.add(other, **values)


def echo(times: int, cycles: Number, fade: float = 0.6) -> Callable[[ControlPattern], ControlPattern]:
    """Repeats each event later and softer."""
    return lambda pattern: pattern.echo(times, cycles, fade)


def chop(pieces: int) -> Callable[[ControlPattern], ControlPattern]:
    """Cuts each sample into pieces."""
    return lambda pattern: pattern.chop(pieces)
