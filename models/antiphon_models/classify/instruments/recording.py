"""What a recording does to a sound: a room, an equaliser, a limiter, noise, lossy codecs, a telephone."""

from __future__ import annotations

import numpy as np

from antiphon.api import F32
from antiphon_classify.classifier import MEL
from antiphon_models.material.degradation import add_noise, codec, phone
from antiphon_models.material.sounds import of_length

Rng = np.random.Generator
RATE = MEL.rate
PEAK = 0.7


def simulate_recording(sound: F32, rng: Rng, strength: float = 1.0) -> F32:
    """A sound `[frames]` at `RATE` as it may be recorded, its peak at most `PEAK`; `strength` 0 leaves it as it is."""
    if rng.random() < 0.3 * strength:
        sound = _faster(sound, float(rng.uniform(0.96, 1.04)))
    if rng.random() < 0.6 * strength:
        sound = equalise(sound, rng)
    if rng.random() < 0.25 * strength:
        sound = _limited(sound, float(rng.uniform(0.7, 3.0)))
    if rng.random() < 0.5 * strength:
        sound = in_room(sound, rng)
    if rng.random() < 0.4 * strength:
        sound = with_noise(sound, rng)
    sound = np.asarray(PEAK * sound / (np.abs(sound).max() + 1e-9), np.float32)
    match float(rng.random()):
        case chance if chance < 0.22 * strength:
            return codec(sound, RATE, "mp3", float(rng.uniform(0.3, 0.95)))
        case chance if chance < 0.4 * strength:
            return codec(sound, RATE, "ogg", float(rng.uniform(0.3, 1.0)))
        case chance if chance < 0.46 * strength:
            return phone(sound, RATE)
    return sound


def _faster(sound: F32, times: float) -> F32:
    import soxr

    return of_length(soxr.resample(sound, RATE * times, RATE), len(sound))


def equalise(sound: F32, rng: Rng) -> F32:
    """A smooth random curve over the octaves, 5 dB of deviation at six points."""
    size = len(sound)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1.0 / RATE), 30.0) / 30.0)
    points = np.linspace(0.0, octaves[-1], 6)
    gain = np.interp(octaves, points, rng.normal(0.0, 5.0, 6))
    return np.asarray(np.fft.irfft(np.fft.rfft(sound) * (10.0 ** (gain / 20.0)).astype(np.float32), size), np.float32)


def _limited(sound: F32, drive: float) -> F32:
    return np.asarray(np.tanh(drive * sound / (np.abs(sound).max() + 1e-9)), np.float32)


def in_room(sound: F32, rng: Rng) -> F32:
    """Noise that dies away in 0.15 to 1.5 s (RT60) behind the direct sound, up to as loud as it."""
    seconds = rng.uniform(0.15, 1.5)
    time = np.arange(round(seconds * RATE)) / RATE
    tail = rng.standard_normal(len(time), np.float32) * np.exp(-np.log(1000.0) * time / seconds)
    tail[: round(rng.uniform(0.001, 0.02) * RATE)] = 0.0
    # walls and air take the high frequencies
    tail = np.convolve(tail, np.ones(int(rng.integers(1, 6))), "same")
    tail *= 10.0 ** (rng.uniform(-18.0, 0.0) / 20.0) / (np.sqrt(np.sum(tail**2)) + 1e-9)
    tail[0] = 1.0
    size = 1 << (len(sound) + len(tail)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail.astype(np.float32), size), size)
    return np.asarray(wet[: len(sound)], np.float32)


def with_noise(sound: F32, rng: Rng) -> F32:
    """White, pink or brown noise, 12 to 50 dB below the sound."""
    spectrum = np.fft.rfft(rng.standard_normal(len(sound), np.float32))
    slope = float(rng.choice([0.0, 0.5, 1.0]))
    spectrum *= (np.maximum(1.0, np.arange(len(spectrum))) ** -slope).astype(np.float32)
    noise = np.fft.irfft(spectrum, len(sound))
    return add_noise(sound, noise, float(rng.uniform(12.0, 50.0)))
