"""Mode `learned` on files: the network runs hop by hop in this process, without a worker.

Its answers are those of live operation to the bit.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import F32, Samples
from antiphon.api.backends.models import load_arrays
from antiphon.api.backends.signal import Decimator
from antiphon_hum.learned import spec

RATE = 3 * spec.RATE
"""Hz that files are resampled to: a whole multiple of the network's rate."""


class OfflineModel:
    """Computes the answers to a sound at `RATE`, given piece by piece. `frames`: frames taken so far."""

    def __init__(self) -> None:
        """Loads the network. Raises `ModelError` where its weights do not fit."""
        model, worker = spec.HUM, spec.HUM.worker("cpu")
        self._network = load_arrays(model.array_network, model.weights, model.folder, worker.inputs, worker.outputs)
        self._decimator = Decimator(RATE, spec.RATE, spec.HOP)
        self.hop = spec.HOP * self._decimator.factor
        self.lag = self._decimator.lag
        self._answers: list[F32] = []
        self._levels: list[float] = []
        self.frames = 0

    def feed(self, sound: Samples) -> None:
        """Takes the next float32 `[channels, n]` of the sound."""
        self.frames += sound.shape[1]
        self._take(sound)

    def end(self) -> tuple[F32, F32]:
        """Ends the sound: the answers `[hops, …]` and the level of each hop in dB `[hops]`."""
        late = (spec.FAR + 2) * self.hop + self.lag
        self._take(np.zeros((1, late), np.float32))
        return np.concatenate(self._answers), np.array(self._levels, np.float32)

    def _take(self, sound: Samples) -> None:
        decimator, at = self._decimator, 0
        while at < sound.shape[1]:
            at += decimator.take(sound, at, sound.shape[1])
            if decimator.full:
                newest = decimator.newest(spec.HOP)
                answer: F32 = np.zeros((1, spec.ANSWER), np.float32)
                self._network.step(np.ascontiguousarray(newest[None]), answer)
                self._answers.append(answer)
                self._levels.append(10.0 * float(np.log10(float(np.dot(newest, newest)) / spec.HOP + 1e-9)))
                decimator.turn()
