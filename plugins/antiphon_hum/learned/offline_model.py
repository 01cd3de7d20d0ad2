"""The learned modes on files: the network runs over many hops in one call, in this process. Imports torch.

Its answers equal those of hop by hop operation to the last digits of float32.
"""

from __future__ import annotations

from functools import cache
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.networks import State, load_network
from antiphon_hum.decimator import Decimator
from antiphon_hum.learned import spec
from antiphon_hum.learned.model_tracker import MODELS

F32 = NDArray[np.float32]
TOGETHER = 1000
"""Hops of one call: 25 MB of frames."""
RATE = 3 * spec.RATE
"""Hz that files are resampled to: a whole multiple of the network's rate."""


class OfflineNetwork(Protocol):
    """A streaming network that also takes many hops in one call; both networks of `hum` are."""

    def start(self, slots: int) -> State:
        """The state before the first hop."""
        ...

    def listen(self, sound: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Answers `[slots, hops, …]` to `[slots, frames]`, a whole number of hops, and the state after them."""
        ...


@cache
def network(mode: str) -> OfflineNetwork:
    """The network of a learned mode with its weights.

    Args:
        mode: A key of `MODELS`.

    Raises:
        ModelError: Its weights do not fit.
    """
    return cast("OfflineNetwork", load_network(MODELS[mode].worker("cpu"), torch.device("cpu")))


class OfflineModel:
    """Computes the answers to a sound at `RATE`, given piece by piece.

    Attributes:
        frames: Frames taken so far.
    """

    def __init__(self, mode: str) -> None:
        self._mode, self._network = mode, network(mode)
        self._decimator = Decimator(RATE, spec.RATE, spec.HOP)
        self.hop = spec.HOP * self._decimator.factor
        self.lag = self._decimator.lag
        self._state = self._network.start(1)
        self._hops: list[F32] = []
        self._parts: list[F32] = []
        self._levels: list[float] = []
        self.frames = 0

    def feed(self, sound: Samples) -> None:
        """Takes the next float32 `[channels, n]` of the sound."""
        self.frames += sound.shape[1]
        self._take(sound)

    def end(self) -> tuple[F32, F32]:
        """Ends the sound.

        Returns:
            The answers `[hops, …]` and the level of each hop in dB `[hops]`.
        """
        late = (spec.FAR + 2) * self.hop + self.lag
        self._take(np.zeros((1, late), np.float32))
        self._run()
        return np.concatenate(self._parts), np.array(self._levels, np.float32)

    def _take(self, sound: Samples) -> None:
        decimator, at = self._decimator, 0
        while at < sound.shape[1]:
            at += decimator.take(sound, at, sound.shape[1])
            if decimator.full:
                newest = decimator.newest(spec.HOP)
                self._hops.append(newest.copy())
                self._levels.append(10.0 * float(np.log10(float(np.dot(newest, newest)) / spec.HOP + 1e-9)))
                decimator.turn()
                if len(self._hops) == TOGETHER:
                    self._run()

    def _run(self) -> None:
        if self._hops:
            sound = torch.from_numpy(np.concatenate(self._hops))[None]
            self._hops.clear()
            with torch.inference_mode():
                answers, self._state = self._network.listen(sound, self._state)
            self._parts.append(answers.reshape(sound.shape[1] // spec.HOP, -1).numpy())
