"""Unit playback: a pool of windowed segments of the corpus, at any speed, overlap-added."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from antiphon.api import F32
from antiphon.api.kernels import f32, f32p, f64, f64p, i64, kernel

GRAINS = 24
PI = math.pi


class Grain(IntEnum):
    """Indices of a grain's numbers."""

    AT = 0
    """Position in the corpus in samples, fractional."""
    SPEED = 1
    """Playback speed, corpus samples per sample."""
    AGE = 2
    """Samples since its start; below 0 it is pending."""
    ATTACK = 3
    """Samples of its attack."""
    LENGTH = 4
    """Total samples; 0: the grain is free."""
    RELEASE = 5
    """Samples of its release."""
    GAIN = 6
    FADE = 7
    """Decrease of `LEVEL` per sample."""
    LEVEL = 8
    NUMBERS = 9


@kernel
def mosaic_grains(sound: f32p, frames: i64, rows: f64p, out: f32p, count: i64) -> None:
    """Adds `count` samples of all grains of the corpus `sound`, `frames` samples, to `out`, `[count]`."""
    for v in range(GRAINS):
        r = v * Grain.NUMBERS
        length = rows[r + Grain.LENGTH]
        if length > 0.0:
            at = rows[r + Grain.AT]
            age = rows[r + Grain.AGE]
            level = rows[r + Grain.LEVEL]
            attack = rows[r + Grain.ATTACK]
            release = rows[r + Grain.RELEASE]
            for n in range(count):
                if age >= 0.0 and length > 0.0:
                    i = i64(at)
                    if age >= length or i + 1 >= frames or level <= 0.0:
                        length = 0.0
                    else:
                        f = at - f64(i)
                        g = rows[r + Grain.GAIN] * level
                        if age < attack:
                            g = g * (0.5 - 0.5 * math.cos(PI * age / attack))
                        if length - age < release:
                            g = g * (0.5 - 0.5 * math.cos(PI * (length - age) / release))
                        out[n] = f32(f64(out[n]) + g * (f64(sound[i]) * (1.0 - f) + f64(sound[i + 1]) * f))
                        at = at + rows[r + Grain.SPEED]
                        level = level - rows[r + Grain.FADE]
                age = age + 1.0
            rows[r + Grain.AT] = at
            rows[r + Grain.AGE] = age
            rows[r + Grain.LENGTH] = length
            rows[r + Grain.LEVEL] = level


class Window(NamedTuple):
    """Attack, total length and release of a grain in samples."""

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
