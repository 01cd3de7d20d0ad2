"""Phrases of four bars as the GAN sees them: onsets of melody, bass and piano on sixteenths, in C major or A minor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_answer.improviser import Planned
from antiphon_models.answer.bar_material import events_of
from antiphon_models.material.part_songs import PartSong, songs

BARS, STEPS, PITCHES = 4, 16, 36
SLOTS = BARS * STEPS
LOWEST = {"melody": 53, "bass": 28, "piano": 48}
"""MIDI number of each track's first pitch; others are moved by octaves into its three octaves."""
NONE = PITCHES
"""Of melody and bass: nothing begins."""
EVERY = 2
"""Bars from the beginning of a phrase to that of the next."""
_FEWEST = 6
_MELODY, _BASS = 1, 2


def fold_pitch(pitch: int, track: str) -> int:
    """Place of a pitch in its track's three octaves."""
    place = pitch - LOWEST[track]
    return place % 12 if place < 0 else place if place < PITCHES else 24 + place % 12


def phrases_of(song: PartSong) -> Iterator[NDArray[np.uint8]]:
    """The phrases of a song in 4/4, `[SLOTS, 2 + PITCHES]`: melody, bass (or `NONE`), and what the piano strikes."""
    tonic = song.key % 12 if song.key < 12 else (song.key + 3) % 12
    down = -tonic if tonic < 7 else 12 - tonic
    events = [event for event in events_of(song) if event.part in (_MELODY, _BASS)]
    late = 4 * (-song.first % song.meter)
    last = max((event.slot for event in events), default=0)
    table = np.zeros((last + SLOTS + 1, 2 + PITCHES), np.uint8)
    table[:, :2] = NONE
    low: dict[int, int] = {}
    for event in events:
        column = 0 if event.part == _MELODY else 1
        table[event.slot, column] = fold_pitch(event.code + down, ("melody", "bass")[column])
        if column:
            low[event.slot] = event.code
    for note in song.parts.get("chords", []):
        slot = round(4 * note.start) + late
        if 0 <= slot < len(table) and low.get(slot) != note.pitch:
            table[slot, 2 + fold_pitch(note.pitch + down, "piano")] = 1
    for first in range(0, last - SLOTS, EVERY * STEPS):
        phrase = table[first : first + SLOTS]
        if (phrase[:, 0] != NONE).sum() >= _FEWEST and phrase[:, 2:].sum() >= _FEWEST:
            yield phrase


def phrases(data: Path, split: str, sources: tuple[str, ...] = ("pop909", "jsb")) -> NDArray[np.uint8]:
    """All phrases of a split, `[n, SLOTS, 2 + PITCHES]`."""
    return np.stack([p for song in songs(data, split, sources) if song.meter == 4 for p in phrases_of(song)])


def notes_of(column: NDArray[np.uint8], track: str, up: int = 0) -> list[Planned]:
    """A track's notes, each until the next one begins."""
    slots = np.flatnonzero(column != NONE)
    low = LOWEST[track] + up
    ends = [*slots[1:], len(column)]
    return [Planned(int(s), float(e - s), int(column[s]) + low, 0.7) for s, e in zip(slots, ends, strict=True)]


def figures(found: NDArray[np.uint8]) -> dict[str, float]:
    """Of phrases: melody notes a bar, share in key, in the chord that sounds, leaps beyond a fourth, notes struck."""
    sung = found[:, :, 0] != NONE
    tune = found[sung][:, 0].astype(int)
    leaps = [np.abs(np.diff(p[p[:, 0] != NONE, 0].astype(int))) for p in found]
    within = []
    for phrase in found:
        for bar in range(0, SLOTS, STEPS // 2):
            half = phrase[bar : bar + STEPS // 2]
            low = half[half[:, 1] != NONE, 1].astype(int) + LOWEST["bass"]
            struck = np.flatnonzero(half[:, 2:].any(axis=0)) + LOWEST["piano"]
            chord = {*(low % 12), *(struck % 12)}
            notes = half[half[:, 0] != NONE, 0].astype(int) + LOWEST["melody"]
            within += [n % 12 in chord for n in notes] if chord else []
    scale = np.isin((tune + LOWEST["melody"]) % 12, (0, 2, 4, 5, 7, 9, 11))
    return {
        "notes": float(sung.sum() / (BARS * len(found))),
        "in_key": float(scale.mean()) if len(tune) else 0.0,
        "in_chord": float(np.mean(within)) if within else 0.0,
        "leaps": float((np.concatenate(leaps) > 5).mean()) if len(tune) > len(found) else 1.0,
        "bass": float((found[:, :, 1] != NONE).sum() / (BARS * len(found))),
        "struck": float(found[:, :, 2:].sum() / (BARS * len(found))),
    }
