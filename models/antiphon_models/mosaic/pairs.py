"""Pairs of a target and a reference: recordings, loops, singing, and songs by FluidSynth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import F32
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import FLUID, TIM
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.part_songs import PartSong, songs
from antiphon_models.material.sounds import mono

RATE = 44100
SECONDS, REFERENCE_SECONDS = 8.0, 30.0
PROGRAMS = ((0, 33, 48), (24, 32, 52), (4, 35, 61), (11, 38, 89), (73, 32, 6), (40, 43, 42), (80, 38, 50), (21, 34, 66))
"""Of melody, bass, and all else."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Mono sounds at `RATE`."""

    name: str
    target: F32
    reference: F32


def pairs(data: Path, part: str, count: int, seed: int) -> Iterator[Pair]:
    """Pairs whose target and reference are of different kinds, in turn.

    Args:
        data: Holds tracks/, sonicpi/, singing/, pop909/.
        part: "tune" or "report"; they share no file, song, soundfont or set of programs.
        count: How many.
        seed: Of the choice.
    """
    odd = part == "report"
    rng = np.random.default_rng([seed, odd])
    folders = {
        "track": sorted((data / "tracks").glob("*.ogg")),
        "loop": sorted((data / "sonicpi").glob("loop_*.flac")),
        "singing": sorted((data / "singing").glob("*.ogg")),
    }
    kinds = [kind for kind, files in folders.items() if files]
    scores = list(songs(data, "test" if odd else "valid", ("pop909",), 12))
    kinds += ["song"] if scores else []
    for n in range(count):
        first = kinds[n % len(kinds)]
        second = kinds[(n + 1 + n // len(kinds) % (len(kinds) - 1)) % len(kinds)] if len(kinds) > 1 else first
        names, sounds = [], []
        for kind, seconds in ((first, SECONDS), (second, REFERENCE_SECONDS)):
            if kind == "song":
                song = scores[int(rng.integers(len(scores)))]
                sound = play(song, PROGRAMS[2 * int(rng.integers(len(PROGRAMS) // 2)) + odd], TIM if odd else FLUID)
                name = song.name
            else:
                files = folders[kind][odd::2]
                path = files[int(rng.integers(len(files)))]
                sound, name = mono(path, RATE), path.stem
            length = round(seconds * RATE)
            at = int(rng.integers(max(1, len(sound) - length)))
            names.append(name)
            sounds.append(sound[at : at + length])
        yield Pair(" by ".join(names), *sounds)


def play(song: PartSong, programs: tuple[int, int, int], font: Path, kit: int = 0) -> F32:
    """A song by three programs and a kit, at its tempo; mono."""
    beat = 60.0 / song.tempo
    events = []
    for part, notes in song.parts.items():
        channel = {"melody": 0, "bass": 1, "drums": 9}.get(part, 2)
        for note in notes:
            velocity = max(1, round(127 * note.velocity))
            events.append((note.start * beat, 1, note_on(channel, note.pitch, velocity)))
            events.append((note.end * beat, 0, note_off(channel, note.pitch)))
    ordered = [(max(0, round(when * TICKS)), message) for when, _, message in sorted(events, key=lambda e: e[:2])]
    chosen = [*enumerate(programs), (9, kit)]
    score = midi_bytes([*((0, program_change(n, program)) for n, program in chosen), *ordered])
    settings = fluidsynth.FluidSettings(gain=0.6, reverb=None, chorus=None, samples="s16")
    return np.asarray(fluidsynth.play(score, font, RATE, settings).mean(axis=1), np.float32)
