"""A made audience: what it likes is a stated function of a song's attributes, its artist and chance.

Since all three are known, so is the most that anybody can foresee of its votes from the sound alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon_models.material.composer.song import SongAttributes

F64 = NDArray[np.float64]
SOUND, ARTIST, CHANCE = 0.5, 0.2, 0.3
"""Shares of the variance of what a song gets: of its sound, of who plays it, and of chance."""
TEMPO, BREADTH = 118.0, 35.0
"""Beats a minute that are liked best, and the distance from there at which the liking has fallen to 1/e."""
DENSEST = 20.0
"""Onsets a second above which more make no difference."""
CENTRES = {"energy": 0.61, "tempo": 0.52, "density": 10.3, "drums": 0.79, "swing": 0.24}
SPREADS = {"energy": 0.22, "tempo": 0.35, "density": 5.0, "drums": 0.40, "swing": 0.43}
WEIGHTS = {"energy": 0.8, "tempo": 0.5, "density": 0.5, "drums": 0.4, "swing": -0.3}
"""What the audience likes, by attribute; keys and modes mean nothing to it."""
CENTRE, SPREAD = 0.0, 1.693
"""Of the weighted sum over composed songs of all genres alike."""


@dataclass(frozen=True, slots=True)
class Votes:
    """What an audience gave some songs.

    Attributes:
        popularity: `[songs]`, 0 to 1: the share of all songs that got less.
        best: `[songs]`, the expected popularity of whoever knows what the audience likes, and neither artist nor
            chance: no prediction from sound alone has a smaller square error.
    """

    popularity: F64
    best: F64


def liking(attributes: Sequence[SongAttributes]) -> F64:
    """What the audience likes of each song's sound: mean 0 and variance 1 over all songs."""
    columns = {
        "energy": [a.energy for a in attributes],
        "tempo": [math.exp(-(((a.tempo - TEMPO) / BREADTH) ** 2)) for a in attributes],
        "density": [min(a.density, DENSEST) for a in attributes],
        "drums": [float(a.drums) for a in attributes],
        "swing": [float(a.swing > 0.58) for a in attributes],
    }
    total = sum(
        weight * (np.asarray(columns[name]) - CENTRES[name]) / SPREADS[name] for name, weight in WEIGHTS.items()
    )
    return np.asarray((total - CENTRE) / SPREAD, np.float64)


def vote(attributes: Sequence[SongAttributes], artists: Sequence[int], seed: int) -> Votes:
    """What the audience gives songs.

    Args:
        attributes: Of each song.
        artists: Of each song a number.
        seed: Of the artists' fame, which is theirs whatever songs are asked for, and of chance, which depends on the
            place of a song among its artist's.
    """
    sound = math.sqrt(SOUND) * liking(attributes)
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
