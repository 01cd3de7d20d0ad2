"""The file job `antiphon run accompany melody.mid out.mid`: the melody with a piano accompaniment."""

from __future__ import annotations

import json

from antiphon.api import UsageError
from antiphon.api.files import MIDI_SUFFIXES, printable_path, write_atomic
from antiphon.api.jobs import FileJob, Written
from antiphon_accompany.chords import label
from antiphon_accompany.midifiles import accompany_midi


def run(job: FileJob) -> tuple[Written, ...]:
    """source, target: MIDI files; a report has the key and each beat: {"key": "Am", "chords": [[0.0, "A:min"], …]}."""
    if job.target.suffix.lower() not in MIDI_SUFFIXES:
        raise UsageError(f"accompany writes MIDI: OUT must end in {' or '.join(MIDI_SUFFIXES)}")
    summary = accompany_midi(job.source, job.target, job.settings)
    job.progress(1.0)
    bars = "1 bar" if summary.bars == 1 else f"{summary.bars} bars"
    lines = (f"{len(summary.notes)} notes added", summary.key, f"{bars} at {summary.tempo:.4g} bpm")
    made = (Written(job.target, printable_path(job.source), summary.seconds, found=lines),)
    if "report" not in job.beside:
        return made
    chords = [[round(beat, 4), label(chord)] for beat, chord in summary.chords if chord >= 0]
    write_atomic(job.beside["report"], (json.dumps({"key": summary.key, "chords": chords}) + "\n").encode())
    return (*made, Written(job.beside["report"], f"the chords of {len(chords)} beats"))
