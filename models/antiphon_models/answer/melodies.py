"""Melodies as training data of `answer`: onsets on sixteenths, the highest note of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from antiphon_answer.improviser import Planned
from antiphon_models.material.part_songs import songs

SOURCES = ("pop909", "jsb")


@dataclass(frozen=True)
class SlotMelody:
    """A melody, its notes in order, one a slot, a sixteenth from a bar line; key: C to B major 0 to 11, then minor."""

    name: str
    key: int
    meter: int
    tempo: float
    notes: list[Planned]


def melodies(data: Path, split: str, sources: tuple[str, ...] = SOURCES) -> Iterator[SlotMelody]:
    """The melodies of a split (see `part_songs.songs`), of at least two notes."""
    for song in songs(data, split, sources):
        top: dict[int, Planned] = {}
        late = 4 * (-song.first % song.meter)
        for note in song.parts["melody"]:
            slot = round(4 * note.start) + late
            if slot >= 0 and (slot not in top or top[slot].pitch < note.pitch):
                top[slot] = Planned(slot, max(1.0, 4 * (note.end - note.start)), note.pitch, note.velocity)
        if len(top) > 1:
            yield SlotMelody(song.name, song.key, song.meter, song.tempo, [top[slot] for slot in sorted(top)])
