"""What happens to a sound on its way to who asks: noise, another speed, a room, a telephone."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_models.identify.tracks import RATE

PHONE_RATE = 8000
"""Hz of GSM's full-rate codec, which passes 13 kbit/s."""
_PHONE = (300.0, 3400.0)
Sound = NDArray[np.float32]
Rng = np.random.Generator


def noise(sound: Sound, rng: Rng, data: Path, turn: int) -> Sound:
    """White noise, pink noise or an environmental sound of esc10, in turn, as loud as the sound: 0 dB."""
    count = len(sound)
    match turn % 3:
        case 0:
            added = rng.standard_normal(count)
        case 1:
            spectrum = np.fft.rfft(rng.standard_normal(count))
            spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
            spectrum[0] = 0.0
            added = np.fft.irfft(spectrum, count)
        case _:
            added = _environment(count, rng, data)
    power = np.sqrt(np.mean(sound**2) / (np.mean(added**2) + 1e-12))
    return np.asarray(sound + power * added, np.float32)


def _environment(count: int, rng: Rng, data: Path) -> NDArray[np.float64]:
    import soundfile
    import soxr

    files = sorted((data / "esc10").glob("*/*.ogg"))
    parts: list[NDArray[np.float64]] = []
    while sum(map(len, parts)) < count:
        recorded, rate = soundfile.read(files[rng.integers(len(files))], always_2d=True)
        part = recorded.mean(axis=1)
        if np.mean(part**2) > 1e-7:
            parts.append(soxr.resample(part / np.sqrt(np.mean(part**2)), rate, RATE))
    return np.concatenate(parts)[:count]


def speed(sound: Sound, times: float) -> Sound:
    """Played `times` as fast, pitch and all."""
    import soxr

    return np.asarray(soxr.resample(sound, RATE * times, RATE), np.float32)


def room(sound: Sound, rng: Rng) -> Sound:
    """Noise that dies away in 0.3 to 0.8 s (RT60), as loud as the direct sound."""
    reverberation = rng.uniform(0.3, 0.8)
    time = np.arange(round(1.2 * reverberation * RATE)) / RATE
    tail = rng.standard_normal(len(time)) * np.exp(-np.log(1000.0) * time / reverberation)
    tail[: round(0.002 * RATE)] = 0.0
    tail /= np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    size = len(sound) + len(tail)
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)
    return np.asarray(wet[: len(sound)], np.float32)


def phone(sound: Sound) -> Sound:
    """300 to 3400 Hz, and GSM's full-rate codec."""
    import soundfile
    import soxr

    low = soxr.resample(sound, RATE, PHONE_RATE)
    spectrum, places = np.fft.rfft(low), np.fft.rfftfreq(len(low), 1.0 / PHONE_RATE)
    spectrum[(places < _PHONE[0]) | (places > _PHONE[1])] = 0.0
    band = np.fft.irfft(spectrum, len(low))
    file = io.BytesIO()
    soundfile.write(file, 0.5 * band / (np.abs(band).max() + 1e-9), PHONE_RATE, format="WAV", subtype="GSM610")
    file.seek(0)
    coded = soundfile.read(file, dtype="float32")[0][: len(low)]
    return np.asarray(soxr.resample(coded, PHONE_RATE, RATE), np.float32)


Condition = Callable[[Sound, Rng, Path, int], Sound]
CONDITIONS: Mapping[str, tuple[float, Condition]] = {
    "10 s, clean": (10.0, lambda sound, rng, data, turn: sound),
    "10 s, noise 0 dB": (10.0, lambda sound, rng, data, turn: noise(sound, rng, data, turn)),
    "5 s, noise 0 dB": (5.0, lambda sound, rng, data, turn: noise(sound, rng, data, turn)),
    "10 s, speed 2 %": (10.0, lambda sound, rng, data, turn: speed(sound, (1.02, 0.98)[turn % 2])),
    "10 s, phone": (10.0, lambda sound, rng, data, turn: phone(sound)),
    "10 s, room": (10.0, lambda sound, rng, data, turn: room(sound, rng)),
    "10 s, room and phone": (10.0, lambda sound, rng, data, turn: phone(room(sound, rng))),
}
"""By name: seconds that are asked, and what is done to them."""
