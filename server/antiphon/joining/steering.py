"""How the clock follows that of another program."""

NEAR, FAR = 0.15, 1.0
"""Shares of the beat error corrected per beat: of a small error, treated as noise, and from `WIDE_ERROR` on."""
WIDE_ERROR = 0.02
"""Beat error from which the share `FAR` of it is corrected."""
MAX_TEMPO_DEVIATION = 0.1
"""Maximum relative deviation from the other clock's tempo."""
LEAP = 0.25
"""Beat error beyond which the clock jumps: catching up would take seconds at a wrong tempo."""
RESOLUTION = 1e-4
"""Relative tempo difference below which two tempos are the same."""


def steered_tempo(bpm: float, away: float) -> float:
    """Tempo at which the clock converges to another, `away` beats ahead: bpm within `MAX_TEMPO_DEVIATION` of `bpm`."""
    share = away * (NEAR + (FAR - NEAR) * min(1.0, (away / WIDE_ERROR) ** 2))
    return bpm * (1.0 + max(-MAX_TEMPO_DEVIATION, min(MAX_TEMPO_DEVIATION, share)))


def same_tempo(one: float, other: float) -> bool:
    """True if two tempos are the same within `RESOLUTION`."""
    return abs(one - other) < RESOLUTION * other
