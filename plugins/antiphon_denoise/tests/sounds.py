"""Sounds the tests make themselves: a melody, a voice-like buzz, noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


def melody(rate: int, seconds: float, seed: int = 0) -> F32:
    """Plucked harmonic notes, four a second, three at a time."""
    rng = np.random.default_rng(seed)
    out = np.zeros(int(rate * seconds))
    t = np.arange(rate) / rate
    for n in range(int(seconds * 4)):
        for _ in range(3):
            pitch = 110.0 * 2 ** (rng.choice([0, 3, 5, 7, 10, 12, 15, 17, 19]) / 12)
            note = sum(np.sin(2 * np.pi * pitch * h * t) / h**1.3 for h in range(1, 8))
            note = note * np.exp(-t * 4) * np.minimum(1, t * 200)
            at = n * rate // 4
            piece = note[: len(out) - at]
            out[at : at + len(piece)] += piece
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def voice(rate: int, seconds: float, seed: int = 0) -> F32:
    """Glottal pulses through two moving formants, in syllables with pauses."""
    rng = np.random.default_rng(seed)
    frames = int(rate * seconds)
    t = np.arange(frames) / rate
    pitch = 120 * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    out = np.zeros(frames)
    first = 500 + 250 * np.sin(2 * np.pi * 1.1 * t)
    second = 1500 + 600 * np.sin(2 * np.pi * 0.8 * t + 1)
    for h in range(1, 40):
        hertz = pitch * h
        weight = np.exp(-(((hertz - first) / 150) ** 2)) + 0.5 * np.exp(-(((hertz - second) / 250) ** 2)) + 0.02
        out += weight * np.sin(h * phase + rng.uniform(0, 6.28)) / h**0.3
    syllables = np.clip(np.sin(2 * np.pi * 2.3 * t) * 3 + 1, 0, 1)
    out = out * syllables
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def white(frames: int, level: float, seed: int = 0, channels: int = 1) -> F32:
    """White noise `[channels, frames]` of this RMS."""
    return (level * np.random.default_rng(seed).standard_normal((channels, frames))).astype(np.float32)


def decibels(ratio: float) -> float:
    """20 log10."""
    return float(20 * np.log10(max(ratio, 1e-12)))
