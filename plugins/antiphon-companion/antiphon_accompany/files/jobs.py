"""The file job `antiphon run accompany melody.mid out.mid`: the melody with the parts of a band."""

import json
import tempfile
from pathlib import Path

from antiphon.api import UsageError
from antiphon.api.backends.files import (
    CHORD_SUFFIXES,
    MUSICXML_SUFFIXES,
    MidiNote,
    MidiTrack,
    format_of,
    printable_path,
    read_musicxml,
    write_atomic,
    write_midi,
)
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
        job: `source` is a MIDI file, a score in MusicXML or a recording of one voice; `target` a MIDI file or, of a
            recording, a sound: the recording with the band beneath it. A report has the key and each beat: {"key":
            "Am", "chords": [[0.0, "A:min"], …]}.

    Raises:
        UsageError: The files or options do not go together.
        FileError: A file cannot be read or written.
    """
    score = job.source.suffix.lower() in MUSICXML_SUFFIXES
    heard, to_sound = not (score or is_midi(job.source)), not is_midi(job.target, written=True)
    if to_sound and not heard:
        raise UsageError(
            "accompany writes MIDI of MIDI files and scores: OUT must end in .mid or .midi; antiphon run synth plays it"
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
        if score:
            source = Path(folder) / job.source.name
            write_score(job.source, source)
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


def write_score(score: Path, target: Path) -> None:
    """Writes a score in MusicXML as a MIDI file: a track for each staff, and the bars as they are played.

    Bars that a repeat divides are one. Raises FileError: the score cannot be read.
    """
    read = read_musicxml(score)
    tracks = []
    for place, part in enumerate(part for part in read.parts if part.notes):
        own = place % 15 + 1
        for staff in sorted({note.staff for note in part.notes}):
            notes = (
                MidiNote(note.start, note.length, note.number, channel=10 if note.drum else own + (own > 9))
                for note in part.notes
                if note.staff == staff and note.length
            )
            tracks.append(MidiTrack(part.name, tuple(notes), part.program))
    bars: list[tuple[float, float, int]] = []
    for one in read.measures:
        upper, lower = one.meter
        if bars and bars[-1][1] < 4.0 * upper / lower >= bars[-1][1] + one.length - 1e-6:
            bars[-1] = (bars[-1][0], bars[-1][1] + one.length, lower)
        else:
            bars.append((one.start, one.length, lower))
    signatures: list[tuple[float, int, int]] = []
    for start, length, written in bars:
        lower = next((n for n in (written, 8, 16, 32) if n >= written and (length * n / 4.0).is_integer()), 64)
        upper = max(1, round(length * lower / 4.0))
        if not signatures or signatures[-1][1:] != (upper, lower):
            signatures.append((start, upper, lower))
    lyrics = [(note.start, "lyrics", note.syllable) for part in read.parts for note in part.notes if note.syllable]
    write_midi(target, tracks, read.tempo, signatures=signatures, texts=lyrics)


def check_texts(parts: str, chords: str) -> None:
    """Checks texts that are otherwise read after melody extraction, which takes minutes on a recording.

    Raises PluginError: `parts` names what is none. Raises UsageError: `chords`, "" for none, has what is no chord.
    """
    parts_of(parts)
    if chords and chords != FILE:
        spans_of(chords, 4.0, float)
