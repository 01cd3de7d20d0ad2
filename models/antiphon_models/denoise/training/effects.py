"""Random studio effects: echo, chorus, ring, crush, gate, reverse, grains, reverb.

Mono float32 at `RATE` in and out, of the same length. None of it makes noise of its own.
"""

import random
from collections.abc import Callable

import numpy as np

from antiphon.api import F32
from antiphon_models.denoise.training.sounds import RATE


def with_effects(sound: F32, rnd: random.Random) -> F32:
    """One to three effects, one after the other."""
    for effect in rnd.sample(EFFECTS, rnd.choice([1, 1, 2, 3])):
        sound = effect(sound / (float(np.abs(sound).max(initial=0.0)) + 1e-6), rnd)
    return sound.astype(np.float32)


def _echo(sound: F32, rnd: random.Random) -> F32:
    delay, keep = int(rnd.uniform(0.05, 0.6) * RATE), rnd.uniform(0.2, 0.7)
    out = sound.astype(np.float64)
    for at in range(delay, len(out), delay):
        size = min(delay, len(out) - at)
        out[at : at + size] += keep * out[at - delay : at - delay + size]
    return out.astype(np.float32)


def _chorus(sound: F32, rnd: random.Random) -> F32:
    t = np.arange(len(sound))
    out = sound.astype(np.float64)
    deep, rate = rnd.uniform(0.0005, 0.006) * RATE, rnd.uniform(0.1, 3.0)
    for _ in range(rnd.choice([1, 2, 3])):
        wave = 1.0 + np.sin(2 * np.pi * rate * t / RATE + rnd.uniform(0, 6))
        out = out + rnd.choice([0.7, -0.7]) * np.interp(t - deep * wave, t, sound, left=0.0)
    return out.astype(np.float32)


def _ring(sound: F32, rnd: random.Random) -> F32:
    hertz, depth = float(np.exp(rnd.uniform(np.log(20), np.log(2000)))), rnd.uniform(0.5, 1.0)
    wave = np.sin(2 * np.pi * hertz * np.arange(len(sound)) / RATE)
    return (sound * (1.0 - depth + depth * wave)).astype(np.float32)


def _crushed(sound: F32, rnd: random.Random) -> F32:
    """Sound at a reduced sample rate, and overdriven."""
    hold = rnd.choice([1, 2, 3, 6])
    held = np.repeat(sound[::hold], hold)[: len(sound)]
    return np.asarray(np.tanh(held * rnd.uniform(1.0, 12.0)), np.float32)


def _gated(sound: F32, rnd: random.Random) -> F32:
    """Sound gated by a step pattern."""
    step, pattern = int(rnd.uniform(0.06, 0.2) * RATE), [rnd.random() < 0.6 for _ in range(8)]
    level = np.repeat(np.resize(np.array(pattern, np.float32), len(sound) // step + 2), step)
    smooth = np.convolve(level, np.ones(240, np.float32) / 240, "same")[: len(sound)]
    return np.asarray(sound * smooth, np.float32)


def _backwards(sound: F32, rnd: random.Random) -> F32:
    return sound[::-1].copy()


def _grains(sound: F32, rnd: random.Random) -> F32:
    """Granulated sound, some grains reversed or resampled."""
    size = int(rnd.uniform(0.03, 0.3) * RATE)
    window = np.hanning(size).astype(np.float32)
    out, spread = np.zeros(len(sound) + size, np.float32), rnd.uniform(0.02, 1.0) * RATE
    speed, back = rnd.choice([0.5, 1.0, 1.0, 1.5, 2.0]), rnd.random() * 0.5
    for at in range(0, len(sound), max(1, size // rnd.choice([2, 3, 4]))):
        place = int(min(max(0.0, at + rnd.gauss(0, spread)), max(0, len(sound) - 2 * size)))
        piece = sound[place : place + 2 * size]
        taken = np.interp(np.arange(size) * speed, np.arange(len(piece)), piece, right=0.0)
        grain = taken[::-1] if rnd.random() < back else taken
        out[at : at + size] += window * grain
    return out[: len(sound)]


def _room(sound: F32, rnd: random.Random) -> F32:
    count = int(rnd.uniform(0.3, 3.0) * RATE)
    noise = np.random.default_rng(rnd.getrandbits(32)).standard_normal(count)
    tail = noise * np.exp(-6.9 * np.arange(count) / count)
    size = 1 << (len(sound) + count).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail / np.sqrt(np.sum(tail**2)), size), size)
    return (sound + rnd.uniform(0.2, 2.0) * wet[: len(sound)]).astype(np.float32)


EFFECTS: tuple[Callable[[F32, random.Random], F32], ...] = (
    _echo,
    _chorus,
    _ring,
    _crushed,
    _gated,
    _backwards,
    _grains,
    _room,
)
