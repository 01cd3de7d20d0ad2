"""The file job `antiphon run accompany melody.mid out.mid`: the melody with the parts of a band."""

import json
import tempfile
from pathlib import Path

from antiphon.api import UsageError
from antiphon.api.backends.files import CHORD_SUFFIXES, format_of, printable_path, write_atomic
from antiphon.api.jobs import FileJob, Written, is_midi
from antiphon_accompany.band.styles import parts_of
from antiphon_accompany.files.file_chords import FILE
from antiphon_accompany.files.midifiles import accompany_midi
from antiphon_accompany.files.recording import OwnChords, chords_of_sound, melody_of_sound, write_band
from antiphon_accompany.harmony.chords import label
from antiphon_accompany.harmony.chordtext import spans_of, text_of

CHORDS_OUT = (*CHORD_SUFFIXES, ".musicxml")
"""Suffixes of chord files: lines, JAMS, MusicXML."""


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes a melody with the parts of a band.

    Args:
        job: `source` is a MIDI file or a recording of one voice; `target` a MIDI file or, of a recording, a sound: the
            recording with the band beneath it. A report has the key and each beat: {"key": "Am", "chords": [[0.0,
            "A:min"], …]}.

    Raises:
        UsageError: The files or options do not go together.
        FileError: A file cannot be read or written.
    """
    heard, to_sound = not is_midi(job.source), not is_midi(job.target, written=True)
    if to_sound and not heard:
        raise UsageError(
            "accompany writes MIDI of a MIDI file: OUT must end in .mid or .midi; antiphon run synth plays it"
        )
    if to_sound:
        format_of(job.target)
    chords_out = job.beside.get("chords-out")
    if chords_out is not None and chords_out.suffix.lower() not in CHORDS_OUT:
        raise UsageError(f"--chords-out ends in {' or '.join(CHORDS_OUT)}, not {chords_out.suffix or 'nothing'}")
    given = job.given.get("chords", "") or str(job.settings.get("chords", ""))
    text = text_of(given) if given and given != FILE else given
    check_texts(str(job.settings.get("parts", "piano")), text)
    with tempfile.TemporaryDirectory() as folder:
        own = chords_of_sound(job.source) if heard and not text else OwnChords()
        source = melody_of_sound(job, Path(folder), own) if heard else job.source
        target = Path(folder) / "band.mid" if to_sound else job.target
        summary = accompany_midi(source, target, job.settings, text or own.text, job.fires)
    writer = write_band(job, summary.notes, summary.mixes, summary.tempo) if to_sound else None
    job.progress(1.0)
    bars = "1 bar" if summary.bars == 1 else f"{summary.bars} bars"
    lines = [f"{len(summary.notes)} notes added", summary.key, f"{bars} at {summary.tempo:.4g} bpm"]
    if own.text:
        lines.append("with the recording's own chords")
    if summary.fitted:
        lines.append(summary.fitted)
    heard_from, found = printable_path(job.source), tuple(lines)
    made = [
        Written.sound(writer, heard_from, found)
        if writer is not None
        else Written(job.target, heard_from, summary.seconds, found=found)
    ]
    if chords_out is not None:
        write_atomic(chords_out, summary.lead(chords_out.suffix.lower()).encode())
        made.append(Written(chords_out, "the chords that were played"))
    if "roll" in job.beside:
        write_atomic(job.beside["roll"], summary.lead(".svg").encode())
        made.append(Written(job.beside["roll"], "a piano roll"))
    if "report" in job.beside:
        chords = [[round(beat, 4), label(chord)] for beat, chord in summary.chords if chord >= 0]
        write_atomic(job.beside["report"], (json.dumps({"key": summary.key, "chords": chords}) + "\n").encode())
        made.append(Written(job.beside["report"], f"the chords of {len(chords)} beats"))
    return tuple(made)


def check_texts(parts: str, chords: str) -> None:
    """Checks texts that are otherwise read after melody extraction, which takes minutes on a recording.

    Raises PluginError: `parts` names what is none. Raises UsageError: `chords`, "" for none, has what is no chord.
    """
    parts_of(parts)
    if chords and chords != FILE:
        spans_of(chords, 4.0, float)
