"""`mode=nmf`: approximates each spectrum of the input by a mixture of spectra of the reference.

Non-negative matrix factorisation (Lee and Seung, 1999) finds a few spectra that make up the reference. As the input has
notes that the reference does not have, each of them is also transposed along a scale of quarter tones. The weights of
the mixture are updated every hop by multiplicative steps from those of the last hop, with few large ones preferred as
in Driedger, Prätzlich and Müller, "Let it Bee" (ISMIR 2015), which this differs from in being causal, and in shaping
the input by a gain, so that its phases and its partials stay.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import F32
from antiphon_transfer.method import Spectral
from antiphon_transfer.reference import spectra
from antiphon_transfer.stream import C64, Framing

PARTS = 24
"""Spectra that the reference is factorised into."""
MOVES = tuple(range(-12, 13, 2))
"""Quarter tones that each of them is transposed by."""
STEP = 24
"""Bands an octave."""
ROUNDS = 60
LIVE_ROUNDS = 6
MANY = 12
"""Number of largest weights that are not attenuated."""
LEAST = 1e-6
MOST_GAIN = 6.0


def quarter_tones(grid: Framing) -> tuple[F32, F32]:
    """Bands a quarter tone apart from 40 Hz, three bins wide or more: weights `[bands, bins]` as `features.bank`."""
    count = int(STEP * math.log2(min(16000.0, 0.45 * grid.rate) / 40.0))
    middle = 40.0 * 2.0 ** (np.arange(count) / STEP)
    width = np.maximum(middle * (2.0 ** (1.0 / STEP) - 1.0), 1.5 * grid.rate / grid.size)
    weight = np.maximum(0.0, 1.0 - np.abs(grid.hertz - middle[:, None]) / width[:, None])
    gather = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    weight[0, grid.hertz < middle[0]] = 1.0
    weight[-1, grid.hertz > middle[-1]] = 1.0
    return gather.astype(np.float32), (weight / np.maximum(weight.sum(axis=0), 1e-9)).astype(np.float32)


def factors(spectrum: F32, parts: int, rounds: int) -> F32:
    """Factorises `[bands, frames]` into `[bands, parts]` at most, each column of sum 1.

    By multiplicative steps on the Kullback-Leibler divergence.
    """
    rng = np.random.default_rng(1)
    frames = spectrum.shape[1]
    parts = min(parts, frames)
    # starting from frames of the sound converges faster, and is reproducible
    chosen = np.linspace(0, frames - 1, parts).astype(int)
    w = spectrum[:, chosen] + np.float32(0.01 * spectrum.mean() + 1e-9)
    h = rng.random((parts, frames)).astype(np.float32) * np.float32(spectrum.mean()) + np.float32(1e-9)
    for _ in range(rounds):
        w /= w.sum(axis=0)
        h *= w.T @ (spectrum / (w @ h + np.float32(1e-9)))
        w *= (spectrum / (w @ h + np.float32(1e-9))) @ h.T
        w += np.float32(1e-12)
    return np.asarray(w / w.sum(axis=0), np.float32)


class NmfMethod(Spectral):
    """The method of `mode=nmf`; see the module."""

    def __init__(self, samples: F32, grid: Framing, channels: int) -> None:
        super().__init__(grid, channels)
        self._gather, self._spread = quarter_tones(grid)
        loud: list[F32] = []
        for bins in spectra(samples, grid):
            self._describer.measure(bins)
            loud.append(self._gather @ np.exp(self._describer.shape.log))
        spectrogram = np.array(loud).T
        total = spectrogram.sum(axis=0)
        spectrogram = spectrogram[:, total > 0.003 * total.max()]
        every = max(1, spectrogram.shape[1] // 1500)
        parts = factors(spectrogram[:, ::every], PARTS, ROUNDS)
        transposed = [self._transposed(parts, by) for by in MOVES]
        self._parts: F32 = np.ascontiguousarray(np.concatenate(transposed, axis=1))
        self._across: F32 = np.ascontiguousarray(self._parts.T)
        count = self._parts.shape[1]
        bands = len(spectrogram)
        self._weights: F32 = np.zeros(count, np.float32)
        self._step_by: F32 = np.zeros(count, np.float32)
        self._sorted: F32 = np.zeros(count, np.float32)
        self._bands: F32 = np.zeros(bands, np.float32)
        self._sum: F32 = np.zeros(bands, np.float32)
        self._ratio: F32 = np.zeros(bands, np.float32)
        # the mean levels of input and reference are matched over time
        self._level_offset = math.log(float(np.sqrt(np.mean(total[total > 0.003 * total.max()] ** 2))) + 1e-9)
        self.reset()

    @staticmethod
    def _transposed(parts: F32, by: int) -> F32:
        result = np.roll(parts, by, axis=0)
        if by > 0:
            result[:by] = parts[:1]
        elif by < 0:
            result[by:] = parts[-1:]
        return np.asarray(result / result.sum(axis=0), np.float32)

    def reset(self) -> None:
        self._describer.reset()
        self._weights.fill(1.0 / len(self._weights))
        self._power = 0.0
        self._audible_frames = 0

    def _step(self, bins: C64, amount: float, gain: F32) -> None:
        self._describer.measure(bins)
        np.exp(self._describer.shape.log, out=gain)
        np.dot(self._gather, gain, out=self._bands)
        total = float(self._bands.sum())
        weights = self._weights
        np.maximum(weights, 0.02 * total / len(weights), out=weights)
        np.multiply(weights, total / float(weights.sum()), out=weights)
        for n in range(LIVE_ROUNDS):
            self._mix()
            np.divide(self._bands, self._sum, out=self._ratio)
            np.dot(self._across, self._ratio, out=self._step_by)
            np.multiply(weights, self._step_by, out=weights)
            if n >= 1 and len(weights) > MANY:
                self._sorted[:] = weights
                self._sorted.partition(len(weights) - MANY)
                np.multiply(weights, 1.0 - (n + 1) / LIVE_ROUNDS, out=weights, where=weights < self._sorted[-MANY])
        self._mix()
        if total > 30.0 * LEAST * len(self._bands):
            self._audible_frames += 1
            self._power += (total * total - self._power) / min(self._audible_frames, 2000)
        change = self._level_offset - 0.5 * math.log(self._power + 1e-9) if self._audible_frames else 0.0
        np.log(self._sum, out=self._sum)
        np.log(self._bands, out=self._bands)
        np.subtract(self._sum, self._bands, out=self._sum)
        np.add(self._sum, change, out=self._sum)
        np.dot(self._sum, self._spread, out=gain)
        np.clip(gain, -12.0, MOST_GAIN, out=gain)
        np.multiply(gain, amount, out=gain)

    def _mix(self) -> None:
        np.dot(self._parts, self._weights, out=self._sum)
        np.add(self._sum, LEAST, out=self._sum)
