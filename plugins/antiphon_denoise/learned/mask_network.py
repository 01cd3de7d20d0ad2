"""The networks of `mode=learned` and `mode=autoencoder` in numpy; in torch: `antiphon_models.denoise.network`."""

from __future__ import annotations

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.models import Gru, Linear, SiluLinear, Weights, find_array, sigmoid
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned import tables
from antiphon_denoise.learned.features import HopFeatures
from antiphon_denoise.learned.tables import DETAILS, FEATURES, UNITS

WIDTH, TELLS, LAST = 96, 4, 12
UNSURE = 0.5
"""Added to the gate's logit after training: unseen sounds are mistaken for noise more often than those of the training.
"""
SLOPE = 0.1
"""Of the rectifier, below 0."""


def by_feature(weight: Samples) -> Samples:
    """The columns of a layer on bands, `[outputs, COUNT * FEATURES]`, in the order of `HopFeatures.bands`."""
    return weight.reshape(len(weight), COUNT, FEATURES).transpose(0, 2, 1).reshape(len(weight), -1)


class ArrayMaskNetwork:
    """The network of one stream: log powers `[2, UNITS]`, of input and learned noise, to gains `[1, UNITS]`, 0 to 1."""

    def __init__(self, weights: Weights) -> None:
        """Makes the buffers. Raises `ModelError`: they do not fit."""
        told = DETAILS + 1 + TELLS
        # what the bend takes: details, the last rows of the rule, and the push
        self._seen: Samples = np.zeros((told, UNITS), np.float32)
        self._features = HopFeatures(self._seen[:DETAILS])
        enter = by_feature(find_array(weights, "enter.weight", WIDTH, COUNT * FEATURES))
        self._enter = SiluLinear(enter, find_array(weights, "enter.bias", WIDTH))
        self._first, self._second = (Gru.of(weights, name, WIDTH, WIDTH) for name in ("first", "second"))
        # rows of a rule beside each other, to be widened to units by one product
        say = find_array(weights, "say.weight", COUNT * told, 2 * WIDTH).reshape(COUNT, told, -1).transpose(1, 0, 2)
        bias = find_array(weights, "say.bias", COUNT * told).reshape(COUNT, told).T
        self._say = Linear(say.reshape(told * COUNT, -1), bias.reshape(-1))
        self._said = self._say.outputs.reshape(told, COUNT)
        self._both: Samples = np.zeros(2 * WIDTH, np.float32)
        self._wide = tables.wide()
        self._rule: Samples = np.zeros((told, UNITS), np.float32)
        self._pushes: Samples = np.zeros((DETAILS, UNITS), np.float32)
        self._bend = np.ascontiguousarray(find_array(weights, "bend.weight", LAST, told))
        self._bend_bias = find_array(weights, "bend.bias", LAST)[:, None].copy()
        self._bent: Samples = np.zeros((LAST, UNITS), np.float32)
        self._sloped: Samples = np.zeros((LAST, UNITS), np.float32)
        self._last = find_array(weights, "last.weight", 1, LAST)[0].copy()
        self._last_bias = np.float32(float(find_array(weights, "last.bias", 1)[0]) + UNSURE)
        self.start()

    def start(self) -> None:
        self._features.start()
        self._first.start()
        self._second.start()

    def step(self, x: Samples, y: Samples) -> None:
        """Computes one hop of float32 `[2, UNITS]` into `[1, UNITS]`."""
        self._features.step(x)
        both, seen, rule = self._both, self._seen, self._rule
        both[:WIDTH] = self._first(self._enter(self._features.bands))
        both[WIDTH:] = self._second(self._first.state)
        self._say(both)
        np.matmul(self._said, self._wide, out=rule)
        push = seen[-1]
        np.multiply(seen[:DETAILS], rule[:DETAILS], out=self._pushes)
        np.add.reduce(self._pushes, axis=0, out=push)
        np.add(push, rule[DETAILS], out=push)
        seen[DETAILS:-1] = rule[DETAILS + 1 :]
        bent = self._bent
        np.matmul(self._bend, seen, out=bent)
        np.add(bent, self._bend_bias, out=bent)
        np.multiply(bent, np.float32(SLOPE), out=self._sloped)
        np.maximum(bent, self._sloped, out=bent)
        gain = y[0]
        np.dot(self._last, bent, out=gain)
        np.add(gain, push, out=gain)
        np.add(gain, self._last_bias, out=gain)
        sigmoid(gain, gain)


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
