"""Unit selection: minimum sum of weighted distances."""

from __future__ import annotations

import numpy as np

from antiphon.api import F32
from antiphon_mosaic.corpus import Corpus
from antiphon_mosaic.features import CHROMA, LEVEL, TIMBRE, WIDTH, Grid

AGAIN = 0.6
"""Cost of repeating the last unit."""
ONSET = 0.5
"""Cost of a mismatch of onsets at the beginning of a unit, for note starts."""
STIR = 1.0
"""Cost of an onset inside a unit without one in the input."""
STEP = 0.02
"""Cost of a semitone of transposition."""
UNPITCHED = 2.0
"""Distance in semitones assigned to an unpitched unit, and to one beyond the transposition range."""
MOST_STEPS, MOST_NOTE_STEPS = 12, 36


class UnitChooser:
    """Selects units of a corpus, in preallocated buffers."""

    def __init__(self, corpus: Corpus, grid: Grid) -> None:
        self._corpus = corpus
        self._near = grid.size // 8 + 1
        self._features = corpus.features
        self._begins = (ONSET * ~corpus.onset).astype(np.float32)
        self._stir = (STIR * corpus.stir).astype(np.float32)
        self._squares = corpus.features**2
        self._chroma = np.ascontiguousarray(corpus.features[:, CHROMA].T)
        self._cost: F32 = np.zeros(len(corpus.starts), np.float32)
        self._part: F32 = np.zeros(len(corpus.starts), np.float32)
        self._likeness: F32 = np.zeros((2 * MOST_STEPS + 1, len(corpus.starts)), np.float32)
        self._wanted: F32 = np.zeros((2 * MOST_STEPS + 1, 12), np.float32)
        self._weight: F32 = np.zeros(WIDTH, np.float32)
        self.steps = 0.0  # semitones by which the unit chosen last is to be transposed
        self.continues = False

    def weigh(self, timbre: float, loudness: float) -> None:
        """Sets the weights of `follow`."""
        self._weight[TIMBRE], self._weight[LEVEL] = timbre, loudness

    def follow(self, target: F32, number: float, pitch: float, transpose: int, *, onset: bool) -> None:
        """Starts a selection: the costs of units for the features of a sound.

        `target`: `[WIDTH]`. `number`: its pitch as a MIDI number, which units are to have; of 0 they are to have its
        chroma. `transpose`: semitones by which units may be moved for it.
        """
        cost, part = self._cost, self._part
        np.dot(self._squares, self._weight, out=cost)
        np.dot(self._features, self._weight * target, out=part)
        np.multiply(part, -2.0, out=part)
        np.add(cost, part, out=cost)
        self._number, self._transpose = number, transpose
        if number > 0.0:
            self._pitched(number, pitch)
        else:
            for n in range(2 * transpose + 1):
                self._wanted[n] = np.roll(target[CHROMA], transpose - n) * np.float32(-2.0 * pitch)
            likeness = self._likeness[: 2 * transpose + 1]
            np.matmul(self._wanted[: 2 * transpose + 1], self._chroma, out=likeness)
            likeness += np.float32(STEP) * np.abs(np.arange(-transpose, transpose + 1, dtype=np.float32))[:, None]
            np.min(likeness, axis=0, out=part)
            np.add(cost, part, out=cost)
        if onset:
            np.add(cost, self._begins, out=cost)
        else:
            np.add(cost, self._stir, out=cost)

    def note(self, number: float, pitch: float) -> None:
        """Starts a selection: the costs of units for a note; number 0 for a finger, which transposes none."""
        self._cost.fill(0.0)
        self._number, self._transpose = number, MOST_NOTE_STEPS if number > 0.0 else 0
        self._likeness[0] = 0.0
        if number > 0.0:
            self._pitched(number, pitch)

    def _pitched(self, number: float, pitch: float) -> None:
        """Adds pitch costs: transposition, its excess over the range, or a missing pitch."""
        away = np.abs(self._corpus.pitch - np.float32(number))
        np.multiply(away, STEP, out=self._part)
        away -= self._transpose
        np.clip(away, 0.0, UNPITCHED, out=away)
        away[self._corpus.pitch == 0.0] = UNPITCHED
        self._part += np.float32(pitch) * away
        self._cost += self._part

    def choose(
        self, x: float, y: float, position: float, cluster: int, last: int, next_sample: float, continuity: float
    ) -> int:
        """Adds the costs of position, cluster and continuity, and returns the unit of minimum cost.

        `cluster`: 0 for all. `last`: the unit played before; below 0 none. `next_sample`: sample of the corpus to which
        it has come.
        """
        corpus, cost = self._corpus, self._cost
        if position > 0.0:
            away = corpus.place - np.array([x, y], np.float32)
            np.multiply(away, away, out=away)
            cost += np.float32(8.0 * position) * away.sum(axis=1)
        if cluster > 0:
            cost += np.float32(1e3) * (corpus.cluster != cluster)
        if last >= 0:
            cost[last] += AGAIN
            after = int(np.searchsorted(corpus.starts, next_sample))
            for n in (after - 1, after):
                if 0 <= n < len(cost) and n != last and abs(corpus.starts[n] - next_sample) < self._near:
                    cost[n] -= continuity
        best = int(np.argmin(cost))
        self.continues = last >= 0 and best != last and abs(corpus.starts[best] - next_sample) < self._near
        unit = float(corpus.pitch[best])
        if self._number > 0.0:
            self.steps = min(max(self._number - unit, -self._transpose), self._transpose) if unit > 0.0 else 0.0
        elif not self.continues:
            self.steps = float(np.argmin(self._likeness[: 2 * self._transpose + 1, best])) - self._transpose
        return best
