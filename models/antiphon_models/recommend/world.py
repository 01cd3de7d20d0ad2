"""A made catalogue of music: genres in families, artists, tracks, and how each track sounds. No listener is in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64

I64 = NDArray[np.int64]
FAMILIES, GENRES, ARTISTS, TRACKS = 6, 24, 180, 1200
STYLE, SOUND = 12, 40
"""Dimensions of what a track is like, which no recommender sees, and of the vector that is measured of its sound."""
_SPREAD = (1.0, 0.7, 0.6, 0.5)
"""Of a family, of a genre in it, of an artist in that, of a track: standard deviations of the style."""
_NOISE = 0.35
COLD = 0.15
"""Share of tracks that no log holds: they are new."""


@dataclass(frozen=True, slots=True)
class World:
    """The simulated catalogue.

    Attributes:
        genre: Genre of each track, `[tracks]`.
        artist: Artist of each track, `[tracks]`.
        style: `[tracks, STYLE]`; simulators see it, recommenders do not.
        sound: `[tracks, SOUND]`: a bent mixture of the style, with noise; recommenders see it.
        fame: Of each track, normal: what makes it known, which its sound does not say.
        cold: Whether a track is in no log, `[tracks]`.
    """

    genre: I64
    artist: I64
    style: F64
    sound: F64
    fame: F64
    cold: NDArray[np.bool_]


def make_world(seed: int, tracks: int = TRACKS) -> World:
    rng = np.random.default_rng(seed)
    families = rng.normal(0.0, _SPREAD[0], (FAMILIES, STYLE))
    genres = families[np.arange(GENRES) % FAMILIES] + rng.normal(0.0, _SPREAD[1], (GENRES, STYLE))
    artists = min(ARTISTS, max(4, tracks // 6))
    home = rng.integers(0, GENRES, artists)
    own = genres[home] + rng.normal(0.0, _SPREAD[2], (artists, STYLE))
    share = 1.0 / (1.0 + np.arange(artists)) ** 0.5
    artist = rng.choice(artists, tracks, p=share / share.sum())
    style = own[artist] + rng.normal(0.0, _SPREAD[3], (tracks, STYLE))
    mixed = np.tanh(style @ rng.normal(0.0, 0.45, (STYLE, 2 * STYLE))) @ rng.normal(0.0, 0.5, (2 * STYLE, SOUND))
    sound = mixed + rng.normal(0.0, _NOISE * mixed.std(), mixed.shape)
    fame = rng.normal(0.0, 1.0, artists)[artist] * 0.6 + rng.normal(0.0, 0.8, tracks)
    return World(home[artist], artist, style, sound, fame, rng.random(tracks) < COLD)
