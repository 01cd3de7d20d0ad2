"""`antiphon run accompany melody.mid out.mid`: the melody as it is, and a piano under it."""

from __future__ import annotations

from antiphon.errors import UsageError
from antiphon.io.decode import shown
from antiphon.io.midifile import SUFFIXES
from antiphon.offline.file_job import FileJob
from antiphon.offline.output_summary import Written
from antiphon_accompany.midifiles import accompany_midi


def run(job: FileJob) -> tuple[Written, ...]:
    """source, target: MIDI files."""
    if job.midi_out is not None or job.analysis is not None:
        raise UsageError("accompany writes one MIDI file, OUT; leave --midi-out and --analysis out")
    if job.target.suffix.lower() not in SUFFIXES:
        raise UsageError(f"accompany writes MIDI: OUT must end in {' or '.join(SUFFIXES)}")
    made = accompany_midi(job.source, job.target, job.settings)
    job.progress(1.0)
    bars = "1 bar" if made.bars == 1 else f"{made.bars} bars"
    found = (f"{len(made.notes)} notes added", made.key, f"{bars} at {made.tempo:.4g} bpm")
    return (Written(job.target, shown(job.source), made.seconds, found=found),)
