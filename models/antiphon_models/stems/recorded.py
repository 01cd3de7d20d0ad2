"""Instrumental scenes from Debian packages unpacked below DATA/debian: `dpkg-deb -x`.

Guitars alone are the rest; what else there is, the network of files takes apart.
"""

import random
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from antiphon.api import F32
from antiphon_models.denoise.training import splits
from antiphon_models.material.sounds import resampled
from antiphon_stems.grids import STEMS
from antiphon_stems.jobs import separate

PACKAGES: dict[splits.Part, tuple[str, ...]] = {
    "train": (
        *("fretsonfire-songs-muldjord", "singularity-music", "supertuxkart-data", "wesnoth-1.16-music"),
        *("unknown-horizons", "lincity-ng-data", "marsshooter-data", "hex-a-hop-data", "supertux-data"),
    ),
    "valid": ("hedgewars-data",),
    "test": ("fretsonfire-songs-sectoid", "freedroidrpg-data", "colobot-common-sounds"),
}
MIN_MUSIC_SECONDS = 30.0
"""Minimum length of music in seconds."""
LEAK_SHARE = 10**-2.5
"""Power share below which a stem is leakage."""


@cache
def pieces(data: Path, part: splits.Part) -> tuple[tuple[Path, ...], ...]:
    """Pieces of each present package of a part."""
    found = (sorted((data / "debian" / name).rglob("*.ogg")) for name in PACKAGES[part])
    return tuple(
        filter(None, (tuple(p for p in each if soundfile.info(p).duration > MIN_MUSIC_SECONDS) for each in found))
    )


def stretch(path: Path, rnd: random.Random, rate: int, frames: int) -> F32:
    """Part of a piece, `[frames]`."""
    with soundfile.SoundFile(path) as file:
        wanted = round(frames * file.samplerate / rate) + 16
        file.seek(rnd.randrange(max(1, file.frames - wanted)))
        sound = resampled(file.read(wanted, "float32", always_2d=True).mean(axis=1), file.samplerate, rate)
    return np.pad(sound, (0, max(0, frames - len(sound))))[:frames].astype(np.float32)


def recorded(data: Path, part: splits.Part, rnd: random.Random, rate: int, frames: int) -> F32:
    """Scene `[4, frames]`, with stems at most 0.9 and a silent voice."""
    path = rnd.choice(rnd.choice(pieces(data, part)))
    mix = stretch(path, rnd, rate, frames)[None]
    stems = np.zeros((len(STEMS), frames), np.float32)
    if path.stem == "guitar":
        stems[-1] = mix[0]
    else:
        drums, bass, voice, other = np.concatenate(list(separate([mix], rate, 1, by="own")), axis=2)[:, 0]
        stems[:] = drums, bass, np.zeros_like(voice), other + voice
        stems[np.mean(stems**2, axis=1) < LEAK_SHARE * np.mean(mix**2)] = 0.0
    return stems * np.float32(0.9 / max(0.9, float(np.abs(stems).max())))
