"""Embedding of a loop's harmony and rhythm by its grid of 16ths; the product of two is their compatibility.

Two small networks, trained on parts of songs (`antiphon_models.loops.fit_training`), in numpy: pitch classes to
harmony, by transposition-equivariant convolutions; bands and onsets to rhythm.
"""

from functools import cache
from typing import Any

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.models import ModelError, models_folder, read_weights
from antiphon_loops.analysis.region import LoopReading
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


MODEL = "loops-fit"
BEATS = 16
PITCHED = slice(BANDS, BANDS + CLASSES)


def available() -> bool:
    """True if the weights are installed."""
    try:
        return bool(_arrays())
    except ModelError:
        return False


def fit_values(reading: LoopReading) -> dict[str, Any]:
    """Quantities of a loop."""
    seen, bars = reading.seen, reading.count.bars
    loop = grid(seen, bars)
    register = None
    if reading.role == "drums":
        loop[PITCHED] = 0.0
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
    """Embedding of a grid, float32 `[n]`: harmony `[12, BEATS]` row by row, then rhythm.

    Raises ModelError: the weights are missing.
    """
    arrays = _arrays()
    beats = loop[PITCHED].reshape(CLASSES, BEATS, -1).mean(axis=2)
    level = beats.sum(axis=0)
    beats = beats / (level + 0.15 * level.max() + 1e-6)
    x = beats[None]
    for name in ("harmony1", "harmony2"):
        x = np.maximum(0.0, _convolved(x, arrays[f"{name}.weight"]) + arrays[f"{name}.bias"][:, None, None])
    harmony = beats + np.tensordot(arrays["harmony3.weight"][0, :, 0, 0], x, 1) + arrays["harmony3.bias"]
    harmony = (harmony - harmony.mean(axis=0)).ravel() * (level.max() > 0)
    y = np.concatenate([loop[:BANDS], loop[PITCHED.stop :]])
    for name, step in (("rhythm1", 1), ("rhythm2", 2), ("rhythm3", 2)):
        weight = arrays[f"{name}.weight"]
        around = np.concatenate([y[:, -1:], y, y[:, : weight.shape[2] - 2]], axis=1)
        frames = np.lib.stride_tricks.sliding_window_view(around, weight.shape[2], axis=1)[:, ::step]
        y = np.maximum(0.0, np.tensordot(weight, frames, ((1, 2), (0, 2))) + arrays[f"{name}.bias"][:, None])
    rhythm = arrays["rhythm4.weight"] @ y.ravel() + arrays["rhythm4.bias"]
    parts = (part / (np.linalg.norm(part) + 1e-9) for part in (harmony, rhythm))
    roots = np.sqrt(np.maximum(arrays["scale"], 0.01))
    return np.concatenate([part * root for part, root in zip(parts, roots, strict=True)]).astype(np.float32)


def _convolved(x: F32, weight: F32) -> F32:
    """Convolution of `[channels, CLASSES, BEATS]` with kernels of all pitch classes and three beats, circular."""
    around = np.concatenate([x[..., -1:], x, x[..., :1]], axis=2)
    around = np.concatenate([around, around[:, : CLASSES - 1]], axis=1)
    frames = np.lib.stride_tricks.sliding_window_view(around, weight.shape[2:], axis=(1, 2))
    return np.asarray(np.tensordot(weight, frames, ((1, 2, 3), (0, 3, 4))), np.float32)


@cache
def _arrays() -> dict[str, F32]:
    return {name: np.asarray(x, np.float32) for name, x in read_weights(MODEL, models_folder()).items()}
