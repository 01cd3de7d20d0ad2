"""The file job `antiphon run accompany melody.mid out.mid`: the melody with the parts of a band."""

from __future__ import annotations

import json

from antiphon.api import UsageError
from antiphon.api.files import MIDI_SUFFIXES, printable_path, write_atomic
from antiphon.api.jobs import FileJob, Written
from antiphon_accompany.chords import label
from antiphon_accompany.chordtext import text_of
from antiphon_accompany.midifiles import accompany_midi

CHORDS_OUT = (".txt", ".lab", ".musicxml")
"""Endings of a file of chords; those of the last are MusicXML, of the others lines."""


def run(job: FileJob) -> tuple[Written, ...]:
    """source, target: MIDI files; a report has the key and each beat: {"key": "Am", "chords": [[0.0, "A:min"], …]}."""
    if job.target.suffix.lower() not in MIDI_SUFFIXES:
        raise UsageError(f"accompany writes MIDI: OUT must end in {' or '.join(MIDI_SUFFIXES)}")
    chords_out = job.beside.get("chords-out")
    if chords_out is not None and chords_out.suffix.lower() not in CHORDS_OUT:
        raise UsageError(f"--chords-out ends in {' or '.join(CHORDS_OUT)}, not {chords_out.suffix or 'nothing'}")
    given = job.given.get("chords", "") or str(job.settings.get("chords", ""))
    summary = accompany_midi(job.source, job.target, job.settings, text_of(given) if given else "")
    job.progress(1.0)
    bars = "1 bar" if summary.bars == 1 else f"{summary.bars} bars"
    lines = (f"{len(summary.notes)} notes added", summary.key, f"{bars} at {summary.tempo:.4g} bpm")
    made = [Written(job.target, printable_path(job.source), summary.seconds, found=lines)]
    if chords_out is not None:
        write_atomic(chords_out, summary.lead(chords_out.suffix.lower()).encode())
        made.append(Written(chords_out, "the chords that were played"))
    if "report" in job.beside:
        chords = [[round(beat, 4), label(chord)] for beat, chord in summary.chords if chord >= 0]
        write_atomic(job.beside["report"], (json.dumps({"key": summary.key, "chords": chords}) + "\n").encode())
        made.append(Written(job.beside["report"], f"the chords of {len(chords)} beats"))
    return tuple(made)
