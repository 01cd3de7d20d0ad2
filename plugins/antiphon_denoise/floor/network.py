"""The network that tells the noise in each band by `FloorFeatures`: `antiphon train denoise-floor` makes its weights.

56 numbers of a band (its own features, the means of those of the three bands below and above it, and of all) to 24, to
12, to the decimal logarithm of the noise's share in the band's power. Four such networks, each trained without other
sources of music, are asked, and the least share counts: on music that is new to all of them they err apart.
"""

from __future__ import annotations

import logging
from functools import cache

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.models import ModelError, find_array, read_weights
from antiphon_denoise.bands import COUNT
from antiphon_denoise.floor.features import FEATURES, FloorFeatures

log = logging.getLogger("antiphon.denoise")
MODEL = "denoise-floor"
EXPERTS = 4
VIEWS, BESIDE = 4, 3
HIDDEN, SECOND = 24, 12
LAYOUT: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("w0", (EXPERTS, VIEWS * FEATURES, HIDDEN)), ("b0", (EXPERTS, 1, HIDDEN)),
    ("w1", (EXPERTS, HIDDEN, SECOND)), ("b1", (EXPERTS, 1, SECOND)),
    ("w2", (EXPERTS, SECOND, 1)), ("b2", (EXPERTS, 1, 1)),
)  # fmt: skip
LEAST_SHARE = -5.0
"""Decimal logarithm of the least share: what is told of clean sound in training."""


@cache
def views() -> F32:
    """`[VIEWS * COUNT, COUNT]`: from the features of all bands to what the network takes of them."""
    made = np.zeros((VIEWS, COUNT, COUNT), np.float32)
    for band in range(COUNT):
        below = range(max(0, band - BESIDE), band) or [0]
        above = range(band + 1, min(COUNT, band + 1 + BESIDE)) or [band]
        for view, some in enumerate(([band], below, above)):
            made[view, band, list(some)] = 1.0 / len(some)
    made[3] = 1.0 / COUNT
    return made.reshape(-1, COUNT)


class FloorNetwork:
    """The noise of one stream. `noise`: float32 `[COUNT]`, mean power in each band, of the last `estimate`."""

    def __init__(self, weights: dict[str, F32], features: FloorFeatures) -> None:
        self._weights, self._features = weights, features
        self._views = views()
        self._viewed: F32 = np.zeros((VIEWS * COUNT, FEATURES), np.float32)
        self._seen: F32 = np.zeros((COUNT, VIEWS, FEATURES), np.float32)
        self._first: F32 = np.zeros((EXPERTS, COUNT, HIDDEN), np.float32)
        self._second: F32 = np.zeros((EXPERTS, COUNT, SECOND), np.float32)
        self._out: F32 = np.zeros((EXPERTS, COUNT, 1), np.float32)
        self._share: F32 = np.zeros(COUNT, np.float32)
        self.noise: F32 = np.zeros(COUNT, np.float32)

    def estimate(self) -> None:
        """Updates `noise` by the features as they were last described."""
        weights, share = self._weights, self._share
        np.matmul(self._views, self._features.values, out=self._viewed)
        self._seen[...] = self._viewed.reshape(VIEWS, COUNT, FEATURES).transpose(1, 0, 2)
        np.matmul(self._seen.reshape(COUNT, -1), weights["w0"], out=self._first)
        np.add(self._first, weights["b0"], out=self._first)
        np.tanh(self._first, out=self._first)
        np.matmul(self._first, weights["w1"], out=self._second)
        np.add(self._second, weights["b1"], out=self._second)
        np.tanh(self._second, out=self._second)
        np.matmul(self._second, weights["w2"], out=self._out)
        np.add(self._out, weights["b2"], out=self._out)
        np.minimum.reduce(self._out[..., 0], axis=0, out=share)
        np.clip(share, LEAST_SHARE, 0.0, out=share)
        np.power(10.0, share, out=share)
        np.multiply(share, self._features.means, out=self.noise)


@cache
def load_floor() -> dict[str, F32] | None:
    """The installed weights by name, float32; None, after one warning, where no sound model is installed."""
    try:
        named = read_weights(MODEL)
        return {name: find_array(named, name, *shape).astype(np.float32) for name, shape in LAYOUT}
    except ModelError as error:
        log.warning("denoise does not look for a noise floor, and may take dense music for noise: %s", error)
        return None
