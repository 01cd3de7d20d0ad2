"""Pool of grains of one corpus, a row each in the memory of `mosaic_grains`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from antiphon.api import F32
from antiphon_mosaic.kernels import GRAINS, Grain, mosaic_grains


class Window(NamedTuple):
    """The samples of a grain's rise, of all of it, and of its fall."""

    attack: float
    length: float
    release: float


class GrainPool:
    """Starts, fades and mixes grains; without a free one the oldest is replaced."""

    def __init__(self, sound: F32) -> None:
        self._sound = sound
        self._rows = np.zeros((GRAINS, Grain.NUMBERS))
        self._owner = np.full(GRAINS, -1)
        self._mix = mosaic_grains.caller()

    def reset(self) -> None:
        self._rows.fill(0.0)

    def begin(
        self, at: float, wait: int, window: Window, *, gain: float = 1.0, speed: float = 1.0, owner: int = -1
    ) -> None:
        """Starts a grain in `wait` samples, from the first frame of `mix`; other arguments as in `Grain`."""
        row = int(np.argmin(np.where(self._rows[:, Grain.LENGTH] > 0.0, 1e9 - self._rows[:, Grain.AGE], 0.0)))
        self._rows[row] = (at, speed, -wait, *window, gain, 0.0, 1.0)
        self._owner[row] = owner

    def fade(self, samples: float, owner: int = -1) -> None:
        """Fades out an owner's grains."""
        own = self._owner == owner
        self._rows[own, Grain.FADE] = 1.0 / samples

    def mix(self, out: F32) -> None:
        """Adds all grains to contiguous `[n]`."""
        self._mix(self._sound, len(self._sound), self._rows, out, len(out))
