"""The clips of the tags, made once for each split: apart by song, soundfont, voice and recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, UsageError
from antiphon_models.classify import clips
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.tags import pieces, scenes
from antiphon_models.classify.tags.effects import RATE
from antiphon_models.learning.needs import folders
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings, play
from antiphon_models.material.sounds import songs

Split = Literal["train", "choose", "measure"]
FOLDER = FLUID.parent
FONTS: dict[Split, tuple[Path, ...]] = {
    "train": (FLUID, FOLDER / "OPL-3_FM_128M.sf2"),
    "choose": (FOLDER / "sf_GMbank.sf2",),
    "measure": (TIM,),
}
DIGITS: dict[Split, str] = {"train": "123456", "choose": "7", "measure": "89"}
"""Last digits of the numbers of POP909's songs."""
VOICES: dict[Split, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "train": (
        ("en-us", "de", "fr-fr", "es", "nl", "sv"),
        ("+f1", "+f2", "+f3", "+Annie"),
        ("+m1", "+m2", "+m3", "+m4"),
    ),
    "choose": (("en-gb", "hu"), ("+f5", "+Linda"), ("+m5", "+m6")),
    "measure": (("en-gb-scotland", "it"), ("+f4", "+Andrea"), ("+m7", "+m8")),
}
"""Languages, female and male variants of espeak-ng."""
FOLDS: dict[Split, str] = {"train": "12", "choose": "3", "measure": "4"}
"""Of ESC-10."""
COUNT: dict[Split, int] = {"train": 3600, "choose": 480, "measure": 640}
INSTALL = (
    "sudo apt-get install fluidsynth fluid-soundfont-gm opl3-soundfont csound-soundfont timgm6mb-soundfont espeak-ng"
)
_SHARD = 40
"""Scenes of a file, whose music FluidSynth plays in one go."""


@dataclass(frozen=True, slots=True)
class SceneFolders:
    """Where material comes from and goes.

    `data`: holds pop909/ and esc10/. `work`: takes the clips. `say`: takes one line for people.
    """

    data: Path
    work: Path
    seed: int
    say: Callable[[str], None]


def make_clips(where: SceneFolders, split: Split, count: int | None = None) -> LabeledClips:
    """The clips of a split, "train", "choose" or "measure", of which missing ones are made.

    Their groups are 0 for FluidSynth's first soundfont of the split, 1 for its second.

    Raises `UsageError`: a folder or a soundfont is missing.
    """
    count = count or COUNT[split]
    require(where, split)
    shards = [where.work / f"{split}-{where.seed}-{n:03d}.npz" for n in range(-(-count // _SHARD))]
    missing = [n for n, path in enumerate(shards) if not path.is_file()]
    if missing:
        where.say(f"makes {len(missing) * _SHARD} scenes to {split}")
    for n in missing:
        clips.write(shards[n], _shard(where, split, n))
    every = clips.read(*shards)
    return LabeledClips(every.mel[:count], every.targets[:count].astype(np.float32), every.groups[:count])


def require(where: SceneFolders, split: Split) -> None:
    """Raises `UsageError` where a folder, FluidSynth or a soundfont of a split is missing."""
    folders(where.data, ("pop909", "esc10"))
    if absent := fluidsynth.missing(FONTS[split]):
        raise UsageError(f"{absent[0]} is missing; {INSTALL}")


def measure_scenes(where: SceneFolders, count: int | None = None) -> Iterator[tuple[F32, NDArray[np.float32]]]:
    """The scenes of the split "measure" as sound, with their tags; count: None for `COUNT`. Raises as `require`."""
    count = count or COUNT["measure"]
    require(where, "measure")
    every = (one for n in range(-(-count // _SHARD)) for one in sounds(where, "measure", n))
    return ((sound, tags) for sound, tags, _ in islice(every, count))


def _shard(where: SceneFolders, split: Split, number: int) -> Iterator[tuple[F32, object, int]]:
    for sound, tags, font in sounds(where, split, number):
        yield clips.spectrogram(sound), tags, font


def sounds(where: SceneFolders, split: Split, number: int) -> Iterator[tuple[F32, NDArray[np.float32], int]]:
    """The scenes of one file as sound, with their tags and the place of their soundfont."""
    rng = np.random.default_rng((where.seed, ("train", "choose", "measure").index(split), number))
    written_songs = songs(where.data, DIGITS[split])
    languages, female, male = VOICES[split]
    sources = scenes.SceneSources(
        [(language + voice, voice in female) for language in languages for voice in (*female, *male)],
        [
            (path, folder.name)
            for folder in sorted((where.data / "esc10").iterdir())
            if folder.is_dir()
            for path in sorted(folder.glob("*.ogg"))
            if path.name[0] in FOLDS[split]
        ],
    )
    kinds = [scenes.drawn_kind(rng) for _ in range(_SHARD)]
    # a song serves four scenes: its file takes longer to read than a piece takes to play
    written = [pieces.read_song(written_songs[place]) for place in rng.integers(len(written_songs), size=_SHARD // 4)]
    played = {n: pieces.arrange(written[n % len(written)], rng) for n, kind in enumerate(kinds) if "music" in kind}
    font = number % len(FONTS[split])
    wave = play(pieces.score(list(played.values())), FONTS[split][font], RATE, FluidSettings(0.4)).mean(axis=1)
    place = {n: at for at, n in enumerate(played)}
    for n, kind in enumerate(kinds):
        music = None
        if n in place:
            start = round(place[n] * (pieces.SECONDS + pieces.GAP) * RATE)
            music = np.resize(wave[start : start + scenes.FRAMES], scenes.FRAMES)
        yield (*scenes.scene(kind, music, played.get(n), sources, rng), font)
