"""The network of `mode=autoencoder` in numpy; `antiphon_models.denoise.network.autoencoder` is the same in torch."""

from __future__ import annotations

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.models import Gru, Linear, SiluLinear, Weights, find_array
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned import tables
from antiphon_denoise.learned.features import HopFeatures
from antiphon_denoise.learned.mask_network import by_feature
from antiphon_denoise.learned.tables import FEATURES

HIDDEN, LATENT = 128, 24
LEAST = -7.0
"""Natural logarithm of power: lower bound of a band's gain."""
SPREAD = 3.0
"""Factor from the network's last numbers to logarithms of power."""


class ArrayAutoencoder:
    """The network of one stream: log powers `[2, UNITS]`, of input and learned noise, to gains `[1, UNITS]`, 0 to 1."""

    def __init__(self, weights: Weights) -> None:
        """Makes the buffers. Raises `ModelError`: they do not fit."""
        self._features = HopFeatures()
        enter = by_feature(find_array(weights, "enter.weight", HIDDEN, COUNT * FEATURES))
        self._enter = SiluLinear(enter, find_array(weights, "enter.bias", HIDDEN))
        self._encode = Gru.of(weights, "encode", HIDDEN, HIDDEN)
        self._mean = Linear.of(weights, "mean", LATENT, HIDDEN)
        self._open = SiluLinear.of(weights, "open", HIDDEN, LATENT)
        self._decode = Gru.of(weights, "decode", HIDDEN, HIDDEN)
        self._leave = Linear.of(weights, "leave", COUNT, HIDDEN)
        self._wide = tables.wide()
        self.start()

    def start(self) -> None:
        self._features.start()
        self._encode.start()
        self._decode.start()

    def step(self, x: Samples, y: Samples) -> None:
        """Computes one hop of float32 `[2, UNITS]` into `[1, UNITS]`."""
        features = self._features
        features.step(x)
        latent = self._mean(self._encode(self._enter(features.bands)))
        ratio = self._leave(self._decode(self._open(latent)))
        np.multiply(ratio, np.float32(SPREAD), out=ratio)
        np.subtract(ratio, features.levels, out=ratio)
        np.clip(ratio, np.float32(LEAST), np.float32(0.0), out=ratio)
        gain = y[0]
        np.dot(ratio, self._wide, out=gain)
        np.multiply(gain, np.float32(0.5), out=gain)
        np.exp(gain, out=gain)
