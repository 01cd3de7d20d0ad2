"""Landmarks for audio fingerprinting, points of time and pitch, as compact bytes."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LANDMARK = np.dtype([("time", "<u4"), ("pitch", "<u2")])
_PER_SECOND, _PER_HERTZ = 1000.0, 10.0
"""Steps per second and per hertz; 16 bits of frequency reach 6.5 kHz."""
F64 = NDArray[np.float64]


def pack_landmarks(seconds: ArrayLike, hertz: ArrayLike) -> bytes:
    """Packs landmarks `[n]` of seconds from 0 and Hz to 6553 in 6 bytes each, in order of time.

    Raises ValueError: a number is out of range, or the counts differ.
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


PIECES_PER_SECOND = 500
"""Level pieces per second, 2 ms each: shorter than the attack of a drum."""
ONSET_RISE = 0.8
"""Minimum level rise of an onset in octaves, about 5 dB."""
ONSETS_APART = 0.045
"""Minimum distance of onsets in seconds; 16ths at 300 bpm are 50 ms apart."""
_FLOOR, _SHARP_FLOOR = 0.02, 0.3
"""Onset floors relative to the loudest piece, -34 dB, and to the sharpest, -10 dB."""


def piece_frames(rate: int) -> int:
    """Frames of a piece."""
    return max(1, rate // PIECES_PER_SECOND)


def level_rises(mono: NDArray[np.floating], rate: int, lags: Sequence[int], *, circular: bool) -> NDArray[np.floating]:
    """Level rise of each piece, or of the one after it, over the loudest of the pieces before it.

    The level is the RMS of a piece plus twice that of its differences, so that a hi-hat over a bass counts. If the
    level of the differences alone, over all pieces nearer than `ONSETS_APART`, rises more, that is used, so that a
    snare under a loud bass counts, but a bass's own periods do not. `mono`: the sound, a whole number of pieces
    (`piece_frames`) long. `circular`: whether the sound's end precedes its beginning; otherwise silence does. Returns
    octaves, one for each piece, in the type of `mono`.
    """
    sharp = np.diff(mono, prepend=mono[:1] if circular else np.zeros(1, mono.dtype))
    level, edges = (np.sqrt((x**2).reshape(-1, piece_frames(rate)).mean(axis=1)) for x in (mono, sharp))
    level += 2.0 * edges
    apart = range(min(lags), math.ceil(ONSETS_APART * PIECES_PER_SECOND))
    rises = _rises(level, lags, _FLOOR, circular=circular), _rises(edges, apart, _SHARP_FLOOR, circular=circular)
    return np.asarray(np.maximum(*rises))


def onset_frames(mono: NDArray[np.floating], rate: int, lags: Sequence[int], *, circular: bool) -> list[int]:
    """Onsets in order: first frames of the pieces where `level_rises`, of which these are the arguments, has a peak."""
    step = piece_frames(rate)
    count, frames = len(mono) // step, list[int]()
    if count < 8:
        return frames
    rise = level_rises(mono[: count * step], rate, lags, circular=circular)
    for n in np.flatnonzero((rise > ONSET_RISE) & (rise >= np.roll(rise, 1)) & (rise > np.roll(rise, -1))):
        if not frames or n * step - frames[-1] > ONSETS_APART * rate:
            frames.append(int(n) * step)
    return frames


def _rises(level: NDArray[np.floating], lags: Sequence[int], floor: float, *, circular: bool) -> NDArray[np.floating]:
    def shifted(by: int) -> NDArray[np.floating]:
        there: NDArray[np.floating] = np.roll(level, by)
        if not circular:
            there[: max(0, by)] = 0.0
            there[len(there) + min(0, by) :] = 0.0
        return there

    before = np.maximum.reduce([shifted(by) for by in lags])
    least = floor * float(level.max()) + 1e-9
    return np.asarray(np.log2((np.maximum(level, shifted(-1)) + least) / (before + least)))
