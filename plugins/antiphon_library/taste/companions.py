"""Which tracks are played together: cosines between who played them, drawn towards 0 where few did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

MOST_TRACKS = 4000
"""Tracks that are compared, those with most plays; memory and time grow with the square."""
NEAREST = 60
"""Companions of a track."""
SHRINK = 20.0
"""Plays that are added to those of each track before it is compared."""


def companions(lists: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, float]]:
    """(track, other, weight) of tracks in the same lists, in both directions, weight between 0 and 1."""
    plays = Counter(track for tracks in lists for track in set(tracks))
    known = sorted(track for track, _ in plays.most_common(MOST_TRACKS))
    place = {track: n for n, track in enumerate(known)}
    counts: NDArray[np.float32] = np.zeros((len(known), len(known)), np.float32)
    for tracks in lists:
        inside = np.array(sorted({place[track] for track in tracks if track in place}), np.int64)
        counts[np.ix_(inside, inside)] += 1.0
    total = np.sqrt(counts.diagonal() + SHRINK)
    counts /= total[:, None]
    counts /= total[None]
    np.fill_diagonal(counts, 0.0)
    pairs: dict[tuple[int, int], float] = {}
    for row in range(len(known)):
        near = np.argsort(-counts[row], kind="stable")[:NEAREST]
        for other in near[counts[row, near] > 0.0]:
            weight = float(counts[row, other])
            pairs[known[row], known[other]] = pairs[known[other], known[row]] = weight
    for (track, other), weight in sorted(pairs.items()):
        yield track, other, weight
