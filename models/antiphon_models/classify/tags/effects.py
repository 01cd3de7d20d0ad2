"""What is done to a scene that a tag states: distortion, a room, a poor line, noise. Mono float32 at `RATE`."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from antiphon.api import F32
from antiphon_classify.classifier import MEL

RATE = MEL.rate
_LINE = (300.0, 3400.0)
"""Hz that a telephone transmits (ITU-T G.712)."""


def normalise(sound: F32) -> F32:
    """With an RMS of .1; silence stays."""
    return np.asarray(sound * np.float32(0.1 / (float(np.sqrt((sound**2).mean())) + 1e-9)), np.float32)


def distort(sound: F32, rng: np.random.Generator) -> F32:
    """Through a saturation that cuts most of it."""
    return normalise(np.tanh(normalise(sound) * np.float32(rng.uniform(20.0, 80.0))).astype(np.float32))


def reverberant(sound: F32, rng: np.random.Generator) -> F32:
    """In a large room: 1.2 to 3.5 s to -60 dB, at least as loud as what comes directly."""
    seconds = rng.uniform(1.2, 3.5)
    time = np.arange(round(seconds * RATE)) / RATE
    echo = rng.normal(size=len(time)) * 10.0 ** (-3.0 * time / seconds)
    # a room's highs decay sooner
    echo = np.convolve(echo, np.hanning(7)[1:-1], "same")
    late = normalise(fftconvolve(sound, echo)[: len(sound)].astype(np.float32))
    return normalise((normalise(sound) + np.float32(rng.uniform(0.9, 2.0)) * late).astype(np.float32))


def narrow(sound: F32, rng: np.random.Generator) -> F32:
    """As over a telephone, in steps of eight bits or less."""
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1.0 / RATE)
    low, high = _LINE[0] * rng.uniform(0.8, 1.3), _LINE[1] * rng.uniform(0.7, 1.0)
    spectrum *= 1.0 / (1.0 + (low / np.maximum(hertz, 1.0)) ** 8) / (1.0 + (hertz / high) ** 12)
    line = np.fft.irfft(spectrum, len(sound)).astype(np.float32)
    steps = 2.0 ** rng.integers(5, 8)
    peak = float(np.abs(line).max()) + 1e-9
    return normalise((np.round(line / peak * steps) / steps).astype(np.float32))


def noisy(sound: F32, rng: np.random.Generator) -> F32:
    """With noise whose spectrum falls by 0 to 6 dB an octave, 12 dB below it to as loud."""
    return normalise(normalise(sound) + np.float32(10.0 ** (rng.uniform(-12.0, 0.0) / 20.0)) * noise(len(sound), rng))


def noise(frames: int, rng: np.random.Generator) -> F32:
    hertz = np.maximum(np.fft.rfftfreq(frames, 1.0 / RATE), 30.0)
    spectrum = (rng.normal(size=len(hertz)) + 1j * rng.normal(size=len(hertz))) * hertz ** -rng.uniform(0.0, 1.0)
    return normalise(np.fft.irfft(spectrum, frames).astype(np.float32))
