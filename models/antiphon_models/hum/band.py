"""A band for a sung melody, by rule and seed: piano chords, bass and drums in the melody's key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from antiphon.api import F32
from antiphon_hum.scale_snap import KeyFinder
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import FluidSettings
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.singing import ScoreNote
from antiphon_models.material.sounds import of_length

BEAT = 0.5
"""Seconds."""
BAR = 4
"""Beats."""
PIANO, BASS, DRUMS = 0, 1, 9
"""Channels."""
FINGERED_BASS = 33
"""Program of General MIDI."""
KICK, SNARE, HAT = 36, 38, 42
CHORDS = {
    "major": ((0, 4, 7), (5, 9, 0), (7, 11, 2), (9, 0, 4)),
    "minor": ((0, 3, 7), (5, 8, 0), (7, 10, 2), (8, 0, 3)),
}
"""Semitones above the tonic of the chords to choose from, in the order in which equals are preferred."""


def band(notes: Sequence[ScoreNote], frames: int, rate: int, font: Path, seed: int) -> F32:
    """Piano, bass and drums for a melody, mono float32 `[frames]`, with random velocities."""
    rng = np.random.default_rng((seed, 21))
    finder = KeyFinder(fade=1.0)
    for note in notes:
        finder.add(note.pitch, note.end - note.start)
    tonic, mode = finder.resolve("auto", "auto")
    events: list[tuple[int, bytes]] = [(0, program_change(PIANO, 0)), (0, program_change(BASS, FINGERED_BASS))]

    def strike(channel: int, number: int, beat: float, beats: float, loud: int) -> None:
        velocity = int(np.clip(loud + rng.integers(-8, 9), 1, 127))
        start, end = round(beat * BEAT * TICKS), round((beat + beats) * BEAT * TICKS)
        events.append((start, note_on(channel, number, velocity)))
        events.append((end, note_off(channel, number)))

    for bar in range(int(frames / rate / BEAT / BAR) + 1):
        first = bar * BAR
        chord = _chord(notes, first * BEAT, (first + BAR) * BEAT, tonic, CHORDS.get(mode, CHORDS["major"]))
        for beat in (0.0, 1.5, 2.0, 3.0):
            for tone in chord:
                strike(PIANO, 48 + tone, first + beat, 0.9, 76)
        for beat in (0.0, 2.0, 2.5):
            strike(BASS, 36 + chord[0], first + beat, 0.45, 84)
        for half in range(2 * BAR):
            strike(DRUMS, HAT, first + 0.5 * half, 0.2, 64)
        for beat, drum in ((0.0, KICK), (1.0, SNARE), (2.0, KICK), (3.0, SNARE)):
            strike(DRUMS, drum, first + beat, 0.2, 92)
    events.sort(key=lambda event: (event[0], event[1][0] & 0xF0 == 0x90))
    made = fluidsynth.play(midi_bytes(events), font, rate, FluidSettings(gain=0.6)).mean(axis=1)
    return of_length(made, frames)


def _chord(
    notes: Sequence[ScoreNote], start: float, end: float, tonic: int, chords: Sequence[tuple[int, ...]]
) -> tuple[int, ...]:
    """The chord that holds most of what is sung between two times, in seconds."""

    def held(chord: Sequence[int]) -> float:
        return sum(
            max(0.0, min(note.end, end) - max(note.start, start))
            for note in notes
            if (note.pitch - tonic) % 12 in chord
        )

    best = max(chords, key=held)
    return tuple((tonic + tone) % 12 for tone in best)
