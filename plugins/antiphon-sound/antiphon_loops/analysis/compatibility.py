"""Embedding of a loop's harmony and rhythm by its grid of 16ths; the product of two is their compatibility."""

from typing import Any

import numpy as np

from antiphon.api import F32
from antiphon_loops.analysis.region import LoopReading
from antiphon_loops.analysis.spectrum import LOWEST, Picture

BARS, STEPS = 4, 64
CLASSES, BEATS = 12, 16
WEIGHTS = (8.0, 1.6)
"""Weights of harmony and rhythm in the product of two vectors, chosen on songs of validation."""


def grid(seen: Picture, bars: int) -> F32:
    """Pitch classes, and onsets of low bands in the last row, float32 `[CLASSES + 1, STEPS]`, of 0 to 1.

    A loop of fewer bars is repeated; of a longer one the first four are used.
    """
    level = np.sqrt(seen.notes)
    classes = np.zeros((level.shape[1], CLASSES))
    for pitch, row in enumerate(level):
        classes[:, (pitch + LOWEST) % CLASSES] += row
    chroma = _steps(classes, bars, STEPS)
    onsets = _steps(seen.onsets[:1].T, bars, STEPS)
    return np.hstack([part / (part.max() + 1e-9) for part in (chroma, onsets)]).T.astype(np.float32)


def _steps(rows: np.ndarray[tuple[int, ...], np.dtype[np.floating]], bars: int, steps: int) -> F32:
    """Means of `[frames, n]`, a circle of `bars` bars, around each of `steps` positions in four bars."""
    frames = len(rows)
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(np.concatenate([rows, rows, rows]), axis=0)])
    width = frames * BARS / (bars * steps)
    # a step's place is its middle: an onset a little early or late stays in it
    middle = np.arange(steps) * width % frames + frames
    edges = np.stack([middle - width / 2, middle + width / 2]) + 0.5
    below = np.floor(edges).astype(int)
    part = (edges - below)[..., None]
    at = total[below] * (1 - part) + total[below + 1] * part
    return np.asarray((at[1] - at[0]) / width, np.float32)


def fit_values(reading: LoopReading) -> dict[str, Any]:
    """Quantities of a loop."""
    seen, bars = reading.seen, reading.count.bars
    loop = grid(seen, bars)
    register = None
    if reading.role == "drums":
        loop[:CLASSES] = 0.0
    else:
        level = np.sqrt(seen.notes).sum(axis=1)
        register = float(level @ (np.arange(len(level)) + LOWEST) / (level.sum() + 1e-12))
    onsets = seen.onsets[3]
    peaks = (onsets > np.roll(onsets, 1)) & (onsets >= np.roll(onsets, -1)) & (onsets > onsets.mean() + onsets.std())
    return {
        "fit_bpm": 240.0 * bars / seen.seconds,
        "fit_density": float(peaks.sum()) / (4.0 * bars),
        "fit_register": register,
        "fit": vector(loop),
    }


def vector(loop: F32) -> F32:
    """Embedding of a grid, float32 `[n]`: harmony `[12, BEATS]` row by row, then onsets."""
    beats = loop[:CLASSES].reshape(CLASSES, BEATS, -1).mean(axis=2)
    level = beats.sum(axis=0)
    harmony = beats / (level + 0.15 * level.max() + 1e-6)
    onsets = loop[CLASSES:]
    centred = (harmony - harmony.mean(axis=0), onsets - onsets.mean(axis=1, keepdims=True))
    parts = [
        np.sqrt(weight) / (np.linalg.norm(part) + 1e-9) * part.ravel()
        for part, weight in zip(centred, WEIGHTS, strict=True)
    ]
    return np.concatenate(parts).astype(np.float32)
