"""Beats in notes: groups of onsets by size, bass and loudness, where in a bar each kind usually is, and the filter.

The tempo is suggested by a small network, which judges how long after each other onsets and basses came.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon_follow.bars import BINS, METERS, BarFilter
from antiphon_follow.evidence import TEMPOS, Evidence, network_weights

MODEL = "follow-notes"
FRAMES_PER_SECOND = 100.0
GROUP_SECONDS = 0.045
"""Seconds in which notes are one onset."""
SIZES, BASSES, LOUDS = 3, 3, 2
KINDS = SIZES * BASSES * LOUDS
"""Kinds of onsets: one, two or more notes; no bass, the bass before or a new one; louder than usual or not."""
_ADAPTION, _LOW_MARGIN, _LOUD_MARGIN = 0.08, 1.0, 2.0 / 127.0
_RATE_SECONDS, _FOLLOW_SECONDS = 2.0, 5.0
"""Time constants in seconds of the rate of onsets and of how often they follow each other."""
_MAX_RATE = 8.0
SPREAD, FLAT, POWER, REST = 0.9, 0.05, 1.3, 1.0
"""Width in bins by which tables are smoothed, share of onsets anywhere, weight of an onset and of its absence."""
TEMPO_FRAMES, TEMPO_EVERY, SHARE = 50.0, 10, 0.3
"""Frames a second by which the tempo is judged, frames of the filter from one judgement to the next, and its weight."""
EDGES: NDArray[np.int64] = np.unique(np.round(np.geomspace(3.5, 150.0, 23))).astype(np.int64)
"""Such frames ago between which onsets are summed."""
SLOWS = 2 * (len(EDGES) - 1) + 1
_RING, _MOST_LOUD = 256, 2.5


class NoteIntervals:
    """By what times onsets and basses followed each other in the last seconds: `slow` `[SLOWS]`."""

    def __init__(self) -> None:
        self._weights = 1.0 / np.sqrt(np.diff(EDGES))
        self._rate_decay, self._decay = (
            math.exp(-1.0 / (TEMPO_FRAMES * seconds)) for seconds in (_RATE_SECONDS, _FOLLOW_SECONDS)
        )
        self.clear()

    def clear(self) -> None:
        """Forgets all."""
        self._frames, self._low, self._known, self._rate = 0, 55.0, 0.0, 0.0
        self._sums, self._total = np.zeros((2, _RING)), np.zeros(2)
        self._follows = np.zeros((2, len(EDGES) - 1))
        self._lowest, self._loudest, self._loud = 128, 0.0, 0.0

    def note(self, number: int, velocity: float) -> None:
        """Takes a note of the coming frame."""
        self._lowest, self._loudest = min(self._lowest, number), max(self._loudest, velocity)
        self._loud += velocity

    def step(self) -> None:
        """Finishes the frame whose notes were taken."""
        heard = self._loud > 0.0
        onset = np.array(
            [min(self._loud, _MOST_LOUD), self._loudest if self._lowest < self._low - _LOW_MARGIN else 0.0]
        )
        self._rate = (self._rate + heard) * self._rate_decay
        self._total += onset
        self._sums[:, self._frames % _RING] = self._total
        self._follows *= self._decay
        self._known = self._known * self._decay + 1.0 - self._decay
        if heard:
            past = self._sums[:, (self._frames - EDGES) % _RING]
            gain = 10.0 * (1.0 - self._decay) * self._weights
            self._follows += gain * onset[:, None] * (past[:, :-1] - past[:, 1:])
            self._low += _ADAPTION * (self._lowest - self._low)
        self._frames += 1
        self._lowest, self._loudest, self._loud = 128, 0.0, 0.0

    @property
    def slow(self) -> F64:
        """The sums, of basses behind those of all onsets, and the rate of onsets."""
        return np.append(self._follows.ravel() / max(self._known, 1e-9), self._rate / 10.0)


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
    """Beats in a stream of notes. `seconds`: the time up to which it has listened."""

    def __init__(self, low: float, high: float, meters: tuple[int, ...] = METERS) -> None:
        self.filter = BarFilter(FRAMES_PER_SECOND, low, high, meters)
        weights = network_weights(MODEL)
        self._evidence, self._intervals = Evidence(weights), NoteIntervals()
        counts = np.asarray(weights["counts"], np.float64)
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
        self._intervals.clear()
        self._frames, self._group = 0, -1.0
        self._rate, self._lowest, self._loudest, self._count = 0.0, 0, 0.0, 0

    @property
    def seconds(self) -> float:
        return self._frames / FRAMES_PER_SECOND

    def skip(self, seconds: float) -> None:
        """Passes the time until then without listening, where no note has come yet."""
        self._frames = int(seconds * FRAMES_PER_SECOND)

    def note(self, at: float, number: int, velocity: float) -> None:
        """Takes a note's beginning, at a time in the coming frame."""
        self._intervals.note(number, velocity)
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
        self._rate *= decay
        if self._count:
            kind = self._kinds(self._lowest, self._loudest, self._count)
            self._rate += (1.0 - decay) * FRAMES_PER_SECOND
            self._count = 0
            self.filter.step(self._onsets[kind])
        else:
            weight = REST * min(_MAX_RATE, self._rate) / FRAMES_PER_SECOND
            np.exp(np.multiply(self._rest, -weight, out=self._silence), out=self._silence)
            self.filter.step(self._silence)
        if self._frames % 2 == 0:
            self._intervals.step()
        if self._frames % TEMPO_EVERY == 0 and self._frames > FRAMES_PER_SECOND:
            self.filter.suggest(TEMPOS, self._evidence("tempo", self._intervals.slow), SHARE)
