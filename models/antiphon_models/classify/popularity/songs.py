"""The synthetic songs as a listener has them: statistics of their segments, what they are, what they got."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon_classify.classifier import MEL
from antiphon_classify.statistics import FRAMES, statistics
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.popularity import material
from antiphon_models.classify.popularity.audience import CENTRES, SPREADS, HeardSong, Votes, liking, vote
from antiphon_models.material.composer.song import SongAttributes

HOP = 128
"""Frames from a segment to the next, in training; what plays has them side by side."""
TEMPI, WIDTH = (75.0, 95.0, 115.0, 135.0, 155.0, 175.0), 14.0
"""Beats a minute of the bells that state a tempo, and their width: a smooth histogram."""
DENSEST = 20.0
"""Onsets a second above which a song is as dense as can be."""
HEARD = ("brightness", "onsets", "liveliness")
ATTRIBUTES = 4 + len(TEMPI) + len(HEARD)
_SONGS_A_TIME = 50


@dataclass(frozen=True, slots=True)
class MadeSongs:
    """Songs of a split.

    Attributes:
        segments: float32 `[songs, segments, statistics]`.
        attributes: float32 `[songs, ATTRIBUTES]`, each about 0 to 1.
        artists: int64 `[songs]`.
        votes: The votes that they got.
    """

    segments: F32
    attributes: F32
    artists: NDArray[np.int64]
    votes: Votes

    @property
    def apart(self) -> F32:
        """The segments that what plays would have: side by side, and the last one."""
        last = self.segments.shape[1] - 1
        return self.segments[:, sorted({*range(0, last + 1, FRAMES // HOP), last})]


def songs(
    folder: Path, split: str, seed: int, say: Callable[[str], None], artists: int | None = None
) -> tuple[MadeSongs, LabeledClips]:
    """The songs of a split and their spectrograms; the arguments are those of `material.material`."""
    clips = material.material(folder, split, seed, say, artists)
    attributes, numbers = material.attributes(split, seed, artists)
    segments = [segment_statistics(clips.mel[n : n + _SONGS_A_TIME]) for n in range(0, len(clips), _SONGS_A_TIME)]
    heard = heard_songs(clips.mel)
    made = MadeSongs(
        np.concatenate(segments),
        encode_attributes(attributes, heard),
        np.asarray(numbers, np.int64),
        vote(liking(attributes, heard), numbers, seed),
    )
    return made, clips


def heard_songs(mel: NDArray[np.float16]) -> list[HeardSong]:
    """What the audience judges songs by: of `[songs, frames, bands]` in dB."""
    return [HeardSong.of(one.astype(np.float32), MEL.rate / MEL.hop) for one in mel]


def segment_statistics(mel: NDArray[np.float16]) -> F32:
    """Statistics of clips `[clips, frames, bands]`: float32 `[clips, segments, SIZE]`, a segment every `HOP` frames."""
    starts = range(0, mel.shape[1] - FRAMES + 1, HOP)
    rows = [statistics(mel[:, start : start + FRAMES].astype(np.float32)) for start in starts]
    return np.stack(rows, axis=1)


def encode_attributes(attributes: list[SongAttributes], heard: list[HeardSong]) -> F32:
    """Attributes as numbers to be learned; tempo as a smooth histogram, so that any function of it can be."""
    plain = [[a.energy, min(a.density, DENSEST) / DENSEST, float(a.drums), (a.swing - 0.5) / 0.17] for a in attributes]
    tempo = np.array([[a.tempo] for a in attributes])
    measured = [[0.5 + 0.25 * (getattr(h, name) - CENTRES[name]) / SPREADS[name] for name in HEARD] for h in heard]
    bells = np.exp(-(((tempo - TEMPI) / WIDTH) ** 2))
    return np.concatenate([np.array(plain), bells, np.array(measured)], axis=1).astype(np.float32)
