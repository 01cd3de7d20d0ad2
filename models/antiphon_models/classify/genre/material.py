"""Clips of composed songs, of other sounds and of strange genres; files of some songs by one source of one label.

What fits is for the most part sketched (`sketches`) from the notes of soundfonts; what chooses and measures is played.
The files that are missing are made, also by several processes at once: each locks the file that it makes.
"""

from __future__ import annotations

import fcntl
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon_classify.classifier import MEL
from antiphon_classify.rhythm import FRAMES, features
from antiphon_models.classify import clips
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.genre.notes import NoteBank, bank
from antiphon_models.classify.genre.others import other_sounds, sketched_others
from antiphon_models.classify.genre.sketches import sketch_excerpts
from antiphon_models.classify.genre.sources import SPLITS, render_songs
from antiphon_models.material.composer.genres import GENRES, STRANGERS
from antiphon_models.material.composer.rules import GenreRules
from antiphon_models.material.composer.song import compose
from antiphon_models.material.composer.strangers import INVENTED
from antiphon_models.material.degradation import degrade
from antiphon_models.material.sounds import of_length, save_arrays

Say = Callable[[str], None]
LABELS = (*(rules.name for rules in GENRES), "other")
"""What the network tells apart; the last one is what is no song of the others: speech, noise, one instrument alone,
genres that are invented."""
SECONDS = 6.0
"""Of a clip."""
CHUNK = 100
"""Sketched songs of a file."""
CHUNKS = 40
"""Files of sketches of each genre, of what is no song, and of invented genres."""
SONGS = {"fit": 20, "choose": 10, "measure": 10}
"""Songs of each genre that each source of a split plays."""
CUTS = {"fit": 4, "choose": 2, "measure": 2}
"""Clips of such a song."""
LASTS = {"fit": 21.0, "choose": 30.0, "measure": 30.0}
"""Seconds of such a song."""
_FIRST = {"fit": 0, "choose": 100_000, "measure": 200_000}
"""Seeds of songs begin there, so that no split has another's."""
_SEEDS = 1_000_000
"""Seeds of songs of one seed of the material."""
_SOURCES = 2
"""Most sources of a split that is played."""


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """The clips of the songs of one label by one source.

    `split`: of `SPLITS`. `label`: of `LABELS`, or a stranger's. `rules`: of the genre; None for other sounds.
    """

    split: str
    source: str
    label: str
    rules: GenreRules | None

    @property
    def target(self) -> int:
        """The label's number; -1 for a stranger."""
        return LABELS.index(self.label) if self.label in LABELS else -1

    @property
    def name(self) -> str:
        """Name of the clip's file, without the ending."""
        return f"{self.split}-{self.source}-{self.label.replace(' ', '-')}-0"


def plans(split: str) -> list[ClipPlan]:
    """The plans of a split; strangers are in those that choose and measure alone."""
    known: list[tuple[str, GenreRules | None]] = [(rules.name, rules) for rules in GENRES]
    known += [("other", None), *((rules.name, rules) for rules in STRANGERS.get(split, ()))]
    return [ClipPlan(split, source, label, rules) for label, rules in known for source in SPLITS[split]]


def songs(plan: ClipPlan, seed: int, most: int | None = None) -> Iterator[tuple[F32, int, np.random.Generator]]:
    """The songs of a plan as sound: mono at `MEL.rate`, of `LASTS`, the number of each, and what draws the rest."""
    lasts, count = LASTS[plan.split], min(SONGS[plan.split], most or SONGS[plan.split])
    key = zlib.crc32(f"{plan.source} {plan.label}".encode())
    rngs = [np.random.default_rng([seed, key, _FIRST[plan.split] + place]) for place in range(count)]
    first = _SEEDS * seed + _FIRST[plan.split] + SPLITS[plan.split].index(plan.source)
    numbers = [first + place * _SOURCES for place in range(count)]
    if plan.rules is None:
        found = other_sounds(range(count), plan.source, plan.split, lasts, rngs)
    else:
        found = render_songs([compose(plan.rules, number, lasts) for number in numbers], plan.source, MEL.rate)
    length = round(lasts * MEL.rate)
    for sound, number, rng in zip(found, numbers, rngs, strict=True):
        yield _scaled(of_length(sound, length)), number, rng


def cuts(whole: F32, count: int) -> list[F32]:
    """The clips of a song, from its beginning to its end, each at most 0.5."""
    length = round(SECONDS * MEL.rate)
    starts = np.linspace(0.0, len(whole) - length, count).astype(int)
    return [_scaled(whole[start : start + length]) for start in starts]


def _scaled(sound: F32) -> F32:
    return np.asarray(0.5 * sound / (np.abs(sound).max() + 1e-6), np.float32)


@dataclass(frozen=True, slots=True)
class GenreClips:
    """The clips of a split, each degraded.

    `known`: of `LABELS`, of 6 s. `strange`: of genres that are none of them, whose targets are -1.
    """

    known: LabeledClips
    strange: LabeledClips
    known_whole: LabeledClips
    strange_whole: LabeledClips

    @property
    def parts(self) -> tuple[LabeledClips, ...]:
        """All parts, in order."""
        return self.known, self.strange, self.known_whole, self.strange_whole


