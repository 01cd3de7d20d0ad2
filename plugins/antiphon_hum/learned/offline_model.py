"""Files in the learned modes: the network hears many hops at once, with nothing between it and them. Imports torch.

What it answers is what it answers hop by hop, to the last digits of float32.
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
"""Hops of a piece: 25 MB of frames."""
RATE = 3 * spec.RATE
"""Hz that a file is heard at: of it the network's own rate is a whole part."""


class OfflineNetwork(Protocol):
    """A streaming network that takes many hops in one call as well: both of `hum` do."""

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
    """Takes a sound at `RATE` piece by piece; then `answers` `[hops, …]` and `levels`, dB of each hop.

    frames: heard so far.
    """

    def __init__(self, mode: str) -> None:
        self._mode, self._network = mode, network(mode)
        self._intake = Decimator(RATE, spec.RATE, spec.HOP)
        self.hop = spec.HOP * self._intake.factor
        self.lag = self._intake.lag
        self._state = self._network.start(1)
        self._waiting: list[F32] = []
        self._parts: list[F32] = []
        self._levels: list[float] = []
        self.frames = 0

    def hear(self, sound: Samples) -> None:
        """float32 `[channels, n]` more of it."""
        self.frames += sound.shape[1]
        self._take(sound)

    def end(self) -> tuple[F32, F32]:
        """`answers` and `levels`. Nothing more is heard afterwards."""
        late = (spec.FAR + 2) * self.hop + self.lag
        self._take(np.zeros((1, late), np.float32))
        self._run()
        return np.concatenate(self._parts), np.array(self._levels, np.float32)

    def _take(self, sound: Samples) -> None:
        intake, at = self._intake, 0
        while at < sound.shape[1]:
            at += intake.take(sound, at, sound.shape[1])
            if intake.full:
                newest = intake.newest(spec.HOP)
                self._waiting.append(newest.copy())
                self._levels.append(10.0 * float(np.log10(float(np.dot(newest, newest)) / spec.HOP + 1e-9)))
                intake.turn()
                if len(self._waiting) == TOGETHER:
                    self._run()

    def _run(self) -> None:
        if self._waiting:
            sound = torch.from_numpy(np.concatenate(self._waiting))[None]
            self._waiting.clear()
            with torch.inference_mode():
                answers, self._state = self._network.listen(sound, self._state)
            self._parts.append(answers.reshape(sound.shape[1] // spec.HOP, -1).numpy())
