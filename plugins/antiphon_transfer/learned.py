"""`mode=learned`: a causal dilated network that was trained on the same notes by two instruments.

It predicts the bands of the exact answer from the input's frames up to now, conditioned on a code of the reference: its
mean, or capsules with routing. After van den Oord et al., WaveNet, 2016, over bands instead of samples; Perez et al.,
FiLM, 2018; Sabour et al., Dynamic Routing Between Capsules, 2017.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64, FileError
from antiphon.api.arrays import Linear, find_array
from antiphon.api.models import ModelError, read_weights
from antiphon_transfer.features import BANDS, NUMBERS, TimbreDescriber
from antiphon_transfer.method import Spectral
from antiphon_transfer.reference import spectra
from antiphon_transfer.stream import C64, Framing

WIDTH, CODE, HIDDEN = 96, 24, 64
"""Numbers of a layer, of the reference's code, and of the layer before the code."""
DILATIONS = (1, 2, 4, 8, 16, 1, 2, 4, 8, 16)
INPUTS, OUTPUTS = 2 * BANDS + NUMBERS, 2 * BANDS
PRIMARY, PARTS, CHUNK, ROUNDS = 8, 6, 32, 3
"""Primary capsules of a chunk and numbers of each; capsules of the code; frames of a chunk; rounds of routing."""
DECAY, LEAST, RANGE = 0.02, -70.0, 50.0
"""dB a frame by which the loudest level decays; its lower bound; dB below it at which a frame counts for nothing."""
MOST_CONTRAST, MOST_GAIN = 3.0, 8.0
NEPER = math.log(10.0) / 20.0
PULL, EARLY, MEMORY = 0.5, 60, 600
"""Share of the way to the reference's mean; frames that it counts for at first, and over which the mean is kept."""
WEIGHTS = "transfer-learned"


class FrameFeatures:
    """The numbers of a frame that the network has: bands relative to the loudest level so far, notes, level, rise."""

    def __init__(self, grid: Framing) -> None:
        self.describer = TimbreDescriber(grid)
        self.x: F32 = np.zeros(INPUTS, np.float32)
        self.reset()

    def reset(self) -> None:
        self.describer.reset()
        self.loudest = LEAST

    def take(self, bins: C64) -> bool:
        """`x` ← those of a spectrum `[channels, bins]`; whether it is audible beside the loudest."""
        shape = self.describer.measure(bins)
        self.loudest = max(shape.level, self.loudest - DECAY, LEAST)
        self.describer.describe(self.loudest)
        x, means = self.x, self.x[:BANDS]
        np.subtract(shape.bands[:BANDS], np.float32(NEPER * self.loudest - 5.0), out=means)
        np.multiply(means, np.float32(0.25), out=means)
        np.subtract(shape.bands[BANDS:], np.float32(1.0), out=x[BANDS : 2 * BANDS])
        x[2 * BANDS :] = self.describer.numbers
        return shape.level > self.loudest - RANGE and shape.level > LEAST


def features_of(samples: F32, grid: Framing) -> tuple[F32, F32]:
    """Features `[frames, INPUTS]` of a sound `[channels, n]`, and which frames are audible, 0 or 1."""
    features, found, audible = FrameFeatures(grid), [], []
    for bins in spectra(samples, grid):
        audible.append(features.take(bins))
        found.append(features.x.copy())
    return np.array(found, np.float32), np.array(audible, np.float32)


