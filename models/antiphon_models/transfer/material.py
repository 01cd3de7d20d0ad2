"""Exact training pairs: the same notes by two programs, and other notes by the second."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_models.material.fluidsynth import FLUID
from antiphon_models.transfer import renders

TRAINING_FONTS = {
    "fluid": FLUID,
    "opl": Path("/usr/share/sounds/sf2/OPL-3_FM_128M.sf2"),
    "gmbank": Path("/usr/share/sounds/sf2/sf_GMbank.sf2"),
}
"""Soundfonts of the training pairs; TimGM6mb is left to the evaluation. Missing ones are skipped."""
COUNTS = {"fluid": 120, "opl": 60, "gmbank": 60}


def make(data: Path, folder: Path, seed: int, say: Callable[[str], None]) -> list[Path]:
    """Renders missing pairs, int16 `[3, frames]` of source, target and reference; returns all files."""
    paths: list[Path] = []
    for font, count in COUNTS.items():
        if not TRAINING_FONTS[font].is_file():
            say(f"{TRAINING_FONTS[font]} is not installed: trained without it")
            continue
        files = [folder / f"{font}-{n:04d}.npy" for n in range(count)]
        paths += files
        if all(path.is_file() for path in files):
            continue
        say(f"rendering {count} pairs of {font}")
        for path, task in zip(files, renders.training_items(data, TRAINING_FONTS[font], count, seed), strict=True):
            if not path.is_file():
                sounds = np.stack([task.source, task.target, task.reference])
                np.save(path, np.round(32767 * np.clip(sounds, -1.0, 1.0)).astype(np.int16))
    return paths


def load(path: Path) -> NDArray[np.float32]:
    """The sounds of a pair, float32 `[3, frames]`."""
    return np.asarray(np.load(path), np.float32) / np.float32(32767)
