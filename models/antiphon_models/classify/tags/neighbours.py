"""Sounds that were never trained on, in kinds: who is nearest to whom by a vector, and is it of the same kind?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from antiphon.api import F32
from antiphon_classify.classifier import MEL
from antiphon_models.classify.tags import pieces
from antiphon_models.classify.tags.effects import normalise
from antiphon_models.classify.tags.labels import FAMILIES
from antiphon_models.classify.tags.material import DIGITS, FOLDS, FONTS
from antiphon_models.material.composer.genres import GENRES
from antiphon_models.material.composer.song import compose
from antiphon_models.material.fluidsynth import FluidSettings, play
from antiphon_models.material.sounds import mono, songs

RATE = MEL.rate
SECONDS = 12.0
OF_EACH = 10
"""Sounds of a kind."""
KnownSounds = Iterator[tuple[F32, int]]


def instruments(data: Path, seed: int, of_each: int) -> KnownSounds:
    """The accompaniments of songs not trained on, each by one instrument of a soundfont not trained on; its family."""
    rng = np.random.default_rng((seed, 71))
    folders = songs(data, DIGITS["measure"])
    for label, programs in enumerate(FAMILIES.values()):
        made = []
        for n in range(of_each):
            song = pieces.read_song(folders[int(rng.integers(len(folders)))])
            notes = song.parts["PIANO"]
            start = float(rng.uniform(0.1, 0.6) * notes[-1, 0])
            inside = notes[(notes[:, 0] >= start) & (notes[:, 0] < start + pieces.SECONDS - 0.1)].copy()
            inside[:, :2] = np.minimum(inside[:, :2] - start, pieces.SECONDS)
            rows = np.column_stack([inside, np.zeros(len(inside))])
            made.append(pieces.ArrangedClip(rows, {0: programs[n % len(programs)]}, {}))
        wave = play(pieces.score(made), FONTS["measure"][0], RATE, FluidSettings(0.4)).mean(axis=1)
        for n in range(of_each):
            at = round(n * (pieces.SECONDS + pieces.GAP) * RATE)
            yield normalise(wave[at : at + round(pieces.SECONDS * RATE)]), label


def genres(data: Path, seed: int, of_each: int) -> KnownSounds:
    """Songs that are composed by the rules of twelve genres, with that soundfont; their genre."""
    for label, rules in enumerate(GENRES):
        for n in range(of_each):
            song = compose(replace(rules), seed * 1000 + 500 + n, SECONDS)
            wave = play(song.midi(), FONTS["measure"][0], RATE, FluidSettings(0.4)).mean(axis=1)
            yield normalise(wave[: round(SECONDS * RATE)]), label


def recordings(data: Path, seed: int, of_each: int) -> KnownSounds:
    """ESC-10's recordings of the fold that is not trained on; their class."""
    for label, folder in enumerate(sorted(path for path in (data / "esc10").iterdir() if path.is_dir())):
        files = [path for path in sorted(folder.glob("*.ogg")) if path.name[0] in FOLDS["measure"]]
        for path in files[:of_each]:
            yield mono(path, RATE), label


KINDS: dict[str, Callable[[Path, int, int], KnownSounds]] = {
    "neighbours, instruments": instruments,
    "neighbours, genres": genres,
    "neighbours, sounds": recordings,
}
