"""Sample slicing: equal parts, or at onsets."""

from __future__ import annotations

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.analysis import ONSET_RISE, ONSETS_APART, level_rises, listening_mono, piece_frames

BEHIND = range(1, 10)
"""Look-back in level pieces that an onset exceeds, 18 ms: longer than a period of a bass drum's beginning."""
MOST = 512
"""Maximum slices of a sample."""


def onsets(sound: Samples, rate: int) -> tuple[int, ...]:
    """Onset frames, ascending, in float32 `[channels, frames]`; the first is 0.

    The level of a 2 ms piece has to exceed the loudest of the pieces before it (`level_rises`). An onset is moved back
    to the start of the rise within its piece.
    """
    step = piece_frames(rate)
    count = sound.shape[1] // step
    if count <= BEHIND.stop:
        return (0,)
    mono = listening_mono(sound)[: count * step].astype(np.float64)
    rise = level_rises(mono, rate, BEHIND, circular=False)
    found = [0]
    for n in np.flatnonzero(rise > ONSET_RISE):
        frame = _beginning(mono, int(n), step)
        if frame - found[-1] > ONSETS_APART * rate and len(found) < MOST:
            found.append(frame)
    return tuple(found)


def _beginning(mono: np.ndarray[tuple[int], np.dtype[np.float64]], piece: int, step: int) -> int:
    """First frame of a piece, or of the next, above a quarter of its peak over the preceding level."""
    first = piece * step
    here = np.abs(mono[first : first + 2 * step])
    before = float(np.abs(mono[max(0, first - 2 * step) : first]).max(initial=0.0))
    over = np.flatnonzero(here > before + 0.25 * (float(here.max()) - before))
    return first + (int(over[0]) if len(over) else 0)


def region(frames: int, cuts: tuple[int, ...], slices: int, number: int) -> tuple[int, int]:
    """First frame of a slice and the frame after its last, at least one apart; `number` wraps.

    `slices` equal ones; 0 cuts at the onsets `cuts`.
    """
    if slices > 0:
        place = number % slices
        first, last = frames * place // slices, frames * (place + 1) // slices
    else:
        place = number % len(cuts)
        first, last = cuts[place], cuts[place + 1] if place + 1 < len(cuts) else frames
    return first, max(first + 1, last)


def between(first: int, last: int, begin: float, end: float) -> tuple[int, int]:
    """The part of frames `first` to `last` from the share `begin` to `end`, in either order; at least one frame."""
    begin, end = min(begin, end), max(begin, end)
    length = last - first
    at = first + min(length - 1, round(begin * length))
    return at, max(at + 1, first + round(end * length))
