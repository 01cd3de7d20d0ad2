"""Synthetic noises of the trust of `denoise-floor`: crowds, weather, machines, records, desks."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_models.denoise.training.sounds import RATE

Sound = NDArray[Any]
Draw = Callable[[str], Sound]
"""A sound of a kind of the material, of the wanted length."""


def shaped(rng: np.random.Generator, count: int, slope: float, low: float = 1.0, high: float = 1e6) -> Sound:
    """Noise whose amplitude falls by frequency to the power of -slope, between two frequencies."""
    return shaped_as(rng.standard_normal(count), slope, low, high)


def hiss(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    low, high = sorted(np.exp(rng.uniform(4.5, 9.5, 2)))
    band = (low, max(high, 1.5 * low)) if rng.random() < 0.3 else (1.0, 1e6)
    return shaped(rng, count, rng.choice([0.0, 0.25, 0.5, 0.75, 1.0]), *band)


def hum(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    tone = _harmonics(rng, count, float(rng.choice([50, 60])), rng.uniform(0.3, 1.5))
    return level(tone) + 10 ** (rng.uniform(-30, -5) / 20) * rng.standard_normal(count)


def fan(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    air = shaped(rng, count, rng.uniform(0.3, 1.0), 40.0, np.exp(rng.uniform(6.5, 9.0)))
    turn = 1.0 + rng.uniform(0, 0.4) * np.sin(2 * np.pi * rng.uniform(4, 40) * np.arange(count) / RATE)
    blades = level(_harmonics(rng, count, rng.uniform(60, 300), rng.uniform(0.6, 1.5)))
    return level(air) * turn + 10 ** (rng.uniform(-25, -3) / 20) * blades


def rain(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    drops = _impulses(rng, count, np.exp(rng.uniform(5.0, 8.5)))
    fall = shaped_as(drops, rng.uniform(-0.2, 0.5), rng.uniform(300, 1500), rng.uniform(6000, 16000))
    return level(fall) + rng.uniform(0.1, 1.0) * level(shaped(rng, count, rng.uniform(0.2, 0.8), 100.0))


def vinyl(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    clicks = shaped_as(_impulses(rng, count, rng.uniform(4, 80)), 0.0, rng.uniform(200, 1500), rng.uniform(4000, 15000))
    return level(clicks) + rng.uniform(0.1, 1.0) * level(shaped(rng, count, rng.uniform(0.1, 0.8)))


def wind(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    gusts = np.interp(np.arange(count), np.linspace(0, count, 12), np.exp(rng.normal(0, 0.9, 12)))
    return shaped(rng, count, rng.uniform(0.8, 1.5), 30.0, rng.uniform(200, 1200)) * gusts


def babble(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    voices = sum(level(draw("voice")) * 10 ** (rng.uniform(-8, 2) / 20) for _ in range(rng.integers(4, 10)))
    return _in_room(rng, np.asarray(voices), rng.uniform(0.2, 1.0))


MADE = (hiss, hiss, hiss, hum, fan, rain, vinyl, wind, babble)


def level(sound: Sound) -> Sound:
    """Sound normalised to power 1; silence is unchanged."""
    return np.asarray(sound / (float(np.std(sound)) + 1e-5))


def shaped_as(sound: Sound, slope: float, low: float, high: float) -> Sound:
    hertz = np.maximum(np.fft.rfftfreq(len(sound), 1.0 / RATE), 20.0)
    spectrum = np.fft.rfft(sound) * hertz**-slope / (1 + (hertz / high) ** 4) / (1 + (low / hertz) ** 4)
    return np.asarray(np.fft.irfft(spectrum, len(sound)))


def _harmonics(rng: np.random.Generator, count: int, hertz: float, slope: float) -> Sound:
    seconds, tone = np.arange(count) / RATE, np.zeros(count)
    for n in range(1, 13):
        tone += np.sin(2 * np.pi * hertz * n * seconds + rng.uniform(0, 6)) * n**-slope
    return tone


def _impulses(rng: np.random.Generator, count: int, often: float) -> Sound:
    """Random impulses at a mean rate of `often` a second, with heavy-tailed amplitudes."""
    struck = rng.random(count) < often / RATE
    return np.asarray(struck * rng.standard_normal(count) * np.exp(rng.normal(0, 0.8, count)))


def _in_room(rng: np.random.Generator, sound: Sound, share: float) -> Sound:
    """Sound with a diffuse reverb tail."""
    seconds = np.arange(RATE // 2) / RATE
    tail = rng.standard_normal(len(seconds)) * np.exp(-6.9 * seconds / rng.uniform(0.2, 0.9))
    size = len(sound) + len(tail)
    far = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)[: len(sound)]
    return level(sound) * (1 - share) + share * level(far)
