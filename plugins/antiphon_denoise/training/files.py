"""The recordings, loops and noises the gate's network was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_denoise.training import sounds

F32 = NDArray[np.float32]
RATE = 44100


def read(path: Path) -> F32:
    """A file as mono at `RATE`."""
    return sounds.read(path, RATE)


def clean_sounds(data: Path) -> dict[str, dict[str, F32]]:
    """Music, speech and loops by kind and name."""
    kinds: dict[str, dict[str, F32]] = {"loop": {}, "music": {}, "speech": {}}
    for path in sorted((data / "tracks").glob("*.ogg")):
        kinds["speech" if path.stem.startswith("speech") else "music"][path.stem] = read(path)
    for path in sorted((data / "sonicpi").glob("loop_*.flac")):
        kinds["loop"][path.stem] = read(path)
    return kinds


def noise_files(data: Path, folds: str) -> dict[str, list[Path]]:
    """ESC-10 clips of these folds, by class."""
    classes: dict[str, list[Path]] = {}
    for path in sorted((data / "esc10").glob("*/*.ogg")):
        if path.name.split("-")[0] in folds:
            classes.setdefault(path.parent.name, []).append(path)
    return classes
