"""The vector of the analysis `fit`: harmony by beat and pitch class, then rhythm; products measure compatibility."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
CLASSES = 12
"""Pitch classes of a beat."""
BEATS = 16
"""Beats of the harmony part: four bars."""
HARMONY = CLASSES * BEATS
"""Length of the harmony part, before the rhythm part."""
FIT = (1.0, 1.0, -5.2)
"""Weights of the harmony's and the rhythm's scalar product in `fit_compatibility`, and the offset.

From a logistic regression on validation songs: a partner against 49 others and altered copies of it.
"""


def transpose_fit(vector: Sequence[float], semitones: int, beats: int = 0) -> F64:
    """Transposes the vector of a sound up by `semitones`, and delays it by `beats` of 16; the rhythm is kept."""
    whole = np.asarray(vector, np.float64)
    harmony = np.roll(whole[:HARMONY].reshape(CLASSES, BEATS), (semitones, -beats), (0, 1))
    return np.concatenate([harmony.ravel(), whole[HARMONY:]])


def fit_compatibility(products: F64) -> F64:
    """Compatibility of sounds of one tempo, 0 to 1, by scalar products of their vectors."""
    return np.asarray(1.0 / (1.0 + np.exp(-(FIT[0] * products + FIT[2]))))
