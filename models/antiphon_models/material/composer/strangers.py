"""Genres that nothing is trained on: what has to be "unknown" to a classifier of `genres` alone."""

from __future__ import annotations

from typing import Literal

import numpy as np

from antiphon_models.material.composer.genres import (
    BACKBEAT,
    CLAP,
    COWBELL,
    CRASH,
    GENRES,
    HAT,
    LEADS,
    NONE,
    OPEN,
    RIDE,
    STICK,
    TAMBOURINE,
    TOM1,
    K,
    S,
)  # fmt: skip
from antiphon_models.material.composer.rules import GenreRules, PartRules

FUNK = GenreRules(
    "funk", (92, 122), (0.5, 0.57), 0.5, 0.6,
    {"minor": ("i7 IV9", "i7 i7 iv7 V7", "i9"), "major": ("I9", "I7 IV7", "I9 I9 IV9 I9")},
    {"": ("9", "7", "13"), "m": ("m7", "m9")}, (2, 1),
    (
        {K: "x-.o--.-.-x--o--", S: "----x--.-.-.x--.", HAT: "xxxxxxxxxxxxxxxx"},
        {K: "x--x--x---x-----", S: "----x--x-x--x---", HAT: "x-xxx-x-x-xxx-xo", OPEN: "------x---------"},
    ),
    (0, 8), 1.0,
    PartRules((36, 37, 33, 39), ("r--o--r---rso---", "r-r--o--r--s-or-", "rr-o---r--s-r-w-"), (0.3, 0.7), 1.0, (28,
        50)),
    PartRules((27, 28, 7, 16, 4), ("--xx-xx---xx-xx-", "x--x--x-x-xx-x--", "-xx--x-x-xx--x-x"), (0.15, 0.4), 1.0,
        (55, 77)),
    PartRules((61, 65, 56, 18), ("----x-x-------xx", "x--x--x---------", "------x-x-----x-"), (0.3, 0.7), 0.8, (58,
        80)),
    NONE, "blues", (0.55, 0.95), (0.002, 0.01),
)  # fmt: skip

WALTZ = GenreRules(
    "waltz", (96, 192), (0.5, 0.5), 1.0, 0.35,
    {"major": ("I I V7 V7 V7 V7 I I", "I IV V7 I", "I vi ii V7"), "minor": ("i i V7 V7 V7 V7 i i", "i iv V7 i")},
    {"": ("", "6"), "m": ("m",)}, (1,),
    ({}, {K: "x-----------", S: "----x---x---"}), (0, 40), 0.4,
    PartRules((43, 32, 58, 0), ("r-----------", "r-----------f-----------"), (0.3, 0.6), 1.0, (31, 50)),
    PartRules((0, 21, 48, 45, 24), ("----x---x---", "----x-x-x---"), (0.25, 0.6), 1.0, (52, 74)),
    PartRules((40, 21, 73, 71, 22, 48), ("x-------x---x---x---x---", "x-----------x-------x---",
        "x---x-x-x---x-------x---"), (0.7, 1.0), 1.0, (60, 86)),
    NONE, "mode", (0.2, 0.7), (0.004, 0.015), rubato=0.04, beats=3,
)  # fmt: skip

TANGO = GenreRules(
    "tango", (108, 140), (0.5, 0.5), 1.0, 0.9,
    {"minor": ("i i V7 V7 V7 V7 i i", "i iv V7 i", "i bVI iim7b5 V7"), "major": ("I V7 V7 I", "I vi ii V7")},
    {"": ("", "7"), "m": ("m", "m6")}, (1,),
    ({},), (0,), 0.0,
    PartRules((32, 43, 0), ("r---f---r---f---", "r-----r-f---f---"), (0.3, 0.6), 1.0, (31, 50)),
    PartRules((0, 21, 24), ("x---x---x---x-x-", "x-----x-x---x---", "x---x---x---xxxx"), (0.15, 0.4), 1.0, (50, 72)),
    PartRules((21, 40, 23, 0), ("x---x-x-x-x-x---", "x-----x-x---x---", "xxxxx---x-x-x---"), (0.4, 1.0), 1.0, (58,
        84)),
    PartRules((40, 48, 44), ("x-----x-x-------", "x---x---x---x---"), (0.2, 0.5), 0.6, (55, 79)),
    "mode", (0.4, 0.8), (0.003, 0.014), rubato=0.03,
)  # fmt: skip

MARCH = GenreRules(
    "march", (104, 132), (0.5, 0.5), 1.0, 0.1,
    {"major": ("I I V7 I IV I V7 I", "I V7 I V7", "I IV V7 I"), "minor": ("i V7 i V7", "i iv V7 i")},
    {"": ("",), "m": ("m",)}, (1,),
    (
        {K: "x-------x-------", S: "x--xx-x-x--xx-x-", CRASH: "x-------x-------"},
        {K: "x-------x-------", S: "x-xxx-xxx-xxx-x-", TAMBOURINE: "----.-------.---"},
    ),
    (0, 48), 1.0,
    PartRules((58, 43, 57), ("r-------f-------", "r---f---r---f---"), (0.3, 0.6), 1.0, (31, 50)),
    PartRules((60, 57, 69, 71), (BACKBEAT, "--x---x---x---x-"), (0.2, 0.5), 1.0, (53, 72)),
    PartRules((56, 72, 71, 61, 68), (*LEADS, "x--xx---x--xx---", "x-x-x-x-x---x---"), (0.5, 0.9), 1.0, (60, 88)),
    PartRules((57, 61), ("x-------x-------",), (0.5, 0.9), 0.5, (50, 70)),
    "mode", (0.5, 0.9), (0.003, 0.01),
)  # fmt: skip

STRANGERS = {"choose": (FUNK, WALTZ), "measure": (TANGO, MARCH)}
"""By what they serve: those that a threshold is chosen by are not those that it is measured with."""

INVENTED = "invented"
"""The name of the genres that `invented` draws."""
_SCALES: tuple[Literal["mode", "pentatonic", "blues"], ...] = ("mode", "pentatonic", "blues")
_PITCHED = 104
"""Programs of General MIDI below are pitched instruments; above are percussion and effects, with some of the world."""


def invented(rng: np.random.Generator) -> GenreRules:
    """A genre that there is not: rhythms, instruments, tempo drawn at random; progressions are those of some genre.

    A classifier is trained to put them in a class of its own, so that not all of its inputs are of genres that it has.
    """
    beats = 3 if rng.random() < 0.2 else 4
    least = float(rng.uniform(55.0, 175.0))
    harmony = GENRES[int(rng.integers(len(GENRES)))]
    drums = rng.choice([K, S, HAT, OPEN, RIDE, STICK, CLAP, COWBELL, TAMBOURINE, TOM1], int(rng.integers(2, 5)), False)
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
