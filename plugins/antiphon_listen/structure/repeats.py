"""Repetition and novelty on beats: similarity of beats, and boundaries of repeated segments.

A self-similarity matrix of beats (Foote, ICME 2000), its diagonals summed over segments: a diagonal of high similarity
is a repeat (Goto, ICASSP 2003), and its ends are part boundaries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon_listen.signals import MusicCurves

I64 = NDArray[np.int64]
_TREBLE = 0.5
"""Weight of the treble alone in the similarity of two beats: a melody distinguishes parts with the same chords."""
_NEAREST = 8
"""Minimum distance in beats of a repeat: a sustained chord is no repeat."""
_LOOSE = 4
"""Number of best repeats averaged per beat."""


def beat_rows(curves: MusicCurves, beats: F64) -> F64:
    """Pitch classes of both halves of each beat, without the recording's mean, of length 1, `[n, 72]`."""
    halves = np.stack([beats, beats + 0.5 * np.diff(beats, append=2.0 * beats[-1] - beats[-2])], axis=1).ravel()
    notes = np.sqrt(curves.per_interval(halves)).reshape(len(beats), 2, 24)
    parts = []
    for part, share in (
        (notes.reshape(len(beats), -1), 1.0 - _TREBLE),
        (notes[:, :, 12:].reshape(len(beats), -1), _TREBLE),
    ):
        even = part - part.mean(axis=0)
        parts.append(np.sqrt(share) * even / (np.linalg.norm(even, axis=1, keepdims=True) + 1e-9))
    return np.asarray(np.concatenate(parts, axis=1))


def novelty(similarity: F64, beats: int) -> F64:
    """Novelty at each beat: dissimilarity of the beats before and after it, `[n]` (Foote's kernel)."""
    count = len(similarity)
    total = np.zeros((count + 1, count + 1))
    total[1:, 1:] = similarity.cumsum(axis=0).cumsum(axis=1)
    at = np.arange(count)
    size = np.minimum(beats, np.minimum(at, count - at))

    def mean(first: I64, last: I64, start: I64, end: I64) -> F64:
        inside = total[last, end] - total[first, end] - total[last, start] + total[first, start]
        return np.asarray(inside / np.maximum(1, size * size))

    low, high = at - size, at + size
    return mean(low, at, low, at) + mean(at, high, at, high) - 2.0 * mean(low, at, at, high)


def repetition(similarity: F64, beats: int) -> F64:
    """Repetition features of each beat, `[n, 6]`, by segments of `beats` beats.

    Best repeat of the segment after the beat, and before it; strongest start and end of a repeat at the beat; and the
    means of the best few of both.
    """
    count = len(similarity)
    ahead = np.zeros((count + 1, count + 1))
    behind = np.zeros((count + 1, count + 1))
    last = count + 1 - beats
    if last > 1:
        total = diagonal_sums(similarity)
        ahead[:last, :last] = (total[beats:, beats:] - total[:last, :last]) / beats
        behind[beats:, beats:] = ahead[:last, :last]
    at = np.arange(count + 1)
    near = np.abs(at[:, None] - at[None]) < _NEAREST
    ahead[near] = behind[near] = 0.0
    change = np.sort(ahead - behind, axis=1)
    loose = min(_LOOSE, count)
    columns = (
        ahead.max(axis=1),
        behind.max(axis=1),
        change[:, -1],
        -change[:, 0],
        change[:, -loose:].mean(axis=1),
        -change[:, :loose].mean(axis=1),
    )
    return np.stack(columns, axis=1)[:count]


def diagonal_sums(similarity: F64) -> F64:
    """Cumulative sums along diagonals, `[n + 1, n + 1]`."""
    count = len(similarity)
    total = np.zeros((count + 1, count + 1))
    for n in range(count):
        total[n + 1, 1:] = total[n, :-1] + similarity[n]
    return total


def matches(similarity: F64, beats: int, most: int) -> tuple[I64, F64]:
    """Most similar beats of each beat, by segments of `beats` beats around both, and similarity: `[n, most]`."""
    count, half = len(similarity), beats // 2
    around = np.zeros((count, count))
    if count > 2 * half:
        total = diagonal_sums(similarity)
        size = count - 2 * half
        around[half : half + size, half : half + size] = (
            total[2 * half : count, 2 * half : count] - total[:size, :size]
        ) / (2 * half)
    at = np.arange(count)
    around[np.abs(at[:, None] - at[None]) < _NEAREST + _LOOSE] = 0.0
    places = np.argsort(-around, axis=1, kind="stable")[:, :most]
    return places, np.take_along_axis(around, places, axis=1)
