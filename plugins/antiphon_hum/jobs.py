"""`antiphon run hum IN.wav OUT.wav`: what is sung, played by a piano, exactly as long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from antiphon.cli.errors import complain
from antiphon.errors import UsageError
from antiphon.filejob import FileJob
from antiphon.io import midifile
from antiphon.io.audiofile import stream
from antiphon.io.audiowrite import AudioWriter, format_of
from antiphon.io.decode import shown
from antiphon.notesound import TimedNote, sound
from antiphon.plugins import load
from antiphon_hum.notes import Listener, Note

LOWEST_RATE = 22050
"""Hz: what is sampled more slowly is heard at `HEARD_RATE`, so that a hop is as short as in other sounds."""
HEARD_RATE = 48000
LISTENED = 0.4
"""Part of the work that listening is told as."""


def run(job: FileJob) -> None:
    """source: a sound.  target: a sound of its rate, channels and length.  midi_out: the notes as they were sung."""
    if job.analysis is not None:
        raise UsageError("hum writes no analysis; leave --analysis out")
    if job.midi_out is not None and job.midi_out.absolute() in (job.source.absolute(), job.target.absolute()):
        raise UsageError(f"--midi-out {shown(job.midi_out)} is IN or OUT as well; give it a name of its own")
    format_of(job.target)
    with stream(job.source) as (info, _):
        rate, channels, subtype = info.rate, info.channels, info.subtype
    with AudioWriter(job.target, rate, channels, subtype) as writer:
        notes, frames = listened(job, rate)
        played = [TimedNote(n.start, n.end, n.number, n.velocity) for n in notes]
        for block in sound(played, frames, rate, load(check=False), channels=channels, block=job.block):
            writer.write(block)
            job.progress(LISTENED + (1.0 - LISTENED) * writer.frames / max(1, frames))
        if not notes:
            complain(f"{shown(job.source)}: no note is heard in it; {writer.name} is silent")
        if job.midi_out is not None:
            write_notes(job.midi_out, notes, rate, float(job.settings.get("bpm", midifile.DEFAULT_BPM)))
    if writer.clipped:
        complain(f"{writer.name}: {writer.clipped} samples were over full scale and are cut to it")


def listened(job: FileJob, rate: int) -> tuple[list[Note], int]:
    """The notes of the source, in frames at `rate`, its own; and how many frames it has."""
    at = rate if rate >= LOWEST_RATE else HEARD_RATE
    ahead = heard(job, at, (), 0.0).beliefs()
    listener = heard(job, at, ahead, 0.5)
    if at == rate:
        return listener.notes(), listener.frames
    with stream(job.source) as (_, blocks):
        frames = sum(block.shape[1] for block in blocks)
    by = rate / at
    moved = [Note(round(n.start * by), min(frames, round(n.end * by)), n.number, n.velocity) for n in listener.notes()]
    return [n for n in moved if n.end > n.start], frames


def heard(job: FileJob, rate: int, ahead: Sequence[float], done: float) -> Listener:
    """A listener that has heard the source at `rate`. done: part of the listening done before."""
    with stream(job.source, rate=rate) as (info, blocks):
        listener = Listener(rate, info.channels, job.settings, ahead)
        for block in blocks:
            listener.hear(block)
            part = min(1.0, listener.frames / info.frames) if info.frames else 0.0
            job.progress(LISTENED * (done + 0.5 * part))
    return listener


def write_notes(path: Path, notes: Sequence[Note], rate: int, bpm: float) -> None:
    """A MIDI file of one track, by the clock `quantise` goes by. `FileError` where it cannot be written."""
    per_beat = rate * 60.0 / bpm
    told = tuple(midifile.Note(n.start / per_beat, (n.end - n.start) / per_beat, n.number, n.velocity) for n in notes)
    midifile.write(path, [midifile.Track("hum", told, 0)], bpm, 2 * midifile.TICKS)