def material(folder: Path, split: str, seed: int, say: Say, most: int | None = None) -> GenreClips:
    """The clips of a split, as "choose", made where there are none; `most` None is `SONGS`."""
    known, strange = ([p for p in plans(split) if (p.target >= 0) == own] for own in (True, False))
    return GenreClips(
        *(played_clips(folder, some, seed, say, kind, most) for kind in ("", "-whole") for some in (known, strange))
    )


def played_clips(
    folder: Path, every: Sequence[ClipPlan], seed: int, say: Say, kind: str = "", most: int | None = None
) -> LabeledClips:
    """The clips of some plans, made where there are none; `kind` is "-whole" for clips of whole songs."""
    for wait in (False, True):
        for plan in every:
            make(folder / f"{plan.name}.npz", partial(_play, plan, seed=seed, most=most), say, wait=wait)
    return clips.read(*(folder / f"{plan.name}{kind}.npz" for plan in every))


@dataclass(frozen=True, slots=True)
class PlayedSong:
    """A song as sound at `MEL.rate`, degraded. `whole`: of `LASTS`. `cuts`: clips of it, each degraded by itself."""

    number: int
    whole: F32
    cuts: tuple[F32, ...]


def play_plan(plan: ClipPlan, seed: int, most: int | None = None) -> Iterator[PlayedSong]:
    """The songs of a plan, as `songs` draws them."""
    for whole, number, rng in songs(plan, seed, most):
        long = degrade(whole, rng, MEL.rate)
        short = tuple(degrade(cut, rng, MEL.rate) for cut in cuts(whole, CUTS[plan.split]))
        yield PlayedSong(number, long, short)


def _play(plan: ClipPlan, path: Path, *, seed: int, most: int | None) -> None:
    """Writes the clips of a plan, and beside them those of whole songs."""
    short: list[tuple[F32, object, int]] = []
    long: list[tuple[F32, object, int]] = []
    for song in play_plan(plan, seed, most):
        long.append((clips.spectrogram(song.whole), plan.target, song.number))
        short += [(clips.spectrogram(cut), plan.target, song.number) for cut in song.cuts]
    clips.write(path.with_name(f"{path.stem}-whole.npz"), long)
    clips.write(path, short)


@dataclass(frozen=True, slots=True)
class FitFeatures:
    """Features and labels that the network is fitted to.

    `rhythm`: float16 `[excerpts, features]`, of `antiphon_classify.rhythm`. `targets`: int64 `[excerpts]`. `played`:
    how many excerpts, the first ones, were played; the others are sketched.
    """

    rhythm: NDArray[np.float16]
    targets: NDArray[np.int64]
    played: int


def fitting(folder: Path, seed: int, say: Say) -> FitFeatures:
    """The features of songs and other sounds, played and sketched, made where there are none."""
    banks = [bank(folder, source, say) for source in SPLITS["fit"]]
    labels = [*LABELS, INVENTED]
    wanted = [
        (folder / f"sketches-{label.replace(' ', '-')}-{chunk}.npz", place, chunk)
        for chunk in range(CHUNKS)
        for place, label in enumerate(labels)
    ]
    every = plans("fit")
    for wait in (False, True):
        for plan in every:
            make(folder / f"{plan.name}.npz", partial(_play_to_fit, plan, seed=seed), say, wait=wait)
        for path, place, chunk in wanted:
            make(path, partial(_sketch, place=place, chunk=chunk, banks=banks), say, wait=wait)
    found, targets, count = [], [], 0
    sources = [(folder / f"{plan.name}.npz", plan.target) for plan in every]
    for path, place in [*sources, *((path, place) for path, place, _ in wanted)]:
        with np.load(path, allow_pickle=False) as file:
            found.append(file["rhythm"])
            targets.append(np.full(len(found[-1]), min(place, len(GENRES))))
            count += len(found[-1]) if path.name.startswith("fit-") else 0
    return FitFeatures(np.concatenate(found), np.concatenate(targets), count)


def _play_to_fit(plan: ClipPlan, path: Path, *, seed: int) -> None:
    mel = [
        clips.spectrogram(degrade(cut, rng, MEL.rate))[:FRAMES]
        for whole, _, rng in songs(plan, seed)
        for cut in cuts(whole, CUTS["fit"])
    ]
    _write(path, np.stack(mel))


def _sketch(path: Path, *, place: int, chunk: int, banks: list[NoteBank]) -> None:
    numbers = range(chunk * CHUNK, (chunk + 1) * CHUNK)
    if place == len(GENRES):
        mel = sketched_others(numbers, banks)
    else:
        mel = sketch_excerpts(GENRES[place] if place < len(GENRES) else None, place, numbers, banks)
    _write(path, mel)


def _write(path: Path, mel: F32) -> None:
    rhythm = np.concatenate([features(mel[n : n + 16]) for n in range(0, len(mel), 16)])
    save_arrays(path, rhythm=rhythm.astype(np.float16))


def make(path: Path, write: Callable[[Path], None], say: Say, *, wait: bool) -> None:
    """Has a file written where it is missing; one that another process writes is left, or waited for."""
    if path.is_file():
        return
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return
        if not path.is_file():
            write(path)
            say(f"{path.name} is complete")
