"""Networks of `mode=learned` and `mode=autoencoder` in numpy, with their features; in torch: `antiphon_models`."""

import math

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.models import Gru, Linear, SiluLinear, Weights, find_array, sigmoid
from antiphon_denoise import learned
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned import (
    BLOCK,
    DETAILS,
    FEATURES,
    LEVEL,
    LONG,
    NO_FLOOR,
    NO_NOISE,
    PAST,
    QUIET,
    SHORT,
    UNITS,
)

POWER, NOISE, LOG, FAST, SLOW, FLOOR = range(6)
_KEEPS = np.array([[SHORT], [LONG]], np.float32)
_LOWS, _HIGHS, _SCALES, _SHIFTS = (
    np.array(learned.ROWS[name], np.float32)[:, None] for name in ("lows", "highs", "scales", "shifts")
)


class HopFeatures:
    """The features of one stream, hop by hop.

    `bands`: `[FEATURES * COUNT]`, feature by feature (torch's are band by band); `details`: `[DETAILS, UNITS]`;
    `levels`: `[COUNT]`, relative to the long-term mean.
    """

    def __init__(self, details: Samples | None = None) -> None:
        """Allocates the buffers. `details`: output array of `details`; None allocates one."""
        self.details: Samples = np.zeros((DETAILS, UNITS), np.float32) if details is None else details
        self._rows: Samples = np.zeros((6, UNITS), np.float32)
        self._seen: Samples = np.zeros((6, COUNT + 1), np.float32)
        self._sums, self._wide = learned.sums(), learned.wide()
        self._bands: Samples = np.zeros((FEATURES, COUNT), np.float32)
        self.bands = self._bands.reshape(-1)
        self.levels: Samples = np.zeros(COUNT, np.float32)
        self._level: Samples = np.zeros(COUNT, np.float32)
        self._here: Samples = np.zeros(UNITS, np.float32)
        self._smooth: Samples = np.zeros((2, UNITS), np.float32)
        self._floors: Samples = np.zeros((PAST, UNITS), np.float32)
        self.start()

    def start(self) -> None:
        self._smooth.fill(0.0)
        self._floors.fill(NO_FLOOR)
        self._hops = 0
        self._mean = self._weight = 0.0

    def step(self, x: Samples) -> None:
        """Computes the features of the next hop: log powers `[2, UNITS]` of the input and of the learned noise."""
        known = float(x[1, 0]) > NO_NOISE / 2
        self._follow(x, known)
        self._describe_bands(known)
        self._describe_units(x, known)

    def _follow(self, x: Samples, known: bool) -> None:
        """Updates the smoothed levels, and averages them in bands."""
        rows, smooth, floors = self._rows, self._smooth, self._floors
        np.exp(x[0], out=rows[POWER])
        if known:
            np.exp(x[1], out=rows[NOISE])
        rows[LOG] = x[0]
        if self._hops:
            # smooth ← x + keep · (smooth - x)
            np.subtract(smooth, x[0], out=smooth)
            np.multiply(smooth, _KEEPS, out=smooth)
            np.add(smooth, x[0], out=smooth)
        else:
            smooth[...] = x[0]
        rows[FAST : SLOW + 1] = smooth
        if self._hops % BLOCK == 0:
            for row in range(PAST - 1, 0, -1):
                floors[row] = floors[row - 1]
            floors[0].fill(NO_FLOOR)
        np.minimum(floors[0], smooth[0], out=floors[0])
        np.minimum.reduce(floors, axis=0, out=rows[FLOOR])
        np.matmul(rows, self._sums, out=self._seen)
        # counted no further than two blocks: only the first hop, and its place in a block, are of interest
        self._hops = self._hops + 1 if self._hops + 1 < 2 * BLOCK else BLOCK
        self._weight = self._weight * LEVEL + 1.0
        self._mean += (float(self._seen[POWER, COUNT]) - self._mean) / self._weight

    def _describe_bands(self, known: bool) -> None:
        bands, seen, level = self._bands, self._seen, self._level
        frame = float(seen[POWER, COUNT])
        mean_log, frame_log = math.log(self._mean + learned.QUIETEST_MEAN), math.log(frame + QUIET)
        np.add(seen[POWER, :COUNT], np.float32(QUIET), out=level)
        np.log(level, out=level)
        np.subtract(level, np.float32(mean_log), out=self.levels)
        bands[0] = self.levels
        np.subtract(seen[LOG:, :COUNT], level, out=bands[1:5])
        if known:
            np.add(seen[NOISE, :COUNT], np.float32(QUIET), out=bands[5])
            np.log(bands[5], out=bands[5])
            np.subtract(bands[5], level, out=bands[5])
        else:
            bands[5].fill(0.0)
        bands[6].fill(float(known))
        bands[7].fill(frame_log - mean_log)
        bands[8].fill(mean_log)
        np.clip(bands, _LOWS, _HIGHS, out=bands)
        np.multiply(bands, _SCALES, out=bands)
        np.add(bands, _SHIFTS, out=bands)

    def _describe_units(self, x: Samples, known: bool) -> None:
        details, here, log = self.details, self._here, x[0]
        np.dot(self._level, self._wide, out=here)
        details[0] = log
        for row, by in ((1, 1), (3, 2)):
            details[row, by:] = log[:-by]
            details[row, :by] = log[0]
            details[row + 1, :-by] = log[by:]
            details[row + 1, -by:] = log[-1]
        details[5:8] = self._rows[FAST:]
        details[8] = x[1]
        np.subtract(details, here, out=details)
        np.clip(details, np.float32(learned.LOWEST_DETAIL), np.float32(learned.HIGHEST_DETAIL), out=details)
        np.multiply(details, np.float32(learned.DETAIL_SCALE), out=details)
        if not known:
            details[8].fill(0.0)


