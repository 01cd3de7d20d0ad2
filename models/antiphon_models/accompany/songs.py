"""POP909's songs in beats, for training and evaluation: melody, piano, chords and keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_accompany.band.parts import BeatNote
from antiphon_accompany.harmony.chords import parse
from antiphon_models.material.part_songs import read_pop
from antiphon_models.material.sounds import songs as folders

TRAIN, TUNE, TEST = "123456", "7", "89"
"""Last digits of song numbers per split. Numbers that end in 0 are unused."""


@dataclass(frozen=True)
class AnnotatedSong:
    """A song with annotations. Beats count from its first annotated beat.

    beats: `[n]`, seconds.  meter: beats in a bar.  first: the beat the first whole bar begins on.  chords: `[n]`,
    each beat's (see `chords`; -1 other, -2 none).  labels: (from second, to second, label) as annotated.
    """

    name: str
    beats: NDArray[np.float64]
    meter: int
    first: int
    melody: list[BeatNote]
    piano: list[BeatNote]
    chords: NDArray[np.int64]
    labels: list[tuple[float, float, str]]
    key: int

    @property
    def tempo(self) -> float:
        """Tempo in BPM in the middle of the song."""
        return float(60.0 / np.median(np.diff(self.beats)))


def songs(data: Path, digits: str, limit: int = 0) -> Iterator[AnnotatedSong]:
    """Songs whose number ends in one of `digits`, at most `limit` (0: all), evenly chosen."""
    for place in folders(data, digits, limit):
        song = read(place)
        if song is not None:
            yield song


def read(folder: Path) -> AnnotatedSong | None:
    """Reads a song; None where its beats or melody are missing."""
    song = read_pop(folder)
    if song is None:
        return None
    chords = np.full(len(song.beats), -2)
    for start, end, text in song.labels:
        chords[round(np.interp(start, *song.grid)) : max(0, round(np.interp(end, *song.grid)))] = parse(text)
    melody, piano = ([BeatNote(*note) for note in song.tracks[name]] for name in ("MELODY", "PIANO"))
    key = parse(song.key)
    return AnnotatedSong(folder.name, song.beats, song.meter, song.first, melody, piano, chords, song.labels, key)
