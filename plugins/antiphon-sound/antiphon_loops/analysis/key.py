"""Key detection: by sounding notes, lowest notes, first and last notes, and triads.

Each of the 24 keys is scored by a line fitted, by role, to loops of known key (`fit`), on features rotated to the key's
tonic. A profile of pitch classes alone (Krumhansl) does not distinguish a key from its relative.
"""

import numpy as np

from antiphon.api import F64, SHARP_NAMES
from antiphon_loops.analysis.spectrum import LOWEST

LABELS = tuple(f"{name} {mode}" for mode in ("major", "minor") for name in SHARP_NAMES)


def features(notes: F64) -> F64:
    """Features `[17, 12]`: rows of twelve pitch classes from C on. `notes`: as in `Picture`."""
    level = np.sqrt(notes / (notes.max() + 1e-12))
    level[level < 0.12] = 0.0
    frames = level.shape[1]
    chroma = np.zeros((12, frames))
    for place, row in enumerate(level):
        chroma[(place + LOWEST) % 12] += row
    low = np.zeros((12, frames))
    strong = (level > 0.35 * level.max(axis=0)) & (level > 0)
    for frame in np.flatnonzero(strong.any(axis=0)):
        place = int(np.argmax(strong[:, frame]))
        low[(place + LOWEST) % 12, frame] = level[place, frame]
    each = chroma / (np.linalg.norm(chroma, axis=0) + 0.05)
    end = max(1, frames // 8)
    total = chroma.sum(axis=1)
    rows = [
        total, np.minimum(total, 0.35 * total.max()), each.mean(axis=1), low.sum(axis=1), chroma[:, :end].sum(axis=1),
        low[:, :end].sum(axis=1), chroma[:, -end:].sum(axis=1), low[:, -end:].sum(axis=1),
        chroma[:, :2].sum(axis=1), chroma[:, -3:].sum(axis=1), each.max(axis=1), np.minimum(total, 0.12 * total.max()),
        np.minimum(low.sum(axis=1), 0.2 * low.sum(axis=1).max()),
    ]  # fmt: skip
    rows = [row / (np.linalg.norm(row) + 1e-9) for row in rows]
    rows += [2.0 * _triads(each, third) for third in (4, 3)]
    rows += [_triads(each[:, :end], third) for third in (4, 3)]
    return np.stack(rows)


def _triads(chroma: F64, third: int) -> F64:
    parts = np.stack([chroma, np.roll(chroma, -third, axis=0), np.roll(chroma, -7, axis=0)])
    return np.asarray(parts.min(axis=0).mean(axis=1))


def design(rows: F64) -> F64:
    """A row for each of `LABELS`: major keys' features in one half, minor keys' in the other."""
    size = rows.size
    out = np.zeros((24, 2 * size + 1))
    for place in range(24):
        mode, tonic = divmod(place, 12)
        out[place, mode * size : (mode + 1) * size] = np.roll(rows, -tonic, axis=1).ravel()
        out[place, -1] = mode
    return out
