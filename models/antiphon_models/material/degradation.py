"""What happens to a sound on its way to who asks: noise, a room, an equaliser, a compressor, codecs, a telephone."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

PHONE_RATE = 8000
"""Hz of GSM's full-rate codec, which passes 13 kbit/s."""
_PHONE = (300.0, 3400.0)
"""Hz of a telephone's band."""
Sound = NDArray[np.float32]
Rng = np.random.Generator


def coloured_noise(count: int, slope: float, rng: Rng) -> NDArray[np.float64]:
    """Noise whose power falls with frequency: `slope` 0 for white, 1 for pink, 2 for brown."""
    if not slope:
        return np.asarray(rng.standard_normal(count))
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (0.5 * slope)
    spectrum[0] = 0.0
    return np.fft.irfft(spectrum, count)


def add_noise(sound: Sound, added: NDArray[np.floating], ratio: float) -> Sound:
    """The sound with another, `ratio` dB below it."""
    power = np.sqrt(np.mean(sound**2) / (np.mean(added**2) + 1e-12))
    return np.asarray(sound + 10.0 ** (-ratio / 20.0) * power * added, np.float32)


def room(sound: Sound, rng: Rng, rate: int, wet: float = 1.0) -> Sound:
    """Noise that dies away in 0.3 to 0.8 s (RT60); `wet` is its level beside the direct sound's, 1 for as loud."""
    reverberation = rng.uniform(0.3, 0.8)
    time = np.arange(round(1.2 * reverberation * rate)) / rate
    tail = rng.standard_normal(len(time)) * np.exp(-np.log(1000.0) * time / reverberation)
    tail[: round(0.002 * rate)] = 0.0
    tail *= wet / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    size = len(sound) + len(tail)
    both = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)
    return np.asarray(both[: len(sound)], np.float32)


def equalise(sound: Sound, rng: Rng, rate: int, most: float = 9.0) -> Sound:
    """A curve of up to `most` dB up and down, through seven random points from 40 Hz to 10 kHz."""
    points = np.geomspace(40.0, 10_000.0, 7)
    gains = rng.uniform(-most, most, len(points))
    places = np.fft.rfftfreq(len(sound), 1.0 / rate)
    curve = np.interp(np.log(np.maximum(places, 1.0)), np.log(points), gains)
    return np.asarray(np.fft.irfft(np.fft.rfft(sound) * 10.0 ** (curve / 20.0), len(sound)), np.float32)


def compress(sound: Sound, rng: Rng) -> Sound:
    """Drives the sound 0 to 14 dB into a soft limit, as loud productions are."""
    drive = 10.0 ** (rng.uniform(0.0, 14.0) / 20.0)
    peak = float(np.abs(sound).max()) + 1e-9
    return np.asarray(peak * np.tanh(drive * sound / peak) / np.tanh(drive), np.float32)


def phone(sound: Sound, rate: int) -> Sound:
    """300 to 3400 Hz, and GSM's full-rate codec."""
    import soxr

    low = soxr.resample(sound, rate, PHONE_RATE)
    spectrum, places = np.fft.rfft(low), np.fft.rfftfreq(len(low), 1.0 / PHONE_RATE)
    spectrum[(places < _PHONE[0]) | (places > _PHONE[1])] = 0.0
    band = np.fft.irfft(spectrum, len(low))
    coded = _coded(0.5 * band / (np.abs(band).max() + 1e-9), PHONE_RATE, "WAV", "GSM610")[: len(low)]
    return np.asarray(soxr.resample(coded, PHONE_RATE, rate), np.float32)


def codec(sound: Sound, rate: int, kind: str, level: float) -> Sound:
    """Mono through "mp3" or "ogg" and back, `level` 0 for the best quality to 1 for the lowest bit rate."""
    peak = max(1.0, float(np.abs(sound).max()))
    format, subtype = {"mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS")}[kind]
    found = _coded(sound / peak, rate, format, subtype, level)
    # MP3 has a beginning of its own; what is missing at the end is silent
    return np.asarray(peak * np.pad(found[: len(sound)], (0, max(0, len(sound) - len(found)))), np.float32)


def _coded(sound: Sound, rate: int, format: str, subtype: str, level: float | None = None) -> Sound:
    import soundfile

    file = io.BytesIO()
    options = {} if level is None else {"compression_level": level}
    soundfile.write(file, sound, rate, format=format, subtype=subtype, **options)
    file.seek(0)
    return np.asarray(soundfile.read(file, dtype="float32")[0])


def degrade(sound: Sound, rng: Rng, rate: int) -> Sound:
    """A chain drawn at random: a third of sounds pass as they are, the others have one to four of what is here.

    A telephone, which leaves least, has one in twelve.
    """
    if rng.random() < 1.0 / 3.0:
        return sound
    if rng.random() < 1.0 / 8.0:
        return phone(sound, rate)
    if rng.random() < 0.6:
        sound = equalise(sound, rng, rate)
    if rng.random() < 0.4:
        sound = compress(sound, rng)
    if rng.random() < 0.4:
        sound = room(sound, rng, rate, float(rng.uniform(0.2, 1.0)))
    if rng.random() < 0.4:
        noise = coloured_noise(len(sound), float(rng.choice([0.0, 1.0, 2.0])), rng)
        sound = add_noise(sound, noise, float(rng.uniform(8.0, 30.0)))
    if rng.random() < 0.5:
        sound = codec(sound, rate, str(rng.choice(["mp3", "ogg"])), float(rng.uniform(0.5, 1.0)))
    return sound
