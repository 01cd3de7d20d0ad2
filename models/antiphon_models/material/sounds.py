"""Reads source sound files of the material, and caches results."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32

T = TypeVar("T")


def resample_mono(mono: NDArray[np.floating], source: int, target: int) -> F32:
    """Resamples a mono sound from `source` Hz to `target` Hz."""
    import soxr

    return np.asarray(soxr.resample(mono, source, target) if source != target else mono, np.float32)


def mono(path: Path, rate: int) -> F32:
    """Reads a sound file as mono at `rate`: float32 `[frames]`."""
    import soundfile

    sound, own = soundfile.read(path, dtype="float32", always_2d=True)
    return resample_mono(sound.mean(axis=1), own, rate)


def cached_sound(path: Path, rate: int, make: Callable[[], NDArray[np.floating]], subtype: str | None = None) -> Path:
    """Returns the FLAC file `path`, created atomically if missing.

    `make` gives mono or `[frames, channels]`; `subtype` None is 16 bits.
    """
    import soundfile

    if not path.is_file():
        part = path.with_suffix(".part")
        soundfile.write(part, make(), rate, subtype, format="FLAC")
        part.replace(path)
    return path


def of_length(sound: NDArray[np.floating], frames: int) -> F32:
    """Cuts or zero-pads a mono sound to `frames`."""
    return np.asarray(np.pad(sound[:frames], (0, max(0, frames - len(sound)))), np.float32)


def save_ogg(path: Path, sound: F32, rate: int, level: float) -> None:
    """Writes mono Ogg Vorbis atomically; `level` 0 for the best quality to 1 for the lowest bit rate."""
    import soundfile

    part = path.with_suffix(".part")
    with soundfile.SoundFile(part, "w", rate, 1, "VORBIS", format="OGG", compression_level=level) as file:
        # by the second: longer pieces at once overflow the stack of libsndfile's Vorbis writer
        for at in range(0, len(sound), rate):
            file.write(sound[at : at + rate])
    part.replace(path)


def save_arrays(path: Path, **arrays: Any) -> None:
    """Writes arrays by name as one .npz atomically."""
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.replace(path)


def chorales(data: Path) -> dict[str, list[Any]]:
    """Bach's chorales by "train", "valid" and "test": lists of sixteenths with four pitches each, -1 for a rest."""
    found: dict[str, list[Any]] = json.loads((data / "jsb" / "jsb-chorales-16th.json").read_text("utf-8"))
    return found


def songs(data: Path, digits: str, limit: int = 0) -> list[Path]:
    """Folders of POP909's songs whose number ends in one of `digits`, at most `limit` (0: all), evenly chosen."""
    return evenly_spaced_items(
        sorted(p for p in (data / "pop909").iterdir() if p.name.isdigit() and p.name[-1] in digits), limit
    )


def evenly_spaced_items(items: Sequence[T], limit: int) -> list[T]:
    """At most `limit` of some items (0: all), evenly spaced."""
    return [items[n * len(items) // limit] for n in range(limit)] if 0 < limit < len(items) else list(items)
