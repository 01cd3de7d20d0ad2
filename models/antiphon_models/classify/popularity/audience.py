"""A simulated audience: what it likes is a stated function of a song's attributes, its artist and chance.

Since all three are known, so is the most that anybody can foresee of its votes from the sound alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon_models.material.composer.song import SongAttributes

SOUND, ARTIST, CHANCE = 0.5, 0.2, 0.3
"""Shares of the variance of what a song gets: of its sound, of who plays it, and of chance."""
TEMPO, BREADTH = 118.0, 35.0
"""Beats a minute that are liked best, and the distance from there at which the liking has fallen to 1/e."""
CENTRES = {"brightness": 0.112, "onsets": 4.73, "liveliness": 4.85, "energy": 0.61, "drums": 0.79, "tempo": 0.52}
SPREADS = {"brightness": 0.047, "onsets": 2.16, "liveliness": 2.17, "energy": 0.22, "drums": 0.40, "tempo": 0.35}
WEIGHTS = {"brightness": 0.7, "onsets": 0.7, "liveliness": -0.5, "energy": 0.2, "drums": 0.2, "tempo": 0.2}
"""What the audience likes: most of it is measured in the sound, the rest is how the song was composed. Keys, modes and
chords mean nothing to it."""
CENTRE, SPREAD = 0.0, 1.28
"""Of the weighted sum over composed songs of all genres alike."""
RISE, LOUD = 2.0, 50.0
"""dB that all bands rise in an onset in the mean; dB below the loudest frame under which a frame is left out."""


@dataclass(frozen=True, slots=True)
class HeardSong:
    """What the audience judges a song by, besides how it was composed.

    Attributes:
        brightness: The mean centroid of the power, as a share of the bands.
        onsets: Rises of the whole spectrum, a second.
        liveliness: The deviation of the level, dB.
    """

    brightness: float
    onsets: float
    liveliness: float

    @staticmethod
    def of(mel: NDArray[np.floating], rate: float) -> HeardSong:
        """Measures a whole spectrogram `[frames, bands]` in dB, of `rate` frames a second."""
        power = 10.0 ** (np.asarray(mel, np.float64) / 10.0)
        total = power.sum(axis=1) + 1e-12
        level = 10.0 * np.log10(total)
        loud = level > level.max() - LOUD
        bands = np.arange(mel.shape[1]) / mel.shape[1]
        rises = np.maximum(np.diff(np.maximum(mel, mel.max() - 80.0), axis=0), 0.0).mean(axis=1)
        peaks = (rises[1:-1] > rises[:-2]) & (rises[1:-1] >= rises[2:]) & (rises[1:-1] > RISE)
        return HeardSong(
            float((power @ bands / total)[loud].mean()), float(peaks.sum() * rate / len(mel)), float(level[loud].std())
        )


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes of an audience for some songs.

    Attributes:
        popularity: `[songs]`, 0 to 1: the share of all songs that got less.
        best: `[songs]`, the expected popularity, given what the audience likes, and neither artist nor
            chance: no prediction from sound alone has a smaller square error.
    """

    popularity: F64
    best: F64


def liking(attributes: Sequence[SongAttributes], heard: Sequence[HeardSong]) -> F64:
    """What the audience likes of each song's sound: mean 0 and variance 1 over all songs, about."""
    columns = {
        "brightness": [h.brightness for h in heard],
        "onsets": [h.onsets for h in heard],
        "liveliness": [h.liveliness for h in heard],
        "energy": [a.energy for a in attributes],
        "drums": [float(a.drums) for a in attributes],
        "tempo": [math.exp(-(((a.tempo - TEMPO) / BREADTH) ** 2)) for a in attributes],
    }
    total = sum(
        weight * (np.asarray(columns[name]) - CENTRES[name]) / SPREADS[name] for name, weight in WEIGHTS.items()
    )
    return np.asarray((total - CENTRE) / SPREAD, np.float64)


def vote(liked: F64, artists: Sequence[int], seed: int) -> Votes:
    """Votes of the audience for songs, by what `liking` gives.

    `seed` is of the artists' fame, which is theirs whatever songs are asked for, and of chance, which depends on the
    place of a song among its artist's.
    """
    sound = math.sqrt(SOUND) * liked
    rest = np.zeros(len(sound))
    places: dict[int, int] = {}
    for row, artist in enumerate(artists):
        place = places[artist] = places.get(artist, -1) + 1
        fame = np.random.default_rng([seed, artist]).standard_normal()
        luck = np.random.default_rng([seed, artist, place + 1]).standard_normal()
        rest[row] = math.sqrt(ARTIST) * fame + math.sqrt(CHANCE) * luck
    spread = math.sqrt(1.0 + ARTIST + CHANCE)
    return Votes(_normal(sound + rest), _normal(sound / spread))


def _normal(values: F64) -> F64:
    """The standard normal distribution's share below each value."""
    return np.asarray([0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in values])
