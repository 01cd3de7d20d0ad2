"""Songs of made artists: an artist has one or two genres, a soundfont and five songs, a file for each artist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_classify.classifier import MEL
from antiphon_models.classify import clips
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.material import fluidsynth
from antiphon_models.material.composer.genres import GENRES
from antiphon_models.material.composer.song import ComposedSong, SongAttributes, compose
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings
from antiphon_models.material.sounds import of_length

SPLITS = {"fit": range(220), "measure": range(3020, 3092)}
"""Numbers of artists: no artist is in two splits."""
SONGS = 5
SECONDS = 15.0
_PLAYED = FluidSettings(0.5, options=(("synth.dynamic-sample-loading", "1"),))
"""Of a soundfont, only what a song needs is read: half of the time that FluidR3 takes."""
_ART = 31
"""Of the seeds of artists, apart from those of songs."""


@dataclass(frozen=True, slots=True)
class ArtistSongs:
    """Songs of one artist.

    Attributes:
        artist: Its number.
        songs: Its songs.
        seeds: Seeds of each song.
    """

    artist: int
    songs: tuple[ComposedSong, ...]
    seeds: tuple[int, ...]


def songs_of(artist: int, seed: int) -> ArtistSongs:
    """The songs of an artist; the same for the same numbers."""
    rng = np.random.default_rng([seed, _ART, artist])
    rules = [GENRES[n] for n in rng.choice(len(GENRES), size=2, replace=False)]
    own = rules[: 1 + int(rng.random() < 0.4)]
    seeds = tuple(int(rng.integers(1 << 30)) for _ in range(SONGS))
    songs = tuple(compose(own[n % len(own)], number, SECONDS) for n, number in enumerate(seeds))
    return ArtistSongs(artist, songs, seeds)


def attributes(split: str, seed: int, artists: int | None = None) -> tuple[list[SongAttributes], list[int]]:
    """The attributes of a split's songs, and the artist of each, in the order of `material`."""
    numbers = SPLITS[split][:artists]
    made = [songs_of(number, seed) for number in numbers]
    return [song.attributes for has in made for song in has.songs], [n for n in numbers for _ in range(SONGS)]


def material(
    folder: Path, split: str, seed: int, say: Callable[[str], None], artists: int | None = None
) -> LabeledClips:
    """The spectrograms of a split, made where there are none; the targets are 0, the groups the artists.

    `artists` None takes the split's number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{split}-{number}.npz" for number in SPLITS[split][:artists]]
    for path, number in zip(paths, SPLITS[split][:artists], strict=True):
        if not path.is_file():
            _render(path, number, seed)
            if number % 20 == 0:
                say(f"{path.name} is complete")
    return clips.read(*paths)


def missing() -> list[str]:
    """Names of what rendering needs and this machine lacks."""
    return fluidsynth.missing((FLUID, TIM))


def _render(path: Path, artist: int, seed: int) -> None:
    clips.write(path, ((clips.spectrogram(mono), 0.0, artist) for mono in sounds(artist, seed)))


def sounds(artist: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """The songs of an artist as sound, mono at `MEL.rate`, of `SECONDS`."""
    length = round(SECONDS * MEL.rate)
    for song in songs_of(artist, seed).songs:
        # what begins after the clip's end would be rendered in vain
        song = replace(song, notes=tuple(note for note in song.notes if note.start < SECONDS))
        sound = fluidsynth.play(song.midi(), TIM if artist % 2 else FLUID, MEL.rate, _PLAYED)
        yield of_length(sound.mean(axis=1), length)
