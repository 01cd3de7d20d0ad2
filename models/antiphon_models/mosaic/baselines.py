"""What a mosaic is measured beside: grains drawn at random, and the plain nearest unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.kernel.signal.features import import_librosa

SIZE = 0.05
"""Seconds of a unit; one begins every half."""


def random_grains(target: F32, reference: F32, rate: int) -> F32:
    """Units of the reference drawn at random."""
    rng = np.random.default_rng(1)
    return _mosaic(target, reference, rate, lambda wanted, units: rng.integers(len(units), size=len(wanted)))


def nearest_unit(target: F32, reference: F32, rate: int) -> F32:
    """The nearest units by MFCC 1 to 13, of which the first is the level."""

    def choose(wanted: F64, units: F64) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.argmin((units**2).sum(axis=1) - 2.0 * wanted @ units.T, axis=1)
        return found

    return _mosaic(target, reference, rate, choose)


def _mosaic(target: F32, reference: F32, rate: int, choose: Callable[..., NDArray[np.int64]]) -> F32:
    hop = round(SIZE * rate / 2)
    window = np.hanning(2 * hop + 1)[:-1]
    units = choose(_features(target, rate, hop), _features(reference, rate, hop)[:-2])
    padded = np.pad(reference, (hop, 2 * hop))
    out = np.zeros(len(target) + 4 * hop)
    for n, unit in enumerate(units):
        out[n * hop : (n + 2) * hop] += window * padded[unit * hop : (unit + 2) * hop]
    return out[hop : hop + len(target)].astype(np.float32)


def _features(sound: F32, rate: int, hop: int) -> F64:
    librosa = import_librosa()
    return np.asarray(librosa.feature.mfcc(y=sound, sr=rate, n_mfcc=13, hop_length=hop).T, np.float64)
