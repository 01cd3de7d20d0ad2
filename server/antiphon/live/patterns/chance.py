"""Seeded random numbers as a function of time. The same seed gives the same numbers, in any query order."""

from fractions import Fraction
from hashlib import blake2b

_MASK = (1 << 64) - 1


def _mix(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def chance(seed: int, stream: int, time: Fraction) -> float:
    """Random number from 0 to below 1, in steps of 2 ** -53, at a time in cycles or beats; `stream`: of its use."""
    x = _mix((seed ^ _mix(stream & _MASK)) & _MASK)
    x = _mix(x ^ (time.numerator & _MASK))
    x = _mix(x ^ (time.denominator & _MASK))
    return (x >> 11) / (1 << 53)


def stream_of(name: str) -> int:
    """Random stream of a name, such as a loop's: 64 bits of its BLAKE2b hash."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())
