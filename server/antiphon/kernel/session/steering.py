"""Tempo steering: follows another clock's beat without a jump."""

from __future__ import annotations

NEAR, FAR = 0.15, 1.0
"""Shares of the beat error corrected per beat: of a small one, treated as noise, and from `WIDE` on."""
WIDE = 0.02
"""Beat error from which it is corrected at the share `FAR`."""
MOST = 0.1
"""Maximum relative deviation from the other clock's tempo."""
LEAP = 0.25
"""Beat error beyond which the clock jumps: catching up would take seconds at a wrong tempo."""
RESOLUTION = 1e-4
"""Relative tempo difference below which two tempos are the same."""


def steered_tempo(bpm: float, away: float) -> float:
    """Tempo at which the clock converges to another clock.

    `away`: beats by which the other clock is ahead. Returns beats per minute: within `MOST` of `bpm`.
    """
    share = away * (NEAR + (FAR - NEAR) * min(1.0, (away / WIDE) ** 2))
    return bpm * (1.0 + max(-MOST, min(MOST, share)))


def same_tempo(one: float, other: float) -> bool:
    """True if two tempos are the same within `RESOLUTION`."""
    return abs(one - other) < RESOLUTION * other
