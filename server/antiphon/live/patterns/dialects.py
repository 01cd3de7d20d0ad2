"""Dialects of translated scripts: chance and signals as in Strudel and Tidal, whose numbers follow from the time alone.

The dialect of a script stands in place of its seed, below 0, so that it reaches every query; while a script is read,
`current` is also asked for the little that a dialect reads otherwise.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from fractions import Fraction

STRUDEL, TIDAL, TIDAL_1_10 = -1, -2, -3
"""Seeds of the dialects. Tidal reads signals in the middle of an event, from 1.10 on as Strudel at its beginning."""
DIALECTS = {"strudel": STRUDEL, "tidal": TIDAL, "tidal 1.10": TIDAL_1_10}
"""Dialects by name."""
FIRST_STREAM = 1 << 32
"""First random stream of script calls; the mini-notation uses the lower ones."""
_READING: ContextVar[int] = ContextVar("dialect", default=0)
_STEPS = 1 << 29
"""Values that a random number has."""
_CYCLES = 300
"""Cycles after which random numbers repeat."""
_BETWEEN = {STRUDEL: Fraction(3, 10_000), TIDAL: Fraction(1, 10_000), TIDAL_1_10: Fraction(1, 10_000)}
"""Cycles by which a choice of a text in mini-notation reads later than the one before it."""


def current() -> int:
    """Dialect of the script that is being read; 0 for none."""
    return _READING.get()


def begin_dialect(dialect: int) -> None:
    """Sets the dialect of the script that is being read; 0 for none."""
    _READING.set(dialect)


def track_seed(seed: int, stream: int) -> int:
    """Seed of a track: chance is the same in all tracks of a dialect."""
    return seed if seed < 0 else seed ^ stream


def draw(dialect: int, stream: int, time: Fraction) -> float:
    """Draws the random number of a time in cycles, from 0 to below 1."""
    if 0 < stream < FIRST_STREAM:
        time += (stream - 1) * _BETWEEN[dialect]
    return _share(_first(dialect, time), dialect)


def draws(dialect: int, time: Fraction, count: int) -> Sequence[float]:
    """Several random numbers of one time, for an order by chance."""
    found, state = list[float](), _first(dialect, time)
    for _ in range(count):
        found.append(_share(state, dialect, signed=True))
        state = _xorshift(state, dialect)
    return found


def _first(dialect: int, time: Fraction) -> int:
    place = float(time) / _CYCLES
    return _xorshift(int((place - int(place)) * _STEPS), dialect)


def _xorshift(x: int, dialect: int) -> int:
    """Xorshift by Marsaglia ("Xorshift RNGs", 2003), of 32 bits in Strudel, of 64 in Tidal."""
    bits = 32 if dialect == STRUDEL else 64
    x = _wrapped(x ^ (x << 13), bits)
    x ^= x >> 17
    return _wrapped(x ^ (x << 5), bits)


def _wrapped(x: int, bits: int) -> int:
    x &= (1 << bits) - 1
    return x - (1 << bits) if x >> (bits - 1) else x


def _share(x: int, dialect: int, *, signed: bool = False) -> float:
    if dialect != STRUDEL:
        return x % _STEPS / _STEPS
    rest = abs(x) % _STEPS / _STEPS
    return -rest if signed and x < 0 else rest
