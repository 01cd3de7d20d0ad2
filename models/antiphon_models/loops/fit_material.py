"""Four-bar windows of songs, each part as a loop: test material of `fit`.

Parts of the same bars go together; a foil breaks one thing of a part: its pitch, its place in the bar, its tempo.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES
from antiphon_models.loops.corpus import BASSES, CHORDS, KITS, MELODIES, RATE, LoopScore, render_together
from antiphon_models.loops.patterns import PatternNote
from antiphon_models.material.part_songs import PartNote, PartSong, songs

BARS, SPLIT = 4, 50
"""Bars of a loop; MIDI number below which a piano's notes are its bass."""
MIN_COUNT = 5
"""Minimum notes of a part."""
QUICKER = 1.08
FOILS = ("a semitone up", "half a beat late", "8 % quicker")
_PROGRAMS = {"drums": KITS, "bass": BASSES, "chords": CHORDS, "pad": (48, 49, 50, 51, 88, 89, 90, 95)}
_CHUNK = 32


@dataclass(frozen=True, slots=True)
class FitLoop:
    """A part of four bars.

    `place`: its window: parts of one window go together. `part`: one of `part_songs.PARTS`. `foil`: one of `FOILS`; ""
    for the part itself.
    """

    song: str
    place: int
    part: str
    score: LoopScore
    foil: str = ""

    @property
    def name(self) -> tuple[int, str, str]:
        """Key that is unique within one set of windows."""
        return self.place, self.part, self.foil


def windows(
    data: Path, split: str, limits: dict[str, int], count: int, rng: np.random.Generator
) -> Iterator[list[FitLoop]]:
    """Parts of up to `count` windows of each song, with at least two parts each.

    `limits`: songs by source. `rng`: draws windows, tempos of what has none, and instruments.
    """
    place = 0
    for source, limit in limits.items():
        for song in songs(data, split, (source,), limit):
            if song.meter != 4:
                continue
            # chorales are all written at one tempo, which would tell two songs of them nothing apart
            bpm = float(rng.uniform(66.0, 116.0)) if source == "jsb" else song.tempo
            parts = _parts(song)
            end = max(note.end for notes in parts.values() for note in notes)
            starts = np.arange(song.first, end - 4 * BARS, 4 * BARS)
            found = 0
            for start in rng.permutation(starts):
                loops = [
                    FitLoop(song.name, place, part, _score(cut, part, bpm, _name_of(song.key), rng))
                    for part, notes in parts.items()
                    if len(cut := _cut(notes, float(start))) >= MIN_COUNT
                ]
                if len(loops) > 1:
                    yield loops
                    place, found = place + 1, found + 1
                if found == count:
                    break


def foil(loop: FitLoop, kind: str) -> FitLoop:
    """Foil of a part: its notes rotated within the four bars, transposed or sped up."""
    score = loop.score
    if kind == FOILS[0]:
        score = replace(score, notes=[replace(n, pitch=n.pitch + 1) for n in score.notes])
    elif kind == FOILS[1]:
        score = replace(score, notes=[replace(n, start=(n.start + 0.5) % (4 * BARS)) for n in score.notes])
    else:
        score = replace(score, bpm=score.bpm * QUICKER)
    return replace(loop, score=score, foil=kind)


def sounds_of(
    loops: Sequence[FitLoop], soundfont: str, rng: np.random.Generator, rate: int = RATE
) -> Iterator[NDArray[np.float32]]:
    """Sound of each loop, float32 `[frames]`, exactly four bars."""
    for first in range(0, len(loops), _CHUNK):
        for known in render_together([x.score for x in loops[first : first + _CHUNK]], soundfont, rng, rate):
            yield known.samples.mean(axis=0)


def _parts(song: PartSong) -> dict[str, list[PartNote]]:
    """Parts of a song; a piano without a bass part is split into bass and chords."""
    parts = dict(song.parts)
    if "bass" not in parts and "chords" in parts:
        whole = parts["chords"]
        parts |= {"chords": [n for n in whole if n.pitch >= SPLIT], "bass": [n for n in whole if n.pitch < SPLIT]}
    return {part: notes for part, notes in parts.items() if notes}


def _cut(notes: Sequence[PartNote], start: float) -> list[PartNote]:
    end = start + 4 * BARS
    return [
        n._replace(start=max(0.0, n.start - start), end=min(n.end, end) - start)
        for n in notes
        if start - 0.1 <= n.start < end - 0.1
    ]


def _name_of(key: int) -> str:
    """Name of a key 0 to 23."""
    return f"{SHARP_NAMES[key % 12]} {'minor' if key > 11 else 'major'}"


def _score(notes: Sequence[PartNote], part: str, bpm: float, key: str, rng: np.random.Generator) -> LoopScore:
    program = int(rng.choice(_PROGRAMS.get(part, MELODIES)))
    kind = part if part in ("drums", "bass", "melody") else "chords"
    played = [
        PatternNote(n.start, max(0.05, n.end - n.start), n.pitch, max(30, round(127 * n.velocity))) for n in notes
    ]
    return LoopScore(bpm, BARS, key, kind, program, played)
