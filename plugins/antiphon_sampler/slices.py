"""Where a sample is cut: into equal parts, or where something is struck."""

from __future__ import annotations

import numpy as np

from antiphon.api import Samples

STEP = 0.002
"""Seconds of a piece whose level is measured."""
BEHIND = 9
"""Pieces, 18 ms, over whose loudest a piece has to rise: longer than a period of a bass drum's beginning."""
RISE = 0.8
"""Octaves of level, about 5 dB, by which it has to rise."""
FLOOR = 0.02
"""Of the loudest piece, -34 dB: what is softer is no onset."""
APART = 0.045
"""Seconds from one onset to the next at least; 16ths at 300 bpm are 50 ms apart."""
MOST = 512
"""Slices of a sample."""


def onsets(sound: Samples, rate: int) -> tuple[int, ...]:
    """Finds the frames at which something is struck.

    The level of a piece of 2 ms, with its differences weighted double so that a hi-hat over a bass counts, has to rise
    over the loudest of the pieces before it. An onset is set back to where its piece begins to rise.

    Args:
        sound: float32 `[channels, frames]`.
        rate: Frames per second.

    Returns:
        Frames, ascending; the first is 0, whatever begins there.
    """
    step = max(1, round(STEP * rate))
    count = sound.shape[1] // step
    if count < BEHIND + 2:
        return (0,)
    mono = sound.mean(axis=0, dtype=np.float64)[: count * step]
    sharp = np.diff(mono, prepend=0.0)
    level = np.sqrt((mono**2).reshape(count, step).mean(axis=1))
    level += 2.0 * np.sqrt((sharp**2).reshape(count, step).mean(axis=1))
    floor = FLOOR * float(level.max()) + 1e-9
    padded = np.concatenate([np.zeros(BEHIND), level])
    before = np.max(np.lib.stride_tricks.sliding_window_view(padded, BEHIND)[:count], axis=1)
    ahead = np.maximum(level, np.append(level[1:], 0.0))
    rise = np.log2((ahead + floor) / (before + floor))
    found = [0]
    for n in np.flatnonzero(rise > RISE):
        frame = _beginning(mono, int(n), step)
        if frame - found[-1] > APART * rate and len(found) < MOST:
            found.append(frame)
    return tuple(found)


def _beginning(mono: np.ndarray[tuple[int], np.dtype[np.float64]], piece: int, step: int) -> int:
    """The frame of a piece, or of the next, where it first exceeds a quarter of its peak over what was before."""
    first = piece * step
    here = np.abs(mono[first : first + 2 * step])
    before = float(np.abs(mono[max(0, first - 2 * step) : first]).max(initial=0.0))
    over = np.flatnonzero(here > before + 0.25 * (float(here.max()) - before))
    return first + (int(over[0]) if len(over) else 0)


def region(frames: int, cuts: tuple[int, ...], slices: int, number: int) -> tuple[int, int]:
    """The first frame of a slice and the frame after its last.

    Args:
        frames: Of the sample.
        cuts: Its onsets.
        slices: Number of equal slices; 0 cuts at the onsets.
        number: Of the slice, which wraps.

    Returns:
        Frames; at least one apart.
    """
    if slices > 0:
        place = number % slices
        first, last = frames * place // slices, frames * (place + 1) // slices
    else:
        place = number % len(cuts)
        first, last = cuts[place], cuts[place + 1] if place + 1 < len(cuts) else frames
    return first, max(first + 1, last)
