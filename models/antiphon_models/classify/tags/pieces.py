"""Six seconds of a POP909 song, arranged by chance: instruments, tempo and drums, which its tags state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.files import MidiTimes, read_midi
from antiphon_models.classify.tags.labels import DISTORTED_PROGRAMS, FAMILIES, FAST, SLOW
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change

SECONDS = 6.2
"""Of a clip: two excerpts of the classifiers, and a little to choose their place in."""
GAP = 1.8
"""Seconds after each clip in a MIDI file of several, in which it rings out."""
DRUMS = 9
_PRESENT = 0.8
"""Seconds that an instrument sounds at least, to be a tag."""
_TEMPI = (62.0, 168.0)
_PARTS = ("MELODY", "BRIDGE", "PIANO")
_KICK, _SNARE, _CLAP, _CLOSED, _OPEN, _PEDAL, _RIDE = 36, 38, 39, 42, 46, 44, 51
_EIGHTHS = tuple((n / 2, _CLOSED) for n in range(8))
GROOVES: tuple[tuple[tuple[float, int], ...], ...] = (
    ((0, _KICK), (2, _KICK), (1, _SNARE), (3, _SNARE), *_EIGHTHS),
    (*((n, _KICK) for n in range(4)), (1, _CLAP), (3, _CLAP), *((n + 0.5, _OPEN) for n in range(4))),
    (*((n, _RIDE) for n in range(4)), (1.67, _RIDE), (3.67, _RIDE), (1, _PEDAL), (3, _PEDAL)),
    ((0, _KICK), (1.75, _KICK), (2, _SNARE), *_EIGHTHS),
    ((0, _KICK), (2.5, _KICK), (1, _SNARE), (3, _SNARE), *((n / 4, _CLOSED) for n in range(16))),
)
"""(beat of a bar of four, drum of General MIDI)."""


@dataclass(frozen=True, slots=True)
class WrittenSong:
    """A song of POP909.

    `parts`: of MELODY, BRIDGE and PIANO `[notes, 4]`: start s, end s, MIDI number, velocity 0 to 127. `beats`: seconds.
    `bars`: bars of each beat, its place in a bar of four, 0 to 3.
    """

    parts: Mapping[str, F64]
    beats: F64
    bars: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ArrangedClip:
    """An arrangement of a clip's length.

    `notes`: `[notes, 5]`: start s, end s, MIDI number, velocity, channel from 0. `programs`: by channel. `tags`: by
    musical tag how far it holds, 0 or 1, NaN where nothing states it.
    """

    notes: F64
    programs: Mapping[int, int]
    tags: Mapping[str, float]


def read_song(folder: Path) -> WrittenSong:
    song = read_midi(folder / f"{folder.name}.mid")
    times = MidiTimes(song.tempo)
    parts = {
        track.name: np.array(
            [(times.seconds(n.start), times.seconds(n.end), n.number, 127.0 * n.velocity) for n in track.notes]
        )
        for track in song.tracks
        if track.name in _PARTS and track.notes
    }
    table = np.loadtxt(folder / "beat_midi.txt", ndmin=2)
    first = int(np.argmax(table[:, 2] == 1)) if (table[:, 2] == 1).any() else 0
    return WrittenSong(parts, table[:, 0], (np.arange(len(table)) - first) % 4)


def arrange(song: WrittenSong, rng: np.random.Generator) -> ArrangedClip:
    """An arrangement of a part of a song, drawn at random."""
    beat = float(np.median(np.diff(song.beats)))
    tempo = float(np.exp(rng.uniform(*np.log(_TEMPI))))
    stretch = float(np.clip(60.0 / tempo / beat, 0.5, 2.0))
    last = max(1, int(np.searchsorted(song.beats, song.beats[-1] - SECONDS / stretch)))
    start = float(song.beats[rng.integers(min(8, last - 1), last)])
    solo = rng.random() < 0.2
    names = [str(rng.choice(["MELODY", "PIANO", "PIANO"]))] if solo else ["PIANO"]
    if not solo:
        names += [name for name, share in (("MELODY", 0.8), ("BRIDGE", 0.5)) if rng.random() < share]
    shift, families = int(rng.integers(-5, 6)), [name for name in FAMILIES if name != "bass"]
    notes, programs, sounding = [], {}, dict.fromkeys(FAMILIES, 0.0)
    for channel, name in enumerate(names):
        family = str(rng.choice(families))
        inside = _inside(song.parts.get(name, song.parts["PIANO"]), start, stretch, shift)
        notes.append(_in_channel(inside, channel, rng.uniform(0.6, 1.1)))
        programs[channel] = int(rng.choice(FAMILIES[family]))
        sounding[family] += float((inside[:, 1] - inside[:, 0]).sum())
    if not solo and rng.random() < 0.55:
        inside = _bass(_inside(song.parts["PIANO"], start, stretch, shift))
        notes.append(_in_channel(inside, len(names), rng.uniform(0.9, 1.3)))
        programs[len(names)] = int(rng.choice(FAMILIES["bass"]))
        sounding["bass"] += float((inside[:, 1] - inside[:, 0]).sum())
    drums = not solo and rng.random() < 0.55
    if drums:
        notes.append(_in_channel(_drums(song, start, stretch, rng), DRUMS, rng.uniform(0.6, 1.1)))
    actual = 60.0 / (beat * stretch)
    held = {
        name: float(seconds >= _PRESENT) if not 0.0 < seconds < _PRESENT else np.nan
        for name, seconds in sounding.items()
    }
    distorted = any(program in DISTORTED_PROGRAMS for program in programs.values())
    return ArrangedClip(np.concatenate(notes), programs, {
        **held, "drums": float(drums), "solo": float(solo), "fast": _beyond(actual, *FAST),
        "slow": 1.0 - _beyond(actual, *SLOW), "distorted": float(distorted),
    })  # fmt: skip


def score(pieces: Sequence[ArrangedClip]) -> bytes:
    """A MIDI file of pieces, one each `SECONDS + GAP`."""
    return midi_bytes(sorted(_events(pieces), key=lambda event: event[0]))


def _events(pieces: Sequence[ArrangedClip]) -> Iterator[tuple[int, bytes]]:
    for place, piece in enumerate(pieces):
        origin = place * (SECONDS + GAP)
        for channel, program in piece.programs.items():
            yield round(origin * TICKS), program_change(channel, program)
        for start, end, number, velocity, channel in piece.notes:
            yield round((origin + start) * TICKS) + 1, note_on(int(channel), int(number), int(velocity))
            yield round((origin + min(end, SECONDS)) * TICKS), note_off(int(channel), int(number))


def _beyond(value: float, low: float, high: float) -> float:
    return float(value >= high) if not low < value < high else np.nan


def _inside(part: F64, start: float, stretch: float, shift: int) -> F64:
    """The notes of a part within the clip, its time stretched, its pitch shifted."""
    notes = part.copy()
    notes[:, :2] = (notes[:, :2] - start) * stretch
    notes[:, 2] = np.clip(notes[:, 2] + shift, 21, 108)
    notes = notes[(notes[:, 0] >= 0.0) & (notes[:, 0] < SECONDS - 0.1)]
    notes[:, 1] = np.clip(notes[:, 1], notes[:, 0] + 0.05, SECONDS)
    return notes


def _in_channel(notes: F64, channel: int, gain: float) -> F64:
    rows = np.column_stack([notes, np.full(len(notes), channel)]) if len(notes) else np.zeros((0, 5))
    rows[:, 3] = np.clip(rows[:, 3] * gain, 20, 127)
    return rows


def _bass(notes: F64) -> F64:
    """The lowest note of each half second, in the octaves of a bass."""
    rows = []
    for place in range(int(SECONDS / 0.5)):
        inside = notes[(notes[:, 0] >= 0.5 * place) & (notes[:, 0] < 0.5 * place + 0.5)]
        if len(inside):
            lowest = inside[np.argmin(inside[:, 2])]
            rows.append((lowest[0], min(SECONDS, max(lowest[1], lowest[0] + 0.2)), 28 + (lowest[2] - 28) % 24, 90.0))
    return np.array(rows) if rows else np.zeros((0, 4))


def _drums(song: WrittenSong, start: float, stretch: float, rng: np.random.Generator) -> F64:
    groove = GROOVES[rng.integers(len(GROOVES))]
    rows = []
    length = np.diff(song.beats, append=2 * song.beats[-1] - song.beats[-2])
    for place, drum in groove:
        whole = int(place)
        ones = song.bars == whole
        for time, beat in zip(song.beats[ones], length[ones], strict=True):
            at = (time + (place - whole) * beat - start) * stretch
            if 0.0 <= at < SECONDS - 0.1:
                rows.append((at, at + 0.1, drum, rng.uniform(70, 115)))
    return np.array(rows) if rows else np.zeros((0, 4))
