"""Pairs of songs with drums and the exact third: the notes of the one by the programs and the kit of the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from antiphon.api import F32
from antiphon_models.material.fluidsynth import FLUID, TIM
from antiphon_models.material.part_songs import PartNote, PartSong, songs
from antiphon_models.mosaic.pairs import PROGRAMS, RATE, play

SECONDS = 12.0
KITS = (0, 25, 40, 16)
"""Programs of General MIDI's drums: standard, TR-808, brushes, power."""


@dataclass(frozen=True, slots=True)
class ThirdPair:
    """Mono sounds at `RATE`, of one length."""

    name: str
    first: F32
    second: F32
    exact: F32


def thirds(data: Path, part: str, count: int, seed: int) -> Iterator[ThirdPair]:
    """Pairs of songs of POP909 with a beat and a bass drawn by seed; "tune" and "report" share no song and no font."""
    odd = part == "report"
    rng = np.random.default_rng([seed, 3, odd])
    scores = list(songs(data, "test" if odd else "valid", ("pop909",), 2 * count))
    font = TIM if odd else FLUID
    for n in range(count):
        a, b = (with_drums(scores[(2 * n + k) % len(scores)], rng) for k in range(2))
        first, second = (PROGRAMS[int(k)] for k in rng.permutation(len(PROGRAMS))[:2])
        kits = [KITS[int(k)] for k in rng.permutation(len(KITS))[:2]]
        begin, end = round(4 * RATE), round((4 + SECONDS) * RATE)
        played = ((a, first, kits[0]), (b, second, kits[1]), (a, second, kits[1]))
        sounds = [play(song, programs, font, kit)[begin:end] for song, programs, kit in played]
        length = min(map(len, sounds))
        own, other, exact = (sound[:length] for sound in sounds)
        yield ThirdPair(f"{a.name} by {b.name}", own, other, exact)


def with_drums(song: PartSong, rng: np.random.Generator) -> PartSong:
    """The song with a drum pattern of two bars, and the roots of its chords as a bass."""
    steps = 8 * 2 * song.meter // 2
    kick = [True if n % (2 * song.meter) == 0 else bool(rng.random() < 0.2) for n in range(steps)]
    snare = [n % 4 == 2 or bool(rng.random() < 0.06) for n in range(steps)]
    hats = [n % 2 == 0 or bool(rng.random() < 0.6) for n in range(steps)]
    last = max(note.end for note in song.parts["melody"])
    drums = []
    for n in range(round(2 * last)):
        beat = song.first + n / 2
        hits = ((36, kick), (38, snare), (46 if n % 16 == 14 else 42, hats))
        drums += [PartNote(beat, beat + 0.25, pitch, 0.8) for pitch, row in hits if row[n % steps]]
    return replace(song, parts={**song.parts, "drums": sorted(drums)})