def shapes(*, capsules: bool) -> dict[str, tuple[int, ...]]:
    """The arrays of a network, by name."""
    coded = (PRIMARY * PRIMARY if capsules else CODE,)
    found: dict[str, tuple[int, ...]] = {
        "hidden.weight": (HIDDEN, INPUTS),
        "hidden.bias": (HIDDEN,),
        "coded.weight": (*coded, HIDDEN),
        "coded.bias": coded,
        "enter.weight": (WIDTH, INPUTS),
        "enter.bias": (WIDTH,),
        "leave.weight": (OUTPUTS, WIDTH),
        "leave.bias": (OUTPUTS,),
        "film.weight": (2 * WIDTH * len(DILATIONS), CODE),
        "film.bias": (2 * WIDTH * len(DILATIONS),),
    }
    for n in range(len(DILATIONS)):
        found |= {f"old.{n}.weight": (WIDTH, WIDTH), f"new.{n}.weight": (WIDTH, WIDTH), f"new.{n}.bias": (WIDTH,)}
        found |= {f"out.{n}.weight": (WIDTH, WIDTH), f"out.{n}.bias": (WIDTH,)}
    if capsules:
        found["votes"] = (PRIMARY, PARTS, PRIMARY, CODE // PARTS)
    return found


def read_network(file: str) -> dict[str, F32]:
    """The arrays of the network that ships, or of a file that `antiphon train transfer` wrote.

    Raises:
        FileError: The file has none.
    """
    try:
        arrays = read_weights(Path(file).stem, Path(file).parent) if file else read_weights(WEIGHTS)
        wanted = shapes(capsules="votes" in arrays)
        return {name: find_array(arrays, name, *shape).astype(np.float32) for name, shape in wanted.items()}
    except ModelError as error:
        raise FileError(f"mode=learned has no network: {error}") from None


def squash(x: F64) -> F64:
    """Vectors on the last axis to lengths below 1."""
    square = np.square(x).sum(axis=-1, keepdims=True)
    return np.asarray(x * np.sqrt(square + 1e-9) / (1.0 + square), np.float64)


def code_of(w: dict[str, F32], features: F32, audible: F32) -> F64:
    """The code `[CODE]` of a reference: mean over its audible frames, or capsules on which its chunks agree."""
    hidden = np.maximum(features @ w["hidden.weight"].T + w["hidden.bias"], 0.0)
    if "votes" not in w:
        pooled = (hidden * audible[:, None]).sum(axis=0) / max(1.0, float(audible.sum()))
        return np.asarray(np.tanh(w["coded.weight"] @ pooled + w["coded.bias"]), np.float64)
    chunks = max(1, len(hidden) // CHUNK)
    weights = audible[: chunks * CHUNK].reshape(chunks, -1, 1)
    parts = hidden[: chunks * CHUNK].reshape(chunks, -1, HIDDEN)
    pooled = (parts * weights).sum(axis=1) / np.maximum(1.0, weights.sum(axis=1))
    primary = squash((pooled @ w["coded.weight"].T + w["coded.bias"]).reshape(chunks, PRIMARY, PRIMARY))
    votes = np.einsum("cpi,poij->cpoj", primary, w["votes"]).reshape(-1, PARTS, CODE // PARTS)
    logits = np.zeros(votes.shape[:2])
    for _ in range(ROUNDS):
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        code = squash((shares[..., None] * votes).mean(axis=0) * PARTS)
        logits = logits + (votes * code).sum(axis=-1)
    return code.reshape(CODE)


class CausalNetwork:
    """The network for one reference, frame by frame; allocates nothing after its construction."""

    def __init__(self, w: dict[str, F32], code: F64) -> None:
        self._enter, self._leave = (Linear(w[f"{name}.weight"], w[f"{name}.bias"]) for name in ("enter", "leave"))
        film = (w["film.weight"] @ code + w["film.bias"]).reshape(len(DILATIONS), 2, WIDTH)
        self._layers = []
        for n, dilation in enumerate(DILATIONS):
            # what conditions is constant, and goes into the weights
            gain, offset = (1.0 + film[n, 0]).astype(np.float32), film[n, 1].astype(np.float32)
            old = Linear(w[f"old.{n}.weight"] * gain[:, None])
            new = Linear(w[f"new.{n}.weight"] * gain[:, None], w[f"new.{n}.bias"] * gain + offset)
            out = Linear(w[f"out.{n}.weight"], w[f"out.{n}.bias"])
            self._layers.append((np.zeros((dilation, WIDTH), np.float32), old, new, out))
        self._share: F32 = np.zeros(WIDTH, np.float32)
        self._x: F32 = np.zeros(WIDTH, np.float32)
        self._frame = 0

    def reset(self) -> None:
        for past, *_ in self._layers:
            past.fill(0.0)
        self._frame = 0

    def step(self, features: F32) -> F32:
        """Changes of means and deviations `[OUTPUTS]` for the features of a frame; valid until the next."""
        x, share = self._x, self._share
        np.maximum(self._enter(features), 0.0, out=x)
        for past, old, new, out in self._layers:
            row = past[self._frame % len(past)]
            y = new(x)
            np.add(y, old(row), out=y)
            row[:] = x
            np.multiply(y, 0.5, out=share)
            np.tanh(share, out=share)
            np.add(share, 1.0, out=share)
            np.multiply(share, 0.5, out=share)
            np.multiply(y, share, out=y)
            np.add(x, out(y), out=x)
        self._frame += 1
        return self._leave(x)


class LearnedMethod(Spectral):
    """The method of `mode=learned`; see the module."""

    def __init__(self, samples: F32, grid: Framing, channels: int, file: str) -> None:
        super().__init__(grid, channels)
        arrays = read_network(file)
        features, audible = features_of(samples, grid)
        self._network = CausalNetwork(arrays, code_of(arrays, features, audible))
        self._mean: F32 = features[audible > 0.0, : 2 * BANDS].mean(axis=0)
        self._mean[:BANDS] *= 4.0
        self._running: F32 = np.zeros(2 * BANDS, np.float32)
        self._target: F32 = np.zeros(2 * BANDS, np.float32)
        self._features = FrameFeatures(grid)
        self._level: F32 = np.zeros(BANDS, np.float32)
        self._contrast: F32 = np.zeros(BANDS, np.float32)
        self._from: F32 = np.zeros(grid.bins, np.float32)
        self._slope: F32 = np.zeros(grid.bins, np.float32)
        self.reset()

    def reset(self) -> None:
        self._features.reset()
        self._network.reset()
        self._running[:] = self._mean
        self._count = EARLY

    def _step(self, bins: C64, amount: float, gain: F32) -> None:
        audible = self._features.take(bins)
        changes = self._network.step(self._features.x)
        if audible:
            # towards the reference's mean over time, which the network leaves where it is unsure
            target, x = self._target, self._features.x
            np.multiply(x[:BANDS], 4.0, out=target[:BANDS])
            target[BANDS:] = x[BANDS : 2 * BANDS]
            np.add(target, changes, out=target)
            np.subtract(target, self._running, out=target)
            np.multiply(target, 1.0 / min(self._count, MEMORY), out=target)
            np.add(self._running, target, out=self._running)
            self._count += 1
        np.subtract(self._mean, self._running, out=self._target)
        np.multiply(self._target, PULL, out=self._target)
        np.add(changes, self._target, out=changes)
        describer = self._features.describer
        shape, spread = describer.shape, describer.spread
        means, deviations = shape.bands[:BANDS], shape.bands[BANDS:]
        np.divide(changes[BANDS:], deviations, out=self._contrast)
        np.clip(self._contrast, 1.0 / MOST_CONTRAST - 1.0, MOST_CONTRAST - 1.0, out=self._contrast)
        np.copyto(self._level, changes[:BANDS])
        spread(self._level, gain)
        spread(means, self._from)
        np.subtract(shape.log, self._from, out=self._from)
        np.multiply(self._from, spread(self._contrast, self._slope), out=self._from)
        np.add(gain, self._from, out=gain)
        np.multiply(gain, amount, out=gain)
        np.minimum(gain, MOST_GAIN, out=gain)
