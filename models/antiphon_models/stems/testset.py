"""Mixes that nothing was trained on or chosen by: other songs, another soundfont, other loops, real singers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from antiphon.api import F32
from antiphon_models.stems import material

WIDTHS = (0.3, 0.15, 0.3, 0.9)


@dataclass(frozen=True, slots=True)
class StemMix:
    """A mix at `material.RATE`. `stems`: `[4, channels, frames]`; absent ones are 0."""

    name: str
    stems: F32

    @property
    def mix(self) -> F32:
        """`[channels, frames]`, the sum."""
        return np.asarray(self.stems.sum(axis=0), np.float32)


def mixes(data: Path, count: int, seed: int) -> Iterator[StemMix]:
    """Mixes of ten seconds; stems differ by some dB, every seventh is left out, a third of the mixes is mono."""
    for n in range(count):
        rnd = random.Random(f"stems-{seed}-{n}")
        scene = material.scene(data, "test", rnd, partial(material.singer, data, "test"))
        channels = 1 if n % 3 == 2 else 2
        stems = np.zeros((4, channels, material.FRAMES), np.float32)
        for k, sound in enumerate(scene):
            power = float(np.mean(sound**2))
            if power < 1e-7 or (n + 3 * k) % 7 == 0:
                continue
            level = 0.1 / np.sqrt(power) * 10 ** (rnd.gauss(0.0, 4.0) / 20)
            place = rnd.uniform(-1.0, 1.0) * WIDTHS[k] * (channels > 1)
            gains = np.array([np.cos((place + 1) * np.pi / 4), np.sin((place + 1) * np.pi / 4)]) * np.sqrt(2.0)
            stems[k] = gains[:channels, None] * level * sound if channels > 1 else level * sound
        stems *= np.float32(0.7 / max(0.7, float(np.abs(stems.sum(axis=0)).max())))
        yield StemMix(str(n + 1), stems)
