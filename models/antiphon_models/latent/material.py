"""Measures notes as partials and noise: General MIDI programs of a soundfont, or a folder of recordings."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, UsageError, note_number
from antiphon.api.backends.files import SOUND_FORMATS, printable_path, read_sound
from antiphon_latent.decoder import FRAMES, LONGEST, RINGS, ROW, VELOCITY, hz_of, measure, onset_frame, pitch_of
from antiphon_models.material.fluidsynth import (
    FLUID,
    TICKS,
    FluidSettings,
    control_change,
    midi_bytes,
    note_off,
    note_on,
    play,
    program_change,
)
from antiphon_models.material.sounds import save_arrays

RATE = 44100
PROGRAMS = range(112)
KEYS = (33, 40, 45, 50, 55, 60, 65, 70, 75, 80, 86, 93)
VELOCITIES = (45, 85, 120)
NOTE_SPACING = LONGEST + RINGS + 0.7
"""Seconds between note onsets."""
MIN_PEAK = 1e-3
"""Minimum peak of a note; below it the font has no sound for that key."""

MIN_COUNT, MAX_FILES, MAX_FILE = 4, 2000, 30.0
"""Minimum and maximum files of a folder, each with one note, and maximum seconds of a file."""


class Notes(NamedTuple):
    """Measured notes: levels `[n, FRAMES, ROW]` in dB with their validity; pitch, velocity (0 to 1) `[n]`.

    program: `[n]`, the program of each note; -1 for a folder's.
    """

    level: F32
    there: NDArray[np.bool_]
    pitch: F32
    velocity: F32
    program: NDArray[np.int64]


def sounds(font: Path, program: int, keys: tuple[int, ...], velocities: tuple[int, ...]) -> F32:
    """Renders notes of a program, float32 `[keys * velocities, frames]`, each with its release."""
    space, held = round(NOTE_SPACING * TICKS), round(LONGEST * TICKS)
    events, at = [(0, program_change(0, program))], 0
    for key in keys:
        for velocity in velocities:
            events += [(at, note_on(0, key, velocity)), (at + held, note_off(0, key))]
            events += [(at + space - 60, control_change(0, 120, 0))]
            at += space
    played = play(midi_bytes(events), font, RATE, FluidSettings(0.5, False, False)).mean(axis=1)
    frames, count = round(NOTE_SPACING * RATE), len(keys) * len(velocities)
    played = np.pad(played, (0, max(0, count * frames - len(played))))
    return np.asarray(played[: count * frames].reshape(count, frames)[:, : -round(0.08 * RATE)], np.float32)


def measure_font_notes(
    folder: Path,
    say: Callable[[str], None],
    font: Path = FLUID,
    keys: tuple[int, ...] = KEYS,
    velocities: tuple[int, ...] = VELOCITIES,
) -> Notes:
    """Measures the notes of a font's programs, cached in `folder`."""
    parts = []
    for program in PROGRAMS:
        path = folder / f"{font.stem}-{len(keys)}x{len(velocities)}-{program:03}.npz"
        if not path.exists():
            if program % 16 == 0:
                say(f"{font.stem}: program {program} of {len(PROGRAMS)}")
            rows = sounds(font, program, keys, velocities)
            conditions = [(key, velocity / 127.0) for key in keys for velocity in velocities]
            kept = [(x, c) for x, c in zip(rows, conditions, strict=True) if np.abs(x).max() > MIN_PEAK]
            found = [(*_measured(x, hz_of(c[0]), round(LONGEST * RATE)), *c) for x, c in kept]
            save_arrays(path, **_arrays(found, program))
        parts.append(dict(np.load(path)))
    return Notes(*(np.concatenate([part[name] for part in parts]) for name in Notes._fields))


def measure_folder_notes(folder: Path, cache: Path, say: Callable[[str], None]) -> Notes:
    """Measures the notes of the sound files of a folder and its subfolders, one per file.

    Raises `UsageError`: there are fewer than `MIN_COUNT`, or a file is longer than `MAX_FILE` seconds.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUND_FORMATS and p.is_file())[:MAX_FILES]
    parts = []
    for n, file in enumerate(files):
        state = file.stat()
        words = f"{file.resolve()} {state.st_size} {state.st_mtime_ns}".encode()
        path = cache / f"{hashlib.sha256(words).hexdigest()[:24]}.npz"
        if not path.exists():
            if n % 50 == 0:
                say(f"{n} of {len(files)} files")
            sound = np.asarray(read_sound(file, rate=RATE).samples.mean(axis=0), np.float32)
            if len(sound) > MAX_FILE * RATE:
                raise UsageError(f"{printable_path(file)} is longer than {MAX_FILE} s; give a folder of single notes")
            sound = sound[onset_frame(sound) :]
            if float(np.abs(sound).max(initial=0.0)) < MIN_PEAK:
                say(f"{printable_path(file)} is silent, and left out")
                continue
            hz = pitch_of(sound, RATE)
            level, there = measure(sound, RATE, hz, len(sound))
            np.savez(path, **_arrays([(level, there, note_number(hz), VELOCITY)], -1))
        parts.append(dict(np.load(path)))
    if len(parts) < MIN_COUNT:
        raise UsageError(
            f"{printable_path(folder)} holds {len(parts)} notes; give a folder of {MIN_COUNT} sound files at least"
        )
    return Notes(*(np.concatenate([part[name] for part in parts]) for name in Notes._fields))


def _measured(sound: F32, hz: float, end: int) -> tuple[F32, NDArray[np.bool_]]:
    first = onset_frame(sound)
    return measure(sound[first:], RATE, hz, end - first)


def _arrays(found: Sequence[tuple[F32, NDArray[np.bool_], float, float]], program: int) -> dict[str, Any]:
    count = len(found)
    return {
        "level": np.array([x[0] for x in found], np.float16).reshape(count, FRAMES, ROW),
        "there": np.array([x[1] for x in found], bool).reshape(count, FRAMES, ROW),
        "pitch": np.array([x[2] for x in found], np.float32),
        "velocity": np.array([x[3] for x in found], np.float32),
        "program": np.full(count, program, np.int64),
    }
