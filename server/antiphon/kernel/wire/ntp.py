"""NTP time tags and the Unix clock, in whole nanoseconds."""

EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""
_NS = 1_000_000_000
_ERA = 1 << 32


def to_unix_ns(timetag: int) -> int:
    """Nanoseconds since 1970, rounded to the nearest. The 32-bit seconds wrap in 2036: small values are after that."""
    seconds, fraction = timetag >> 32, timetag & (_ERA - 1)
    if seconds < _ERA >> 1:
        seconds += _ERA
    return (seconds - EPOCH) * _NS + ((fraction * _NS + (1 << 31)) >> 32)


def from_unix_ns(ns: int) -> int:
    """The time tag nearest to `ns` nanoseconds since 1970."""
    seconds, rest = divmod(ns, _NS)
    stamp = ((seconds + EPOCH) << 32) + ((rest << 32) + _NS // 2) // _NS
    return stamp & ((1 << 64) - 1)
