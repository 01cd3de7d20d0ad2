"""`antiphon run accompany melody.mid out.mid`: the melody as it is, and a piano under it."""

from __future__ import annotations

from antiphon.errors import UsageError
from antiphon.filejob import FileJob
from antiphon.io.midifile import SUFFIXES
from antiphon_accompany.midifiles import accompany_midi


def run(job: FileJob) -> None:
    """source, target: MIDI files."""
    if job.midi_out is not None or job.analysis is not None:
        raise UsageError("accompany writes one MIDI file, OUT; leave --midi-out and --analysis out")
    if job.target.suffix.lower() not in SUFFIXES:
        raise UsageError(f"accompany writes MIDI: OUT must end in {' or '.join(SUFFIXES)}")
    accompany_midi(job.source, job.target, job.settings)
    job.progress(1.0)
