"""Sounds the tests make themselves: a melody, a voice-like buzz, noise."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon_denoise.learned import UNITS

F32 = NDArray[np.float32]


@cache
def _plucked(rate: int, pitch: float) -> NDArray[np.float64]:
    """A second of a plucked note of seven harmonics."""
    t = np.arange(rate) / rate
    note: NDArray[np.float64] = np.zeros(rate)
    for h in range(1, 8):
        note += np.sin(2 * np.pi * pitch * h * t) / h**1.3
    return note * np.exp(-t * 4) * np.minimum(1, t * 200)


def melody(rate: int, seconds: float, seed: int = 0) -> F32:
    """Plucked harmonic notes, four a second, three at a time."""
    rng = np.random.default_rng(seed)
    out = np.zeros(int(rate * seconds))
    for n in range(int(seconds * 4)):
        for _ in range(3):
            note = _plucked(rate, 110.0 * 2 ** (rng.choice([0, 3, 5, 7, 10, 12, 15, 17, 19]) / 12))
            at = n * rate // 4
            piece = note[: len(out) - at]
            out[at : at + len(piece)] += piece
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def voice(rate: int, seconds: float, seed: int = 0) -> F32:
    """Glottal pulses through two moving formants, in syllables with pauses."""
    return _voice(rate, seconds, seed).copy()


@cache
def _voice(rate: int, seconds: float, seed: int) -> F32:
    rng = np.random.default_rng(seed)
    frames = int(rate * seconds)
    t = np.arange(frames) / rate
    pitch = 120 * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))
    turn = np.exp(2j * np.pi * np.cumsum(pitch) / rate)
    harmonic = np.ones(frames, np.complex128)
    out = np.zeros(frames)
    first = 500 + 250 * np.sin(2 * np.pi * 1.1 * t)
    second = 1500 + 600 * np.sin(2 * np.pi * 0.8 * t + 1)
    for h in range(1, 40):
        hertz = pitch * h
        weight = np.full(frames, 0.02)
        for formant, width, level in ((first, 150, 1.0), (second, 250, 0.5)):
            # beyond five widths a formant adds less than 1e-10
            near = np.abs(hertz - formant) < 5 * width
            weight[near] += level * np.exp(-(((hertz[near] - formant[near]) / width) ** 2))
        harmonic *= turn
        out += weight * (harmonic * np.exp(1j * rng.uniform(0, 6.28))).imag / h**0.3
    syllables = np.clip(np.sin(2 * np.pi * 2.3 * t) * 3 + 1, 0, 1)
    out = out * syllables
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def white(frames: int, level: float, seed: int = 0, channels: int = 1) -> F32:
    """White noise `[channels, frames]` of this RMS."""
    return (level * np.random.default_rng(seed).standard_normal((channels, frames))).astype(np.float32)


def spectra(hops: int, seed: int) -> F32:
    """Log powers `[hops, UNITS]`: noise that falls with frequency, tones that come and go, a silence."""
    rng = np.random.default_rng(seed)
    x = -4.0 - np.linspace(0.0, 8.0, UNITS) + 1.5 * rng.standard_normal((hops, UNITS))
    x[:, 40:400:25] += 6.0 * (np.sin(np.arange(hops) / 9.0) > 0.0)[:, None]
    x[20:35] = np.log(1e-10)
    return x.astype(np.float32)


def decibels(ratio: float) -> float:
    """20 log10."""
    return float(20 * np.log10(max(ratio, 1e-12)))
