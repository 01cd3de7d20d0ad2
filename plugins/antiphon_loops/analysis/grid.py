"""Grid of a loop in 16ths of four bars: bands, pitch classes and onsets, the input of `fit`."""

from __future__ import annotations

import numpy as np

from antiphon.api import F32
from antiphon_loops.analysis.spectrum import LOWEST, Picture, mel_bank

BARS, STEPS = 4, 64
BANDS, CLASSES, ONSETS = 64, 12, 6
ROWS = BANDS + CLASSES + ONSETS
_RANGE = 6.0
"""Range of band levels mapped to 1..0, in powers of ten."""


def grid(seen: Picture, bars: int) -> F32:
    """Bands, pitch classes and onsets (low, middle, high in each half of a 16th), float32 `[ROWS, STEPS]` of 0 to 1.

    A loop of fewer bars is repeated; of a longer one the first four are used.
    """
    mel = np.log10(np.maximum(_steps(seen.power @ mel_bank(bands=BANDS), bars, STEPS), 1e-20))
    mel = np.maximum(0.0, 1.0 + (mel - mel.max()) / _RANGE)
    level = np.sqrt(seen.notes)
    classes = np.zeros((level.shape[1], CLASSES))
    for pitch, row in enumerate(level):
        classes[:, (pitch + LOWEST) % CLASSES] += row
    chroma = _steps(classes, bars, STEPS)
    onsets = _steps(seen.onsets[:3].T, bars, 2 * STEPS)
    return np.concatenate(
        [mel, chroma / (chroma.max() + 1e-9), (onsets / (onsets.max() + 1e-9)).reshape(STEPS, ONSETS)], axis=1
    ).T.astype(np.float32)


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
