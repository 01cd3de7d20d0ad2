"""The sound of a composed song by computed timbres, with which sketches of its spectrogram are compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon_models.material.composer.computed import DrumKit, PartTimbre, timbre
from antiphon_models.material.composer.song import ComposedNote, ComposedSong

RELEASE = 0.06
"""Seconds after a note's end."""
HARMONICS = 14


def sound_of_song(song: ComposedSong, rate: int, seed: int) -> NDArray[np.float32]:
    """Mono float32 `[frames]` of a song, half a second longer than its last note, at most 0.5."""
    rng = np.random.default_rng([seed, 77])
    length = round((max(note.end for note in song.notes) + 0.5) * rate)
    whole = np.zeros(length)
    programs = dict(song.attributes.instruments)
    volumes = {part: volume / 127.0 for part, volume, _ in song.levels}
    for part, volume in volumes.items():
        mixed = np.zeros(length)
        notes = [note for note in song.notes if note.part == part]
        if part == "drums":
            kit = DrumKit(rng, rate)
            for note in notes:
                _add(mixed, kit.hit(note.pitch) * (note.velocity / 127.0) ** 2, note.start, rate)
        else:
            own = timbre(programs[part], rng)
            for note in notes:
                _add(mixed, tone(note, own, rate), note.start, rate)
            if own.drive:
                mixed = np.tanh(own.drive * mixed) / 2.5
            mixed *= own.level * (1.6 if part == "bass" else 1.0)
        whole += mixed * volume**2
    return np.asarray(0.5 * whole / (np.abs(whole).max() + 1e-9), np.float32)


def tone(note: ComposedNote, timbre: PartTimbre, rate: int) -> NDArray[np.float64]:
    """One note of a part, from its start."""
    pitch = 440.0 * 2.0 ** ((note.pitch - 69) / 12.0)
    seconds = np.arange(round((note.end - note.start + RELEASE) * rate)) / rate
    numbers = np.arange(1, max(2, min(HARMONICS, int(0.45 * rate / pitch)) + 1))
    phase = 2.0 * np.pi * pitch * seconds
    if timbre.vibrato:
        phase += 2.0 * np.pi * pitch * timbre.vibrato * 0.0578 / 34.0 * np.sin(34.0 * seconds)
    waves = np.sin(np.outer(numbers, phase))
    weights = timbre.weights[: len(numbers), None]
    if timbre.decay:
        waves *= np.exp(-np.outer(1.0 + timbre.damping * (numbers - 1), seconds) / timbre.decay)
    lasts = note.end - note.start + RELEASE
    swell = np.minimum(1.0, seconds / timbre.attack) * np.clip((lasts - seconds) / RELEASE, 0.0, 1.0)
    return np.asarray((weights * waves).sum(axis=0) * swell * (note.velocity / 127.0) ** 1.5)


def _add(into: NDArray[np.float64], sound: NDArray[np.float64], start: float, rate: int) -> None:
    first = round(start * rate)
    into[first : first + len(sound)] += sound[: max(0, len(into) - first)]
