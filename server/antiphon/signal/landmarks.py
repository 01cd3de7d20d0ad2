"""Landmarks for audio fingerprinting, points of time and pitch, as compact bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LANDMARK = np.dtype([("time", "<u4"), ("pitch", "<u2")])
_PER_SECOND, _PER_HERTZ = 1000.0, 10.0
"""Steps per second and per hertz; 16 bits of frequency reach 6.5 kHz."""
F64 = NDArray[np.float64]


def pack_landmarks(seconds: ArrayLike, hertz: ArrayLike) -> bytes:
    """Packs landmarks `[n]` of seconds from 0 and Hz to 6553 in 6 bytes each, in order of time.

    Raises ValueError: a number is out of range, or they are not as many.
    """
    times, pitches = (np.asarray(values, np.float64) for values in (seconds, hertz))
    if times.shape != pitches.shape or times.ndim != 1:
        raise ValueError("landmarks are as many times as frequencies")
    whole = np.rint(times * _PER_SECOND), np.rint(pitches * _PER_HERTZ)
    limits = [np.iinfo(kind).max for kind in (np.uint32, np.uint16)]
    if not all(((row >= 0) & (row <= most)).all() for row, most in zip(whole, limits, strict=True)):
        raise ValueError("a landmark is out of range")
    packed = np.empty(len(times), _LANDMARK)
    packed["time"], packed["pitch"] = whole
    return packed[np.argsort(whole[0], kind="stable")].tobytes()


def unpack_landmarks(data: bytes) -> tuple[F64, F64]:
    """Inverse of `pack_landmarks`: seconds and Hz; an incomplete trailing record of damaged bytes is ignored."""
    rows = np.frombuffer(data[: len(data) // _LANDMARK.itemsize * _LANDMARK.itemsize], _LANDMARK)
    return rows["time"] / _PER_SECOND, rows["pitch"] / _PER_HERTZ
