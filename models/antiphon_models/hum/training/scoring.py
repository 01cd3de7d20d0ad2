"""Note F1 without mir_eval, for validation while training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ONSET, PITCH = 0.05, 0.5


def f1(notes: NDArray[np.float32], found: Sequence[tuple[float, float, float]]) -> float:
    """F1 of found notes against `notes` `[n, 3]`, each row start and end in s and MIDI number.

    A note is matched once, to the nearest onset within `ONSET` s whose pitch is less than `PITCH` semitones away.
    """
    if not len(found):
        return 0.0
    taken: set[int] = set()
    hits = 0
    for start, _, pitch in notes:
        best, near = -1, ONSET
        for n, (at, _, number) in enumerate(found):
            if n not in taken and abs(at - start) <= near and abs(number - pitch) < PITCH:
                best, near = n, abs(at - start)
        if best >= 0:
            taken.add(best)
            hits += 1
    return 2.0 * hits / (len(notes) + len(found))
