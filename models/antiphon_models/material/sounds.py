"""Sound files that material is made of, and those that it is kept in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32


def resampled(mono: NDArray[np.floating], source: int, target: int) -> F32:
    """Mono sound of `source` Hz at `target` Hz."""
    import soxr

    return np.asarray(soxr.resample(mono, source, target) if source != target else mono, np.float32)


def mono(path: Path, rate: int) -> F32:
    """A sound file as mono at `rate`: float32 `[frames]`."""
    import soundfile

    sound, own = soundfile.read(path, dtype="float32", always_2d=True)
    return resampled(sound.mean(axis=1), own, rate)


def kept(
    path: Path, rate: int, make: Callable[[], NDArray[np.floating]], kind: str = "FLAC", subtype: str | None = None
) -> Path:
    """A file of sound, made where it is not there, whole or not at all.

    `make` gives mono or `[frames, channels]`; `subtype` None is the format's usual one, of FLAC 16 bits.
    """
    import soundfile

    if not path.is_file():
        part = path.with_suffix(".part")
        soundfile.write(part, make(), rate, subtype, format=kind)
        part.replace(path)
    return path


def songs(data: Path, digits: str, limit: int = 0) -> list[Path]:
    """Folders of POP909's songs whose number ends in one of `digits`, at most `limit` (0: all), evenly chosen."""
    names = sorted(p for p in (data / "pop909").iterdir() if p.name.isdigit() and p.name[-1] in digits)
    return [names[n * len(names) // limit] for n in range(limit)] if 0 < limit < len(names) else names
