"""Songs in parts as sound, a file a part, by FluidSynth; kept in the cache folder, never beside the data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.runtime import paths
from antiphon_models.material import fluidsynth, sounds
from antiphon_models.material.fluidsynth import FluidSettings
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.part_songs import PartNote, PartSong

_GAIN, _RELEASE = 0.4, 2.0
"""FluidSynth's gain; seconds after the last note."""
_PROGRAMS: Mapping[str, int] = {"melody": 80, "chords": 0, "bass": 33, "drums": 0, "pad": 48}
"""General MIDI instruments of parts whose source names none."""
_DRUMS = 9


def render_stems(song: PartSong, font: Path, rate: int = 22050) -> dict[str, Path]:
    """The song's parts as mono FLAC files of one length, which add up to the song.

    Args:
        song: The song, played at its one tempo.
        font: The soundfont: one to train with, another to test with.
        rate: Hz.

    Returns:
        Files by part. What is in the cache is not rendered again.

    Raises:
        FileNotFoundError: There is no fluidsynth program.
    """
    name = re.sub(r"[^\w.-]+", "-", f"{song.name}-{font.stem}-{rate}")
    folder = paths.make_folder(paths.cache() / "material" / "stems" / name)
    seconds = max(note.end for notes in song.parts.values() for note in notes) * 60.0 / song.tempo + _RELEASE
    frames = round(seconds * rate)

    def made(part: str) -> NDArray[np.float32]:
        program = song.programs.get(part, _PROGRAMS[part])
        score = _score(song.parts[part], song.tempo, program, drums=part == "drums")
        sound = fluidsynth.play(score, font, rate, FluidSettings(_GAIN)).mean(axis=1)[:frames]
        return np.pad(sound, (0, frames - len(sound)))

    return {part: sounds.kept(folder / f"{part}.flac", rate, partial(made, part)) for part in song.parts}


def _score(notes: list[PartNote], tempo: float, program: int, *, drums: bool) -> bytes:
    channel, tick = (_DRUMS if drums else 0), TICKS * 60.0 / tempo
    events = [(0, 0, program_change(channel, program))]
    for note in notes:
        start = round(max(0.0, note.start) * tick)
        end = max(start + 1, round(note.end * tick))
        events.append((start, 2, note_on(channel, note.pitch, max(1, round(127 * note.velocity)))))
        events.append((end, 1, note_off(channel, note.pitch)))
    return midi_bytes((at, message) for at, _, message in sorted(events))
