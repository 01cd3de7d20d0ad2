"""Singing styles of the material, drawn at random."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class SingingStyle:
    """Expression of a synthetic singer: glides, scoops, vibrato, drift, detuning.

    Attributes:
        glide: Seconds.
        scoop: Semitones.
        scoop_time: Seconds.
        vibrato: Semitones.
        drift: Semitones.
        mistuned: Semitones.
        scoops: Share of the notes.
        slurs: Share of the notes.
        on_vowel: Whether the syllable's vowel, not its consonant, is on the beat.
    """

    glide: float = 0.06
    scoops: float = 0.3
    scoop: float = 1.5
    scoop_time: float = 0.09
    vibrato: float = 0.3
    vibrato_rate: float = 5.5
    vibrato_delay: float = 0.2
    drift: float = 0.1
    mistuned: float = 0.1
    slurs: float = 0.15
    on_vowel: bool = True
    breath: float = 0.0005


Ranges = Mapping[str, tuple[float, float]]
"""Uniform ranges of a `SingingStyle`'s numbers, in drawing order; for `breath` the range of the exponent."""
TRAINED: Ranges = {
    "glide": (0.03, 0.12),
    "scoops": (0.0, 0.6),
    "scoop": (0.5, 2.5),
    "scoop_time": (0.05, 0.13),
    "vibrato": (0.0, 0.6),
    "vibrato_rate": (4.5, 6.5),
    "vibrato_delay": (0.0, 0.35),
    "drift": (0.03, 0.15),
    "mistuned": (0.0, 0.15),
    "slurs": (0.0, 0.3),
    "breath": (-4.5, -2.7),
}
"""Ranges of a trained singer."""
UNTRAINED: Ranges = {
    "glide": (0.04, 0.2),
    "scoops": (0.1, 0.9),
    "scoop": (0.4, 3.0),
    "scoop_time": (0.05, 0.2),
    "vibrato": (0.0, 0.4),
    "vibrato_rate": (3.5, 7.0),
    "vibrato_delay": (0.05, 0.4),
    "drift": (0.08, 0.3),
    "mistuned": (0.05, 0.4),
    "slurs": (0.0, 0.5),
    "breath": (-4.2, -2.3),
}
"""Ranges of an untrained singer: longer slides, more scoops, less vibrato, and none in two of three styles."""


def draw_singing_style(rng: np.random.Generator, ranges: Ranges = TRAINED) -> SingingStyle:
    """Draws a random style."""
    drawn: dict[str, float] = {}
    on_vowel = True
    for name, between in ranges.items():
        if name == "breath":
            on_vowel = bool(rng.random() < 0.7)
        drawn[name] = float(rng.uniform(*between))
        if name == "vibrato" and ranges is UNTRAINED:
            drawn[name] = float(rng.choice([0.0, 0.0, drawn[name]]))
    return SingingStyle(**{**drawn, "breath": float(10 ** drawn["breath"])}, on_vowel=on_vowel)
