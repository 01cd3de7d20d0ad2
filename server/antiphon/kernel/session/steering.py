"""The tempo by which the musical clock reaches another clock without a leap."""

from __future__ import annotations

NEAR, FAR = 0.15, 1.0
"""Shares of the distance that are made up for in a beat: of a small one, where it is noise, and from `WIDE` on."""
WIDE = 0.02
"""Beats."""
MOST = 0.1
"""Share by which the tempo leaves the other clock's at most."""
LEAP = 0.25
"""Beats of distance beyond which the clock is moved, for to catch up would take seconds of a wrong tempo."""
RESOLUTION = 1e-4
"""Share of the tempo below which a new one makes no difference."""


def steered_tempo(bpm: float, away: float) -> float:
    """Gives the tempo at which the clock approaches another clock.

    Args:
        bpm: The other clock's tempo.
        away: Beats by which the other clock is ahead.

    Returns:
        Beats per minute: within `MOST` of `bpm`.
    """
    share = away * (NEAR + (FAR - NEAR) * min(1.0, (away / WIDE) ** 2))
    return bpm * (1.0 + max(-MOST, min(MOST, share)))


def same_tempo(one: float, other: float) -> bool:
    """Compares two tempos.

    Args:
        one: Beats per minute.
        other: Beats per minute.

    Returns:
        Whether they differ by less than `RESOLUTION`.
    """
    return abs(one - other) < RESOLUTION * other
