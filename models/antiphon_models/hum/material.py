"""Sound with known notes: melodies of POP909, for `material.singing`'s voices and FluidSynth's winds.

For training and `evaluation`; needs pyworld, mido, espeak-ng and fluidsynth.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.files import read_midi
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import (
    FLUID,
    TICKS,
    TIM,
    FluidSettings,
    midi_bytes,
    note_off,
    note_on,
    program_change,
)
from antiphon_models.material.singing import RATE, SecondsNote, speak

WINDS = {"oboe": 68, "clarinet": 71, "flute": 73, "recorder": 74, "trumpet": 56, "sax": 65}


@dataclass(frozen=True, slots=True)
class AnnotatedSound:
    """A sound `[frames]` at `RATE`, with its notes."""

    name: str
    sound: F32
    notes: tuple[SecondsNote, ...]


def melody(path: Path, seconds: float = 18.0) -> tuple[SecondsNote, ...]:
    """The first `seconds` of the MELODY track of a POP909 song, from its first note on; one note at a time."""
    song = read_midi(path, overlap="replace")
    track = next(t for t in song.tracks if t.name.strip().upper() == "MELODY")
    notes = [SecondsNote(song.seconds(n.start), song.seconds(n.end), n.number, n.velocity) for n in track.notes]
    notes.sort(key=lambda n: (n.start, -n.pitch))
    kept: list[SecondsNote] = []
    for note in notes:
        if kept and note.start - kept[-1].start < 0.03:
            continue
        if kept and kept[-1].end > note.start:
            kept[-1] = replace(kept[-1], end=note.start)
        kept.append(note)
    if not kept:
        return ()
    first = kept[0].start - 0.5
    return tuple(
        replace(n, start=n.start - first, end=min(n.end - first, seconds))
        for n in kept
        if n.start - first < seconds - 0.3
    )


def transpose(notes: Sequence[SecondsNote], low: int, high: int) -> tuple[SecondsNote, ...]:
    """The notes moved by whole octaves so that most lie between `low` and `high`, and single notes as well."""
    middle = float(np.median([n.pitch for n in notes]))
    by = 12 * round(((low + high) / 2 - middle) / 12)
    fitted = []
    for note in notes:
        pitch = note.pitch + by
        while pitch < low:
            pitch += 12
        while pitch > high:
            pitch -= 12
        fitted.append(replace(note, pitch=pitch))
    return tuple(fitted)


def wind(name: str, notes: Sequence[SecondsNote], program: int, font: Path, rate: int = RATE) -> AnnotatedSound:
    """Renders the notes with one program of a soundfont, without reverb."""
    events = [(0, program_change(0, program))]
    for note in notes:
        velocity = max(40, min(127, round(note.velocity * 127)))
        events.append((round(note.start * TICKS), note_on(0, note.pitch, velocity)))
        events.append((round(note.end * TICKS), note_off(0, note.pitch)))
    events.sort(key=lambda e: (e[0], e[1][0] & 0xF0 == 0x90))
    x = fluidsynth.play(midi_bytes(events), font, rate, FluidSettings(gain=0.6))
    return AnnotatedSound(name, np.ascontiguousarray(x.mean(axis=1)), tuple(notes))


TUNED_FONT, HELD_FONT = TIM, FLUID
"""Soundfonts: the first for tuning and training, the second for evaluation."""
RANGES = {"flute": (60, 91), "recorder": (64, 91), "trumpet": (54, 82), "clarinet": (50, 86)}
RANGES |= {"oboe": (58, 88), "sax": (46, 76)}


_SAID = (
    "One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve.",
    "The committee will meet on Monday to review the budget for the coming year; members are asked to arrive early.",
    "Hello? Hello, can you hear me now? Testing, testing. All right, let us begin.",
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.",
    "We all know more than we can say, and most of us say more than we know.",
    "Ladies and gentlemen, please welcome on stage the next act of this evening.",
    "Far out in the ocean, where the water is as blue as the prettiest cornflower, it is very, very deep.",
)
_SPEAKERS = ("en+m5", "en-us+f4", "en-gb+m7", "en+f3", "en-gb", "en-us+m2", "en+f5")


def speech(count: int, seed: int) -> Iterator[F32]:
    """Sentences spoken by espeak-ng."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        speaker = _SPEAKERS[(k + k // 7) % 7]
        x = speak(_SAID[k % 7], speaker, int(rng.integers(120, 185)), int(rng.integers(30, 75)))
        yield x * np.float32(rng.uniform(0.15, 0.8))


def colours(seconds: float, seed: int) -> Iterator[F32]:
    """White, pink and brown noise at -20 dB."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * RATE)
    for slope in (0.0, 0.5, 1.0):
        spectrum = np.fft.rfft(rng.standard_normal(frames))
        x = np.fft.irfft(spectrum * (np.arange(len(spectrum)) + 1.0) ** -slope, frames)
        yield (0.1 * x / x.std()).astype(np.float32)
