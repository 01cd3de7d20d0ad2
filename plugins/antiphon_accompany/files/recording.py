"""From a recording of a melody: its notes by `hum`, and the band as sound beneath the recording itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from antiphon.api import Samples, UsageError
from antiphon.api.backends.files import AudioWriter, read_midi, read_sound
from antiphon.api.backends.rendering import Loaded, TimedNote, load_plugins, render_notes, transcribe
from antiphon.api.jobs import FileJob, fade_out
from antiphon_accompany.band.notes import BeatNote

MOST_SECONDS = 1200.0
"""Length of a recording, at most."""
AFTER = 1.5
"""Seconds after the last note."""
INSTRUMENTS = {"piano": "piano", "guitar": "pluck", "bass": "bass", "drums": "drums", "pad": "pad"}
LEVELS = {"piano": 0.5, "guitar": 0.35, "bass": 0.6, "drums": 0.5, "pad": 0.3}
"""Factor of each part's sound beneath the recording."""
_BLOCK = 2048


def melody_of_sound(job: FileJob, folder: Path) -> Path:
    """Writes the notes of a recording as a MIDI file in `folder`, at the tempo that was found for them.

    Raises:
        UsageError: Nothing transcribes it, or no note was found.
    """
    # the grid tells the tempo; the notes themselves stay where they were sung
    grid = transcribe(job.source, folder / "grid.mid", {"quantise": "1/8"})
    return transcribe(job.source, folder / "melody.mid", {"bpm": read_midi(grid).tempo[0][1]})


def write_band(job: FileJob, notes: list[BeatNote], tempo: float) -> AudioWriter:
    """Writes the recording with the band beneath it; returns what has written it.

    Args:
        job: `source` is the recording, `target` the sound.
        notes: The band's, in beats from the recording's beginning.
        tempo: Beats a minute.
    """
    sound = read_sound(job.source)
    rate, channels = sound.rate, min(2, sound.samples.shape[0])
    if sound.samples.shape[1] > MOST_SECONDS * rate:
        raise UsageError(
            f"{job.source.name} is longer than {MOST_SECONDS / 60:g} minutes; cut it, or write a MIDI file"
        )
    per_beat = rate * 60.0 / tempo
    last = max((note.end for note in notes), default=0.0) * per_beat
    frames = max(sound.samples.shape[1], round(last + AFTER * rate))
    mixed = np.zeros((channels, frames), np.float32)
    mixed[:, : sound.samples.shape[1]] = sound.samples[:channels]
    loaded = load_plugins(check=False)
    parts = sorted({note.part for note in notes})
    for number, part in enumerate(parts):
        own = [n for n in notes if n.part == part]
        _add(mixed, _rendered(own, part, frames, rate, channels, per_beat, loaded), LEVELS[part])
        job.progress((number + 1) / (len(parts) + 1))
    # the voice at its own level, the sum below full scale
    mixed *= min(1.0, 0.98 / max(1e-9, float(np.abs(mixed).max())))
    with AudioWriter(job.target, rate, channels, "PCM_16", job.finish) as writer:
        for block in fade_out((mixed[:, at : at + _BLOCK] for at in range(0, frames, _BLOCK)), rate, job.fade):
            writer.write(block)
    return writer


def _rendered(
    notes: list[BeatNote], part: str, frames: int, rate: int, channels: int, per_beat: float, loaded: Loaded
) -> Iterator[Samples]:
    timed = [TimedNote(round(n.start * per_beat), round(n.end * per_beat), n.pitch, n.velocity) for n in notes]
    return render_notes(timed, frames, rate, loaded, INSTRUMENTS[part], channels, _BLOCK)


def _add(mixed: Samples, blocks: Iterator[Samples], level: float) -> None:
    at = 0
    for block in blocks:
        mixed[:, at : at + block.shape[1]] += level * block
        at += block.shape[1]
