"""Clips of composed songs, of other sounds and of strange genres; a file for each source and label."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_classify.classifier import MEL
from antiphon_models.classify import clips
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.genre.others import other_sound
from antiphon_models.classify.genre.sources import SPLITS, rendered
from antiphon_models.material.composer.genres import GENRES
from antiphon_models.material.composer.rules import GenreRules
from antiphon_models.material.composer.song import compose
from antiphon_models.material.composer.strangers import STRANGERS
from antiphon_models.material.degradation import degraded

F32 = NDArray[np.float32]
LABELS = (*(rules.name for rules in GENRES), "other")
"""What the network tells apart; the last one is what is no song: speech, noise, one instrument alone."""
SECONDS = 6.0
SONGS = {"fit": 20, "choose": 4, "measure": 10}
"""Of each genre by each source of a split."""
CUTS = {"fit": 3, "choose": 2, "measure": 2}
"""Clips of a song."""
_FIRST = {"fit": 0, "choose": 100_000, "measure": 200_000}
"""Seeds of songs begin there, so that no split has another's."""
_LASTS = 21.0
"""Seconds of a song."""


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """The clips of one label by one source.

    Attributes:
        split: Of `SPLITS`.
        source: Of the split.
        label: Of `LABELS`, or of a stranger.
        rules: Of the genre; None for other sounds.
    """

    split: str
    source: str
    label: str
    rules: GenreRules | None

    @property
    def target(self) -> int:
        """The label's number; -1 for a stranger."""
        return LABELS.index(self.label) if self.label in LABELS else -1


def plans(split: str) -> list[ClipPlan]:
    """The plans of a split; strangers are in the splits that choose and measure alone."""
    known: list[tuple[str, GenreRules | None]] = [(rules.name, rules) for rules in GENRES]
    known += [("other", None), *((rules.name, rules) for rules in STRANGERS.get(split, ()))]
    return [ClipPlan(split, source, label, rules) for label, rules in known for source in SPLITS[split]]


def sounds(plan: ClipPlan, seed: int, songs: int | None = None) -> Iterator[tuple[F32, int]]:
    """The clips of a plan as sound, at `MEL.rate`, and the number of the song of each.

    Args:
        plan: Which.
        seed: Of the whole material.
        songs: How many songs; None for the split's.
    """
    cuts = CUTS[plan.split]
    length = round(SECONDS * MEL.rate)
    for place in range(songs or SONGS[plan.split]):
        key = zlib.crc32(f"{plan.source} {plan.label}".encode())
        rng = np.random.default_rng([seed, key, _FIRST[plan.split] + place])
        number = _FIRST[plan.split] + int(rng.integers(100_000))
        if plan.rules is None:
            whole = other_sound(place, plan.source, plan.split, cuts * SECONDS, rng)
        else:
            whole = rendered(compose(plan.rules, number, _LASTS), plan.source, MEL.rate, number)
        starts = np.linspace(0.0, max(0, min(len(whole), round(_LASTS * MEL.rate)) - length), cuts).astype(int)
        for start in starts:
            cut = whole[start : start + length]
            cut = np.pad(cut, (0, length - len(cut)))
            peak = float(np.abs(cut).max())
            yield degraded(0.5 * cut / (peak + 1e-6), rng, MEL.rate), number


def material(folder: Path, split: str, seed: int, say: Callable[[str], None]) -> tuple[LabeledClips, LabeledClips]:
    """The clips of a split, made where there are none, a file for each plan.

    Args:
        folder: Of the files.
        split: Which.
        seed: Of the material.
        say: Takes one line.

    Returns:
        Clips of `LABELS`, and those of strangers, whose targets are -1.
    """
    known: list[LabeledClips] = []
    strange: list[LabeledClips] = []
    for plan in plans(split):
        path = folder / f"{plan.split}-{plan.source}-{plan.label.replace(' ', '-')}.npz"
        if not path.is_file():
            clips.write(path, ((clips.spectrogram(cut), plan.target, group) for cut, group in sounds(plan, seed)))
            say(f"{path.name} is complete")
        (known if plan.target >= 0 else strange).append(clips.read(path))
    return joined(known), joined(strange) if strange else _none(known[0])


def joined(parts: list[LabeledClips]) -> LabeledClips:
    """Clips one after the other."""
    return LabeledClips(
        np.concatenate([part.mel for part in parts]), np.concatenate([part.targets for part in parts]),
        np.concatenate([part.groups for part in parts]),
    )  # fmt: skip


def _none(like: LabeledClips) -> LabeledClips:
    return replace(like, mel=like.mel[:0], targets=like.targets[:0], groups=like.groups[:0])
