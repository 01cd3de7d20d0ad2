"""Genres that there are not, for a class of what is none of `genres`."""

from __future__ import annotations

from typing import Literal

import numpy as np

from antiphon_models.material.composer.genres import DRUM_NOTES, GENRES
from antiphon_models.material.composer.rules import GenreRules, PartRules

INVENTED = "invented"
"""The name of the genres that `invented` draws."""
_SCALES: tuple[Literal["mode", "pentatonic", "blues"], ...] = ("mode", "pentatonic", "blues")
_DRUMS = ("kick", "snare", "hat", "open hat", "ride", "stick", "clap", "cowbell", "tambourine", "tom")
_PITCHED = 104
"""Programs of General MIDI below are pitched instruments; above are percussion and effects, with some of the world."""


def invent_genre(rng: np.random.Generator) -> GenreRules:
    """A genre that there is not: rhythms, instruments, tempo drawn at random; progressions are those of some genre.

    A classifier is trained to put them in a class of its own, so that not all of its inputs are of genres that it has.
    """
    beats = 3 if rng.random() < 0.2 else 4
    least = float(rng.uniform(55.0, 175.0))
    harmony = GENRES[int(rng.integers(len(GENRES)))]
    drums = rng.choice([DRUM_NOTES[drum] for drum in _DRUMS], int(rng.integers(2, 5)), False)
    groove = {int(drum): _row(beats, rng, "xxo.") for drum in drums}

    def part(characters: str, register: tuple[int, int], chance: float) -> PartRules:
        programs = tuple(int(program) for program in rng.integers(0, _PITCHED, 3))
        rows = tuple(_row(beats, rng, characters) for _ in range(2))
        shortest = float(rng.uniform(0.15, 0.8))
        return PartRules(programs, rows, (shortest, shortest + 0.2), chance, register)

    return GenreRules(
        INVENTED, (least, least * 1.05), (0.5, 0.66), float(rng.choice([0.5, 1.0])), float(rng.uniform()),
        harmony.progressions, harmony.colours, (1, 2, 0.5), (groove,), (0, 8, 16, 24, 25, 32, 40),
        float(rng.choice([0.0, 1.0], p=[0.35, 0.65])),
        part("rrrfow", (28, 50), 0.85), part("xxu1b", (48, 75), 0.9), part("xxo", (57, 86), 0.75),
        part("x", (50, 76), 0.4), _SCALES[int(rng.integers(len(_SCALES)))], (0.1, 1.0), (0.0, 0.015),
        rubato=float(rng.choice([0.0, 0.05])), beats=beats,
    )  # fmt: skip


def _row(beats: int, rng: np.random.Generator, characters: str) -> str:
    """A row of one bar whose onsets are drawn, on beats more often than between them."""
    density = rng.uniform(0.15, 0.7)
    strong = np.tile([1.6, 0.5, 1.0, 0.5], beats)
    on = rng.random(4 * beats) < density * strong
    on[int(rng.integers(beats)) * 4] = True
    return "".join(str(rng.choice(list(characters))) if each else "-" for each in on)
