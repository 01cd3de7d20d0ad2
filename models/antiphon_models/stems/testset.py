"""Test mixes outside training and validation: other songs, another soundfont, other loops, real singers.

Or songs of anybody's, a folder each.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soxr

from antiphon.api import F32, AntiphonError, UsageError
from antiphon.api.backends.files import read_sound
from antiphon_models.stems import material
from antiphon_stems.grids import STEMS

FILES = (
    "folders of songs, each a folder with drums, bass, voice (or vocals), other, mix (or mixture), .wav, .flac, .ogg"
)
SOUNDS = (".wav", ".flac", ".ogg")
WIDTHS = (0.3, 0.15, 0.3, 0.9)


@dataclass(frozen=True, slots=True)
class StemMix:
    """A mix at `material.RATE`. `stems`: `[4, channels, frames]`; absent ones are 0, unknown ones NaN.

    `whole`: the mix, where it is not the stems' sum.
    """

    name: str
    stems: F32
    whole: F32 | None = None

    @property
    def mix(self) -> F32:
        """`[channels, frames]`."""
        return np.asarray(self.stems.sum(axis=0), np.float32) if self.whole is None else self.whole


def mixes(data: Path, count: int, seed: int) -> Iterator[StemMix]:
    """Mixes of ten seconds; stems differ by some dB, every seventh is left out, a third of the mixes is mono."""
    for n in range(count):
        rnd = random.Random(f"stems-{seed}-{n}")
        scene = material.scene(data, "test", rnd, partial(material.singer, data, "test"))
        channels = 1 if n % 3 == 2 else 2
        stems = np.zeros((4, channels, material.FRAMES), np.float32)
        for k, sound in enumerate(scene):
            power = float(np.mean(sound**2))
            if power < 1e-7 or (n + 3 * k) % 7 == 0:
                continue
            level = 0.1 / np.sqrt(power) * 10 ** (rnd.gauss(0.0, 4.0) / 20)
            place = rnd.uniform(-1.0, 1.0) * WIDTHS[k] * (channels > 1)
            gains = np.array([np.cos((place + 1) * np.pi / 4), np.sin((place + 1) * np.pi / 4)]) * np.sqrt(2.0)
            stems[k] = gains[:channels, None] * level * sound if channels > 1 else level * sound
        stems *= np.float32(0.7 / max(0.7, float(np.abs(stems.sum(axis=0)).max())))
        yield StemMix(str(n + 1), stems)


def own_songs(folders: Sequence[Path], say: Callable[[str], None] = print) -> Iterator[StemMix]:
    """Songs in folders, or in subfolders. Without a mix it is the sum of the stems, and missing stems are 0.

    `say`: takes a line about each song that cannot be read and is left out. Raises UsageError: a folder holds no stems.
    """
    for folder in folders:
        places = (folder, *sorted(folder.iterdir())) if folder.is_dir() else ()
        songs = [place for place in places if place.is_dir() and _named(place, STEMS)]
        if not songs:
            raise UsageError(f"{folder} holds no stems; stems is evaluated on {FILES}")
        for song in songs:
            try:
                found = {name: _read(path) for name, path in _named(song, (*STEMS, "mix")).items()}
            except AntiphonError as error:
                say(f"{song.name} is left out: {error}")
                continue
            shape = max(len(x) for x in found.values()), max(x.shape[1] for x in found.values())
            found = {name: np.pad(x * np.ones((shape[0], 1), np.float32), ((0, 0), (0, shape[1] - x.shape[1])))
                     for name, x in found.items()}  # fmt: skip
            missing = np.full(shape, np.nan if "mix" in found else 0.0, np.float32)
            yield StemMix(song.name, np.stack([found.get(name, missing) for name in STEMS]), found.get("mix"))


def _named(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Sounds of a folder by stem."""
    other = {"vocals": "voice", "mixture": "mix"}
    paths = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in SOUNDS)
    named = {other.get(path.stem, path.stem): path for path in paths}
    return {name: named[name] for name in names if name in named}


def _read(path: Path) -> F32:
    """A sound's first two channels at `material.RATE`, `[channels, frames]`."""
    sound = read_sound(path)
    return np.asarray(soxr.resample(sound.samples[:2].T, sound.rate, material.RATE).T, np.float32)