WIDTH, TELLS, LAST = 96, 4, 12
GATE_BIAS = 0.5
"""Bias of the gate's logit after training: unseen sounds are mistaken for noise more often than the training's."""
LEAKY_SLOPE = 0.1
"""Slope of the rectifier below 0."""


def reorder_band_columns(weight: Samples) -> Samples:
    """Reorders the columns of a layer on bands, `[outputs, COUNT * FEATURES]`, to the order of `HopFeatures.bands`."""
    return weight.reshape(len(weight), COUNT, FEATURES).transpose(0, 2, 1).reshape(len(weight), -1)


class ArrayMaskNetwork:
    """Network of one stream: log powers `[2, UNITS]`, of input and learned noise, to gains `[1, UNITS]`, 0 to 1."""

    def __init__(self, weights: Weights) -> None:
        """Allocates the buffers. Raises `ModelError`: the weights do not fit."""
        told = DETAILS + 1 + TELLS
        # what the bend takes: details, the last rows of the rule, and the push
        self._seen: Samples = np.zeros((told, UNITS), np.float32)
        self._features = HopFeatures(self._seen[:DETAILS])
        enter = reorder_band_columns(find_array(weights, "enter.weight", WIDTH, COUNT * FEATURES))
        self._enter = SiluLinear(enter, find_array(weights, "enter.bias", WIDTH))
        self._first, self._second = (Gru.of(weights, name, WIDTH, WIDTH) for name in ("first", "second"))
        # rows of a rule beside each other, to be widened to units by one product
        say = find_array(weights, "say.weight", COUNT * told, 2 * WIDTH).reshape(COUNT, told, -1).transpose(1, 0, 2)
        bias = find_array(weights, "say.bias", COUNT * told).reshape(COUNT, told).T
        self._say = Linear(say.reshape(told * COUNT, -1), bias.reshape(-1))
        self._said = self._say.outputs.reshape(told, COUNT)
        self._both: Samples = np.zeros(2 * WIDTH, np.float32)
        self._wide = learned.wide()
        self._rule: Samples = np.zeros((told, UNITS), np.float32)
        self._pushes: Samples = np.zeros((DETAILS, UNITS), np.float32)
        self._bend = np.ascontiguousarray(find_array(weights, "bend.weight", LAST, told))
        self._bend_bias = find_array(weights, "bend.bias", LAST)[:, None].copy()
        self._bent: Samples = np.zeros((LAST, UNITS), np.float32)
        self._sloped: Samples = np.zeros((LAST, UNITS), np.float32)
        self._last = find_array(weights, "last.weight", 1, LAST)[0].copy()
        self._last_bias = np.float32(float(find_array(weights, "last.bias", 1)[0]) + GATE_BIAS)
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
        np.multiply(bent, np.float32(LEAKY_SLOPE), out=self._sloped)
        np.maximum(bent, self._sloped, out=bent)
        gain = y[0]
        np.dot(self._last, bent, out=gain)
        np.add(gain, push, out=gain)
        np.add(gain, self._last_bias, out=gain)
        sigmoid(gain, gain)


HIDDEN, LATENT = 128, 24
MIN_LOG_POWER = -7.0
"""Lower bound of a band's gain, natural logarithm of power."""
OUTPUT_SCALE = 3.0
"""Factor from the network's outputs to logarithms of power."""


class ArrayAutoencoder:
    """The network of one stream: log powers `[2, UNITS]`, of input and learned noise, to gains `[1, UNITS]`, 0 to 1."""

    def __init__(self, weights: Weights) -> None:
        """Allocates the buffers. Raises `ModelError`: the weights do not fit."""
        self._features = HopFeatures()
        enter = reorder_band_columns(find_array(weights, "enter.weight", HIDDEN, COUNT * FEATURES))
        self._enter = SiluLinear(enter, find_array(weights, "enter.bias", HIDDEN))
        self._encode = Gru.of(weights, "encode", HIDDEN, HIDDEN)
        self._mean = Linear.of(weights, "mean", LATENT, HIDDEN)
        self._open = SiluLinear.of(weights, "open", HIDDEN, LATENT)
        self._decode = Gru.of(weights, "decode", HIDDEN, HIDDEN)
        self._leave = Linear.of(weights, "leave", COUNT, HIDDEN)
        self._wide = learned.wide()
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
        np.multiply(ratio, np.float32(OUTPUT_SCALE), out=ratio)
        np.subtract(ratio, features.levels, out=ratio)
        np.clip(ratio, np.float32(MIN_LOG_POWER), np.float32(0.0), out=ratio)
        gain = y[0]
        np.dot(ratio, self._wide, out=gain)
        np.multiply(gain, np.float32(0.5), out=gain)
        np.exp(gain, out=gain)
