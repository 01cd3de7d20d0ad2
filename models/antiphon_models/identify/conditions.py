"""What happens to a sound on its way to who asks: noise, another speed, a room, a telephone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_models.identify.tracks import RATE
from antiphon_models.material import degradation

Sound = NDArray[np.float32]
Rng = np.random.Generator


def noise(sound: Sound, rng: Rng, data: Path, turn: int) -> Sound:
    """White noise, pink noise or an environmental sound of esc10, in turn, as loud as the sound: 0 dB."""
    count = len(sound)
    match turn % 3:
        case 0 | 1 as slope:
            added = degradation.coloured_noise(count, float(slope), rng)
        case _:
            added = _environment(count, rng, data)
    return degradation.add_noise(sound, added, 0.0)


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


Condition = Callable[[Sound, Rng, Path, int], Sound]
CONDITIONS: Mapping[str, tuple[float, Condition]] = {
    "10 s, clean": (10.0, lambda sound, rng, data, turn: sound),
    "10 s, noise 0 dB": (10.0, lambda sound, rng, data, turn: noise(sound, rng, data, turn)),
    "5 s, noise 0 dB": (5.0, lambda sound, rng, data, turn: noise(sound, rng, data, turn)),
    "10 s, speed 2 %": (10.0, lambda sound, rng, data, turn: speed(sound, (1.02, 0.98)[turn % 2])),
    "10 s, phone": (10.0, lambda sound, rng, data, turn: degradation.phone(sound, RATE)),
    "10 s, room": (10.0, lambda sound, rng, data, turn: degradation.room(sound, rng, RATE)),
    "10 s, room and phone": (
        10.0,
        lambda sound, rng, data, turn: degradation.phone(degradation.room(sound, rng, RATE), RATE),
    ),
}
"""By name: seconds that are asked, and what is done to them."""
