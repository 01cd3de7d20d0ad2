"""Two simulators of listeners, built on unrelated ideas: what one gives to learn from, the other judges.

`TasteListeners`: each person is a point among the tracks' styles, drawn to what is near and to what is famous, with a
mood that changes from session to session. `WanderingListeners`: no space and no distance: a person knows genres and
artists, walks from a track to others of its artist, of its genre or off a list of an editor's, and tires of what was
heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from antiphon.api import F64
from antiphon_models.recommend.world import GENRES, STYLE, World

SESSIONS, LENGTH = 6, 9
"""Sessions of a person in the logs, and plays of each."""


class SimulatedListener(Protocol):
    """A person: `affinity` is how likely each track is to be heard to its end, `[tracks]`, 0 to 1."""

    def affinity(self) -> F64:
        """Now, with all that was heard in mind."""

    def hear(self, track: int) -> None:
        """Notes that a track was played."""


class SimulatedListeners(Protocol):
    """A simulator."""

    def listener(self, rng: np.random.Generator) -> SimulatedListener:
        """One more person."""

    def history(self, rng: np.random.Generator) -> tuple[SimulatedListener, list[int]]:
        """A person, and what that person played by choice, each track once."""


@dataclass(slots=True)
class TasteListener:
    """One of `TasteListeners`."""

    near: F64

    def affinity(self) -> F64:
        return 1.0 / (1.0 + np.exp(-2.2 * (self.near - 1.0)))

    def hear(self, track: int) -> None:
        return


class TasteListeners:
    """Latent factors, fame, moods. A third of what a person is drawn to is not audible."""

    def __init__(self, world: World, seed: int) -> None:
        rng = np.random.default_rng(seed)
        hidden = rng.normal(0.0, 1.0, (len(world.artist), 6))
        turn = np.linalg.qr(rng.normal(0.0, 1.0, (STYLE, STYLE)))[0]
        style = (world.style - world.style.mean(axis=0)) @ turn
        self._place = np.concatenate([style / style.std(), 0.7 * hidden], axis=1)
        self._place /= np.linalg.norm(self._place, axis=1, keepdims=True)
        self._fame = world.fame

    def listener(self, rng: np.random.Generator) -> TasteListener:
        return TasteListener(self._near(self._tastes(rng)))

    def history(self, rng: np.random.Generator) -> tuple[TasteListener, list[int]]:
        tastes = self._tastes(rng)
        played: list[int] = []
        known = np.zeros(len(self._fame))
        for _ in range(SESSIONS):
            mood = tastes[rng.integers(len(tastes))] + rng.normal(0.0, 0.12, self._place.shape[1])
            pull = 5.0 * self._place @ mood + 0.8 * self._fame
            for _ in range(LENGTH):
                track = int(np.argmax(pull - 50.0 * known + rng.gumbel(0.0, 1.0, len(pull))))
                known[track] = 1.0
                played.append(track)
        return TasteListener(self._near(tastes)), played

    def _tastes(self, rng: np.random.Generator) -> F64:
        tastes = self._place[rng.integers(0, len(self._place), rng.integers(1, 4))]
        tastes = tastes + rng.normal(0.0, 0.15, tastes.shape)
        return np.asarray(tastes / np.linalg.norm(tastes, axis=1, keepdims=True))

    def _near(self, tastes: F64) -> F64:
        return np.asarray(2.0 * (self._place @ tastes.T).max(axis=1) + 0.15 * self._fame)


@dataclass(slots=True)
class WanderingListener:
    """One of `WanderingListeners`. tired: by artist, falls by a fifth with each track."""

    world: World
    genres: F64
    artists: F64
    tired: F64

    def affinity(self) -> F64:
        base = self.genres[self.world.genre] * self.artists[self.world.artist]
        return np.clip(base * (1.0 - self.tired[self.world.artist]), 0.02, 0.98)

    def hear(self, track: int) -> None:
        self.tired *= 0.8
        self.tired[self.world.artist[track]] = min(0.9, self.tired[self.world.artist[track]] + 0.35)


class WanderingListeners:
    """A walk over artists, genres and editors' lists, with fatigue."""

    def __init__(self, world: World, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._world = world
        tracks = len(world.artist)
        self._of_artist = [np.flatnonzero(world.artist == n) for n in range(world.artist.max() + 1)]
        self._of_genre = [np.flatnonzero(world.genre == n) for n in range(GENRES)]
        # an editor's list mixes two or three genres that nothing in the sound connects
        self._lists = []
        for _ in range(60):
            inside = np.flatnonzero(np.isin(world.genre, rng.integers(0, GENRES, rng.integers(2, 4))))
            self._lists.append(rng.permutation(inside if len(inside) else np.arange(tracks))[:40])
        self._fame = np.exp(0.7 * world.fame)

    def listener(self, rng: np.random.Generator) -> WanderingListener:
        genres = np.full(GENRES, 0.12)
        liked = rng.permutation([n for n in range(GENRES) if len(self._of_genre[n])])[: rng.integers(2, 5)]
        genres[liked] = rng.uniform(0.6, 1.0, len(liked))
        artists = np.clip(rng.normal(0.85, 0.3, len(self._of_artist)), 0.05, 1.2)
        return WanderingListener(self._world, genres, artists, np.zeros(len(self._of_artist)))

    def history(self, rng: np.random.Generator) -> tuple[WanderingListener, list[int]]:
        person = self.listener(rng)
        homes = np.flatnonzero(person.genres > 0.5)
        played: dict[int, None] = {}
        for _ in range(SESSIONS):
            at = self._drawn(self._of_genre[int(rng.choice(homes))], rng)
            for _ in range(LENGTH):
                if at not in played and rng.random() < person.affinity()[at]:
                    played[at] = None
                    person.hear(at)
                at = self._step(at, homes, rng)
        person.tired[:] = 0.0
        return person, list(played)

    def _step(self, at: int, homes: np.ndarray, rng: np.random.Generator) -> int:
        chance = rng.random()
        if chance < 0.3:
            return self._drawn(self._of_artist[self._world.artist[at]], rng)
        if chance < 0.65:
            return self._drawn(self._of_genre[self._world.genre[at]], rng)
        if chance < 0.85:
            return self._drawn(self._lists[int(rng.integers(len(self._lists)))], rng)
        return self._drawn(self._of_genre[int(rng.choice(homes))], rng)

    def _drawn(self, tracks: np.ndarray, rng: np.random.Generator) -> int:
        weight = self._fame[tracks]
        return int(rng.choice(tracks, p=weight / weight.sum()))
