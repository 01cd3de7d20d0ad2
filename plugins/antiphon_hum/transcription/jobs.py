"""`antiphon run hum IN.wav OUT.wav`: what is sung, played by a piano, exactly as long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from antiphon.api import Samples, UsageError
from antiphon.api.files import (
    DEFAULT_BPM,
    MIDI_TICKS,
    AudioWriter,
    MidiNote,
    MidiTrack,
    format_of,
    printable_path,
    stream_sound,
    write_midi,
)
from antiphon.api.jobs import FileJob, Written, check_distinct, fade_out, is_midi
from antiphon.api.rendering import TimedNote, load_plugins, render_notes
from antiphon_hum.scale_snap import KEYS
from antiphon_hum.transcription.notes import Transcription, heard

LISTENED = 0.4
"""Part of the work that listening is told as."""
PLAYED = 2048
"""Frames of a block in which the piano is played, at least: its samples are the same in any, and this is quickest."""
MANY = 0.3
"""Mean probability of several voices at once from which on it is warned about."""


def run(job: FileJob) -> tuple[Written, ...]:
    """source: a sound.  target: a sound of its rate, channels and length, or the notes alone as a MIDI file.
    midi_out: the notes as they were sung.
    """
    if job.analysis is not None:
        raise UsageError("hum writes no analysis; leave --analysis out")
    if job.midi_out is not None:
        check_distinct([("IN", job.source), ("OUT", job.target)], [("--midi-out", job.midi_out)])
    if is_midi(job.target):
        if job.midi_out is not None:
            raise UsageError("OUT holds the notes already; leave --midi-out out, or name a sound OUT")
        return _notes(job)
    format_of(job.target)
    with stream_sound(job.source) as (info, _):
        rate, channels, subtype = info.rate, info.channels, info.subtype
    with AudioWriter(job.target, rate, channels, subtype) as writer:
        found = listened(job, rate, channels)
        notes, frames = found.notes, found.frames
        played = [TimedNote(n.start, n.end, n.number, n.velocity) for n in notes]
        blocks = render_notes(
            played, frames, rate, load_plugins(check=False), channels=channels, block=max(PLAYED, job.block)
        )
        for block in fade_out(blocks, rate, job.fade):
            writer.write(block)
            job.progress(LISTENED + (1.0 - LISTENED) * writer.frames / max(1, frames))
        _warn(job, found, f"{writer.name} is silent")
        if job.midi_out is not None:
            write_notes(job.midi_out, found, rate, _bpm(job))
    if writer.clipped:
        job.complain(f"{writer.name}: {writer.clipped} samples were over full scale and are cut to it")
    written = Written(job.target, printable_path(job.source), frames / rate, rate, channels, len(notes))
    return (written,) if job.midi_out is None else (written, _of_notes(job, job.midi_out, found, rate))


def _notes(job: FileJob) -> tuple[Written, ...]:
    """The notes alone."""
    with stream_sound(job.source) as (info, _):
        rate, channels = info.rate, info.channels
    found = listened(job, rate, channels)
    _warn(job, found, f"{printable_path(job.target)} holds none")
    write_notes(job.target, found, rate, _bpm(job))
    return (_of_notes(job, job.target, found, rate),)


def _of_notes(job: FileJob, path: Path, found: Transcription, rate: int) -> Written:
    return Written(path, printable_path(job.source), found.frames / rate, notes=len(found.notes))


def _bpm(job: FileJob) -> float:
    return float(job.settings.get("bpm", 0.0))


def _warn(job: FileJob, found: Transcription, nothing: str) -> None:
    """What is to be known of what was found. nothing: what comes of it where no note was."""
    name = printable_path(job.source)
    if found.many > MANY:
        job.complain(
            f"{name}: several voices seem to sound at once in it and hum hears one; give it a voice alone, or "
            f"{printable_path(job.target)} holds a part of what sounds at most"
        )
    elif not found.notes:
        job.complain(f"{name}: no note is heard in it; {nothing}")
    given = job.settings
    if said := moved_to(found, str(given.get("key", "auto")), str(given.get("scale", "off")), _bpm(job)):
        job.complain(f"{name}: {said}")


def moved_to(found: Transcription, key: str, scale: str, bpm: float) -> str:
    """What was found, key and tempo, where it was not told, and what it cost; "" where nothing was to be found."""
    parts = []
    if found.key is not None and "auto" in (key, scale):
        parts.append(f"the notes are in {KEYS[found.key[0] + 1]} {found.key[1]}")
    if found.bpm is not None and not bpm:
        parts.append(f"their tempo is taken for {found.bpm:.1f} bpm (-p bpm=… gives another)")
    if found.left:
        left = "one note is" if found.left == 1 else f"{found.left} notes are"
        parts.append(f"{left} left out, for want of a free line (a finer quantise keeps more)")
    return ", ".join(parts)


def listened(job: FileJob, rate: int, channels: int) -> Transcription:
    """What is in the source, in frames at `rate`, its own."""
    passes = [0.0]

    def play(at: int, hear: Callable[[Samples], None]) -> None:
        done, frames = passes[0], 0
        with stream_sound(job.source, rate=at or None) as (info, blocks):
            for block in blocks:
                hear(block)
                frames += block.shape[1]
                part = min(1.0, frames / info.frames) if info.frames else 0.0
                job.progress(LISTENED * min(1.0, done + 0.5 * part))
        passes[0] = min(0.5, done + 0.5)

    return heard(play, rate, channels, job.settings)


def write_notes(path: Path, found: Transcription, rate: int, bpm: float) -> None:
    """A MIDI file of one track. bpm: its tempo where none was found, 0 for MIDI's own. `FileError` where it cannot
    be written.
    """
    tempo = found.bpm or bpm or DEFAULT_BPM
    per_beat = rate * 60.0 / tempo
    first = found.beat * rate
    # what begins before the first line would lie before the file; a note is on a line to a frame
    first = first if all(n.start > first - 1.0 for n in found.notes) else first - per_beat
    first = min(first, 0.0) if found.bpm is None else first
    told = tuple(
        MidiNote(max(0.0, n.start - first) / per_beat, (n.end - n.start) / per_beat, n.number, n.velocity)
        for n in found.notes
    )
    write_midi(path, [MidiTrack("hum", told, 0)], tempo, 2 * MIDI_TICKS)
