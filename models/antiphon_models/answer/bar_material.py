"""Songs as training sequences of the bar model: events of four parts, their rows, and the memories' expectations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES
from antiphon_answer.bar_features import BASS, CHORDS, DRUMS, MELODY, PARTS, BarEvent, BarReader, drum_class, in_order
from antiphon_answer.bar_model import PROBABILITY_FLOOR
from antiphon_answer.improviser import Improviser
from antiphon_answer.memory import INTERVALS, TIMES
from antiphon_answer.prior import installed_prior
from antiphon_models.material.part_songs import PartNote, PartSong, songs

MAX_EVENTS = 1000
"""Maximum events of a song."""
LATER_STARTS = (0.25, 0.6)
"""Fractions of a song at which its melody is presented again as if it began there."""
_BASS_BELOW = 52
"""Highest MIDI pitch of a bass note: POP909 has no bass part, so the piano's lowest note serves below this."""
_KINDS = {"maj": 0, "7": 0, "maj7": 0, "maj6": 0, "9": 0, "maj9": 0, "min": 1, "min7": 1, "min6": 1, "min9": 1}
_FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#", "Cb": "B", "Fb": "E"}
Sequence_ = dict[str, NDArray[np.generic]]


def chord_code(label: str) -> int:
    """Root + 12 * kind of a chord as "C:maj7"."""
    name, _, kind = label.partition(":")
    if name in ("N", "X", ""):
        return 36
    root = SHARP_NAMES.index(_FLATS.get(name, name))
    return root + 12 * _KINDS.get(kind.partition("/")[0].partition("(")[0] or "maj", 2)


def events_of(song: PartSong) -> list[BarEvent]:
    """Events of a song, from its first bar line on."""
    late = 4 * (-song.first % song.meter)
    found: dict[tuple[int, int, int], BarEvent] = {}

    def add(part: int, note: PartNote, code: int, one: bool = True, low: bool = False) -> None:
        slot = round(4 * note.start) + late
        at = (part, slot, 0 if one else code)
        held = found.get(at)
        if slot >= 0 and (held is None or (code < held.code if low else code > held.code)):
            found[at] = BarEvent(part, slot, code, max(1.0, 4 * (note.end - note.start)), note.velocity)

    for note in song.parts["melody"]:
        add(MELODY, note, note.pitch)
    if "bass" in song.parts:
        for note in song.parts["bass"]:
            add(BASS, note, note.pitch, low=True)
    else:
        for note in song.parts.get("chords", []):
            if note.pitch < _BASS_BELOW:
                add(BASS, note, note.pitch, low=True)
    for note in song.parts.get("drums", []):
        add(DRUMS, note, drum_class(note.pitch), one=False)
    before = -1
    for chord in song.chords:
        code = chord_code(chord.label)
        if code != before:
            add(CHORDS, PartNote(chord.start, chord.end, code), code)
        before = code
    return in_order(list(found.values()), 4 * song.meter)[:MAX_EVENTS]


def sequence(events: Sequence[BarEvent], key: int, meter: int, *, alone: bool) -> Sequence_:
    """Arrays of a piece of L events: rows of tables, the observed symbols, and the memories' log probabilities.

    key: 0 to 23; -1 where it is estimated as `answer` does. alone: there is a melody and nothing else. `events`,
    `values`, `times`: rows, int16; `value`, `time`: symbols, -1 where there is none; `value_memory` `[L, INTERVALS]`,
    `time_memory` `[L, TIMES]`: log chances. The time of an event is that to its part's next one.
    """
    improviser = Improviser(installed_prior())
    improviser.wishes.bar, improviser.fixed = 4 * meter, key
    improviser.clear()
    reader = BarReader(improviser, alone=alone)
    following: list[int] = [-1] * len(events)
    newest: dict[int, int] = {}
    for n, event in enumerate(events):
        if event.part in newest:
            following[newest[event.part]] = event.slot - events[newest[event.part]].slot
        newest[event.part] = n
    rows: dict[str, list[NDArray[np.int64]]] = {"events": [], "values": [], "times": []}
    memory: dict[str, list[NDArray[np.float64]]] = {"value_memory": [], "time_memory": []}
    value: list[int] = []
    expected = [np.ones((INTERVALS, TIMES))] * len(PARTS)
    for event in events:
        last = reader.last[event.part]
        time = min(TIMES - 1, event.slot - last.slot) if last else 0
        chances = expected[event.part][:, time]
        memory["value_memory"].append(np.log(chances / chances.sum() + PROBABILITY_FLOOR))
        value.append(reader.value_of(event.part, event.code) if last else -1)
        rows["values"].append(reader.value_rows(event.part, time))
        rows["events"].append(reader.learn(event))
        rows["times"].append(reader.time_rows(event.part))
        # only the part's own events change what is expected of it
        expected[event.part] = reader.chances(event.part).copy()
        memory["time_memory"].append(np.log(expected[event.part].sum(axis=0) + PROBABILITY_FLOOR))
    return {
        **{name: np.stack(found).astype(np.int16) for name, found in rows.items()},
        **{name: np.stack(found).astype(np.float16) for name, found in memory.items()},
        "value": np.array(value, np.int16),
        "time": np.array([min(TIMES - 1, t) for t in following], np.int16),
    }


def sequences(data: Path, split: str, sources: Sequence[str]) -> Iterator[Sequence_]:
    """Songs of a split in 4/4: melody, all parts, and for training the melody from the bars at `LATER_STARTS`."""
    for song in songs(data, split, sources):
        if song.meter != 4:
            continue
        events = events_of(song)
        tune = [event for event in events if event.part == MELODY]
        told = [(tune, -1, True), (events, song.key, False)]
        for part in LATER_STARTS if split == "train" else ():
            later = tune[int(part * len(tune)) :]
            bars = later[0].slot // 16 if later else 0
            told.append(([event._replace(slot=event.slot - 16 * bars) for event in later], -1, True))
        for played, key, alone in told:
            if len(played) > 16:
                yield sequence(played, key, song.meter, alone=alone)
