"""The spectrograms of single notes of soundfonts, of which songs are sketched far faster than they are played."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon_classify.classifier import MEL
from antiphon_models.classify.clips import spectrogram
from antiphon_models.classify.genre.sources import FREEPATS, nearest, render_midi
from antiphon_models.material import timidity
from antiphon_models.material.composer.song import DRUMS
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.sounds import save_arrays

PROGRAMS = 112
"""Of General MIDI: all but percussion and effects."""
PITCHES = range(26, 91, 4)
KITS = (0, 8, 16, 24, 25, 32, 40, 48)
DRUM_NOTES = range(35, 71)
BEFORE, HELD, SLOT = 3, 94, 134
"""Frames of a patch before its onset, a window and some more; those that a note is held, 2.2 s; and those from one
note to the next."""
DRUM_SLOT = 52
VELOCITY = 100
_AT_ONCE = 8
"""Programs that are played at once, as memory goes."""


@dataclass(frozen=True)
class NoteBank:
    """The notes of one soundfont.

    `notes`: float16 `[PROGRAMS, pitches, SLOT, bands]` in dB, each from `BEFORE` frames before its onset. `drums`:
    float16 `[kits, drums, DRUM_SLOT, bands]`, alike.
    """

    notes: NDArray[np.float16]
    drums: NDArray[np.float16]

    @cached_property
    def power(self) -> F32:
        """Power spectrogram of notes."""
        return np.asarray(10.0 ** (self.notes.astype(np.float32) / 10.0), np.float32)

    @cached_property
    def drum_power(self) -> F32:
        return np.asarray(10.0 ** (self.drums.astype(np.float32) / 10.0), np.float32)

    def note(self, program: int, pitch: int) -> F32:
        """The power of the nearest note that was played: `[SLOT, bands]`."""
        place = round((pitch - PITCHES[0]) / PITCHES.step)
        return np.asarray(self.power[min(program, PROGRAMS - 1), min(max(place, 0), len(PITCHES) - 1)])

    def drum(self, kit: int, number: int) -> F32:
        """The power of a drum of a kit: `[DRUM_SLOT, bands]`."""
        place = min(max(number - DRUM_NOTES[0], 0), len(DRUM_NOTES) - 1)
        return np.asarray(self.drum_power[KITS.index(kit) if kit in KITS else 0, place])


def bank(folder: Path, source: str, say: Callable[[str], None]) -> NoteBank:
    """The notes of a soundfont, played where their file is missing; one process plays, others wait for it."""
    path = folder / f"notes-{source}.npz"
    with (folder / f"{path.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_file():
            drums = np.concatenate(list(_drums(source)))
            save_arrays(path, notes=np.concatenate(list(_notes(source))), drums=drums)
            say(f"{path.name} is complete")
    with np.load(path, allow_pickle=False) as file:
        return NoteBank(file["notes"], file["drums"])


def _notes(source: str) -> Iterator[NDArray[np.float16]]:
    known = timidity.programs() if source == FREEPATS else frozenset(range(PROGRAMS))
    for first in range(0, PROGRAMS, _AT_ONCE):
        events: list[tuple[int, bytes]] = []
        slots = 0
        for program in range(first, first + _AT_ONCE):
            events.append((_tick(slots * SLOT), program_change(0, nearest(program, known))))
            for pitch in PITCHES:
                events.append((_tick(slots * SLOT + BEFORE), note_on(0, pitch, VELOCITY)))
                events.append((_tick(slots * SLOT + BEFORE + HELD), note_off(0, pitch)))
                slots += 1
        found = _frames(events, source, slots * SLOT)
        yield found.reshape(_AT_ONCE, len(PITCHES), SLOT, -1)


def _drums(source: str) -> Iterator[NDArray[np.float16]]:
    for kit in KITS:
        events = [(0, program_change(DRUMS, kit))]
        for slot, number in enumerate(DRUM_NOTES):
            events.append((_tick(slot * DRUM_SLOT + BEFORE), note_on(DRUMS, number, VELOCITY)))
            events.append((_tick(slot * DRUM_SLOT + BEFORE + 8), note_off(DRUMS, number)))
        found = _frames(events, source, len(DRUM_NOTES) * DRUM_SLOT)
        yield found.reshape(1, len(DRUM_NOTES), DRUM_SLOT, -1)


def _tick(frame: int) -> int:
    return round(frame * MEL.hop / MEL.rate * TICKS)


def _frames(events: list[tuple[int, bytes]], source: str, count: int) -> NDArray[np.float16]:
    mel = spectrogram(render_midi(midi_bytes(events), source, MEL.rate))
    mel = mel[:count]
    mel = np.pad(mel, ((0, count - len(mel)), (0, 0)), constant_values=-100.0)
    return np.asarray(np.maximum(mel, -100.0), np.float16)
