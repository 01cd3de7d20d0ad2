"""Beats in notes: groups of onsets by size, bass and loudness, where in a bar each kind usually is, and the filter."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import F64
from antiphon_follow.bars import BINS, METERS, BarFilter
from antiphon_follow.evidence import network_weights

MODEL = "follow-notes"
FRAMES_PER_SECOND = 100.0
GROUP_SECONDS = 0.045
"""Seconds in which notes are one onset."""
SIZES, BASSES, LOUDS = 3, 3, 2
KINDS = SIZES * BASSES * LOUDS
"""Kinds of onsets: one, two or more notes; no bass, the bass before or a new one; louder than usual or not."""
_ADAPTION, _LOW_MARGIN, _LOUD_MARGIN = 0.08, 1.0, 2.0 / 127.0
_RATE_SECONDS = 2.0
"""Time constant in seconds of the rate of onsets."""
_MAX_RATE = 8.0
SPREAD, FLAT, POWER, REST = 0.9, 0.05, 1.3, 1.0
"""Width in bins by which tables are smoothed, share of onsets anywhere, weight of an onset and of its absence."""


class OnsetKinds:
    """Kind of each group of notes, by those before."""

    def __init__(self) -> None:
        self._loud, self._low, self._bass = 0.5, 55.0, -1

    def __call__(self, lowest: int, loudest: float, count: int) -> int:
        """Number of the kind, 0 to `KINDS` - 1."""
        bass = 0
        if lowest < self._low - _LOW_MARGIN:
            bass = 1 if lowest == self._bass else 2
            self._bass = lowest
        loud = int(loudest > self._loud + _LOUD_MARGIN)
        self._low += _ADAPTION * (lowest - self._low)
        self._loud += _ADAPTION * (loudest - self._loud)
        return ((min(SIZES, count) - 1) * BASSES + bass) * LOUDS + loud


def smoothed(counts: F64, width: float) -> F64:
    """Density of each row's onsets over a bar, of mean 1; `width` in bins."""
    size = counts.shape[1]
    distance = (np.arange(size) + size // 2) % size - size // 2
    kernel = np.exp(-0.5 * (distance / width) ** 2)
    dense = np.fft.irfft(np.fft.rfft(counts, axis=1) * np.fft.rfft(kernel / kernel.sum()), size, axis=1)
    dense = np.maximum(dense, 0.0) + 1e-4 * counts.sum(axis=1, keepdims=True) + 1e-9
    return np.asarray(dense / dense.mean(axis=1, keepdims=True))


class NoteBeats:
    """Beats in a stream of notes. `seconds`: the time up to which it has listened; `rate`: onsets a second."""

    def __init__(self, low: float, high: float, meters: tuple[int, ...] = METERS) -> None:
        self.filter = BarFilter(FRAMES_PER_SECOND, low, high, meters)
        counts = np.asarray(network_weights(MODEL)["counts"], np.float64)
        dense = smoothed(counts, SPREAD)
        self._onsets = [self.filter.table((((1.0 - FLAT) * row + FLAT) ** POWER).reshape(4, BINS)) for row in dense]
        everywhere = smoothed(counts.sum(axis=0, keepdims=True), SPREAD)[0]
        self._rest = self.filter.table(everywhere.reshape(4, BINS))
        self._silence = np.ones_like(self._rest)
        self.clear()

    def clear(self) -> None:
        """Forgets all; time begins again at 0."""
        self.filter.clear()
        self._kinds = OnsetKinds()
        self._frames, self._group, self._known = 0, -1.0, 0.0
        self.rate, self._lowest, self._loudest, self._count = 0.0, 0, 0.0, 0

    @property
    def seconds(self) -> float:
        return self._frames / FRAMES_PER_SECOND

    def skip(self, seconds: float) -> None:
        """Passes the time until then without listening, where no note has come yet."""
        self._frames = int(seconds * FRAMES_PER_SECOND)

    def note(self, at: float, number: int, velocity: float) -> None:
        """Takes a note's beginning, at a time in the coming frame."""
        if self._count == 0:
            if at - self._group < GROUP_SECONDS and self._group >= 0.0:
                return
            self._group, self._lowest, self._loudest = at, number, velocity
        self._lowest, self._loudest = min(self._lowest, number), max(self._loudest, velocity)
        self._count += 1

    def step(self) -> None:
        """Listens to the next frame, whose notes were taken."""
        self._frames += 1
        decay = math.exp(-1.0 / (FRAMES_PER_SECOND * _RATE_SECONDS))
        self.rate, self._known = self.rate * decay, self._known * decay + (1.0 - decay)
        if self._count:
            kind = self._kinds(self._lowest, self._loudest, self._count)
            self.rate += (1.0 - decay) * FRAMES_PER_SECOND
            self._count = 0
            self.filter.step(self._onsets[kind])
        else:
            weight = REST * min(_MAX_RATE, self.rate) / FRAMES_PER_SECOND
            np.exp(np.multiply(self._rest, -weight, out=self._silence), out=self._silence)
            self.filter.step(self._silence)
        if self._frames % 10 == 0 and self._frames > FRAMES_PER_SECOND:
            self.filter.expect(self.rate / self._known)
