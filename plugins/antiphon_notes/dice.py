"""Stateless random numbers of a seed and a count, the same in a replay."""

from __future__ import annotations

_MASK = (1 << 64) - 1


def dice(seed: int, count: int) -> float:
    """Random number in [0, 1) (splitmix64: Steele, Lea and Flood, OOPSLA 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + (count + 1) * 0xD1342543DE82EF95) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)
