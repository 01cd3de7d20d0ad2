"""Unit playback: windowed segments of the corpus, at any speed, overlap-added."""

from __future__ import annotations

import math
from enum import IntEnum

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
    """Adds `count` samples of all grains to `out`.

    `sound`: the corpus, `frames` samples. `out`: `[count]`. `count`: samples.
    """
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
