"""Singing styles of the material, drawn at random."""

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
        on_vowel: Whether the syllable's vowel is on the beat and not its consonant.
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


@dataclass(frozen=True, slots=True)
class StyleRanges:
    """Uniform ranges of a `SingingStyle`.

    Attributes:
        glide: Seconds.
        scoops: Share of the notes.
        scoop: Semitones.
        scoop_time: Seconds.
        vibrato: Semitones.
        without_vibrato: So many styles to each with vibrato have none.
        vibrato_rate: Hz.
        vibrato_delay: Seconds.
        drift: Semitones.
        mistuned: Semitones.
        slurs: Share of the notes.
    """

    glide: tuple[float, float]
    scoops: tuple[float, float]
    scoop: tuple[float, float]
    scoop_time: tuple[float, float]
    vibrato: tuple[float, float]
    without_vibrato: int
    vibrato_rate: tuple[float, float]
    vibrato_delay: tuple[float, float]
    drift: tuple[float, float]
    mistuned: tuple[float, float]
    slurs: tuple[float, float]
    breath: tuple[float, float]


TRAINED = StyleRanges(
    glide=(0.03, 0.12), scoops=(0.0, 0.6), scoop=(0.5, 2.5), scoop_time=(0.05, 0.13), vibrato=(0.0, 0.6),
    without_vibrato=0, vibrato_rate=(4.5, 6.5), vibrato_delay=(0.0, 0.35), drift=(0.03, 0.15), mistuned=(0.0, 0.15),
    slurs=(0.0, 0.3), breath=(-4.5, -2.7),
)  # fmt: skip
"""Ranges of a trained singer."""

UNTRAINED = StyleRanges(
    glide=(0.04, 0.2), scoops=(0.1, 0.9), scoop=(0.4, 3.0), scoop_time=(0.05, 0.2), vibrato=(0.0, 0.4),
    without_vibrato=2, vibrato_rate=(3.5, 7.0), vibrato_delay=(0.05, 0.4), drift=(0.08, 0.3), mistuned=(0.05, 0.4),
    slurs=(0.0, 0.5), breath=(-4.2, -2.3),
)  # fmt: skip
"""Ranges of an untrained singer: longer slides, more scoops, less vibrato."""


def manner(rng: np.random.Generator, ranges: StyleRanges = TRAINED) -> SingingStyle:
    def drawn(between: tuple[float, float]) -> float:
        return float(rng.uniform(*between))

    def vibrato() -> float:
        depth = drawn(ranges.vibrato)
        none = ranges.without_vibrato
        return float(rng.choice([*([0.0] * none), depth])) if none else depth

    return SingingStyle(
        glide=drawn(ranges.glide),
        scoops=drawn(ranges.scoops),
        scoop=drawn(ranges.scoop),
        scoop_time=drawn(ranges.scoop_time),
        vibrato=vibrato(),
        vibrato_rate=drawn(ranges.vibrato_rate),
        vibrato_delay=drawn(ranges.vibrato_delay),
        drift=drawn(ranges.drift),
        mistuned=drawn(ranges.mistuned),
        slurs=drawn(ranges.slurs),
        on_vowel=bool(rng.random() < 0.7),
        breath=float(10 ** drawn(ranges.breath)),
    )
