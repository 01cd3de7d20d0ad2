"""The file job `antiphon run accompany`: adds a band to a melody, from notes or from a recording by way of `hum`."""

import json
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from antiphon.api import Samples, UsageError
from antiphon.api.backends.analysis import LoudnessMeter, analyse_file, analyses
from antiphon.api.backends.files import (
    CHORD_SUFFIXES,
    AudioWriter,
    MidiNote,
    MidiTrack,
    format_of,
    printable_path,
    read_midi,
    read_sound,
    stream_sound,
    temporary_folder,
    write_atomic,
    write_midi,
)
from antiphon.api.backends.rendering import TimedNote, load_plugins, render_notes, transcribe
from antiphon.api.jobs import FileJob, Written, fade_out, is_midi, spell
from antiphon.kernel.runtime.terms import spell_call
from antiphon_accompany.band.parts import BeatNote
from antiphon_accompany.band.styles import parts_of
from antiphon_accompany.files.file_chords import FILE
from antiphon_accompany.files.midifiles import accompany_midi
from antiphon_accompany.files.offline import PartLevel
from antiphon_accompany.harmony.chords import label
from antiphon_accompany.harmony.chordtext import spans_of, text_of

MAX_SECONDS = 1200.0
"""Maximum length of a recording in seconds."""
TAIL_SECONDS = 1.5
"""Seconds rendered after the last note."""
INSTRUMENTS = {"piano": "piano", "guitar": "pluck", "bass": "bass", "drums": "drums", "pad": "pad"}
LEVELS = {"piano": -1.0, "guitar": -2.5, "bass": -4.5, "drums": 0.0, "pad": -5.5}
"""Level of each part in dB at which the band has `BAND` LUFS. The patch `bandstand` plays each 1.5 dB lower."""
BAND, BENEATH = -19.5, 3.0
"""Loudness of the band alone in LUFS, and its level in LU below the recording."""
_MIN_LUFS = -40.0
"""Lower bound of a recording's loudness, in LUFS, when the level of the band is set."""
_MAX_SILENT = 0.3
"""Maximum share without a chord of a recording with harmony: solo voices have .49 and more, bands up to .13."""
_TEMPO = 100.0
"""Tempo in bpm of a recording without a beat."""
_MIN_NOTES = 5
"""Minimum number of notes from which a tempo is estimated."""
_BLOCK = 2048


class OwnChords(NamedTuple):
    """Chords of a recording as text lines in seconds, "" for too few, and its tempo in bpm, 0 without a beat."""

    text: str = ""
    tempo: float = 0.0


def melody_of_sound(job: FileJob, folder: Path, own: OwnChords) -> Path:
    """Writes the notes of a recording as a MIDI file in `folder`, at the detected tempo.

    If the recording has chords but no melody, the notes are the roots of the chords. Raises UsageError: no processor
    transcribes it, or no note was found.
    """
    melody = folder / f"{job.source.stem}.mid"  # what is wrong with it is said of that name
    try:
        # the grid tells the tempo; the notes themselves stay where they were sung
        grid = read_midi(transcribe(job.source, folder / "grid.mid", {"quantise": "1/8"}))
        if sum(len(track.notes) for track in grid.tracks) < _MIN_NOTES:
            _complain_of_tempo(job, grid.tempo[0][1], "has too few notes for a tempo")
        return transcribe(job.source, melody, {"bpm": grid.tempo[0][1]})
    except UsageError:
        if not own.text:
            raise
    if not own.tempo:
        _complain_of_tempo(job, _TEMPO, "has no beat that is heard")
    beat = 60.0 / (own.tempo or _TEMPO)
    spans = [span for span in spans_of(own.text, 4.0, lambda second: second / beat) if span.chord]
    roots = [MidiNote(s.start, s.end - s.start, 60 + s.chord.root, 0.6) for s in spans if s.chord]
    write_midi(melody, [MidiTrack("melody", tuple(roots), 0)], own.tempo or _TEMPO)
    return melody


def _complain_of_tempo(job: FileJob, tempo: float, why: str) -> None:
    job.complain(
        f"{printable_path(job.source)} {why}: the band plays at {tempo:g} bpm; for another one write its notes by "
        f"{spell_call('run', 'hum', 'IN', 'NOTES.mid', bpm='…')} and accompany those"
    )


def detect_sound_chords(source: Path) -> OwnChords:
    """Chords of a recording; none for a solo voice, or without an analysis. Raises FileError: it cannot be read."""
    found = analyse_file(os.fsencode(source), ["music"])["music"][1] or {} if "music" in analyses() else {}
    spans = found.get("chords") or []
    silent = sum(end - start for start, end, label in spans if label == "N")
    if not spans or silent > _MAX_SILENT * spans[-1][1]:
        return OwnChords()
    text = "".join(f"{start:.6f} {end:.6f} {label}\n" for start, end, label in spans)
    return OwnChords(text, found.get("tempo") or 0.0)


def write_band(job: FileJob, notes: list[BeatNote], mixes: Sequence[PartLevel], tempo: float) -> AudioWriter:
    """Writes the recording mixed with the band; returns its writer.

    `job`: `source` is the recording, `target` the sound. `notes`: the band's, in beats from the recording's beginning.
    `mixes`: levels of parts. `tempo`: beats a minute.
    """
    with stream_sound(job.source) as (info, _):
        rate = job.rate_beside(info.rate)
    sound = read_sound(job.source, rate=rate)
    channels = min(2, sound.samples.shape[0])
    if sound.samples.shape[1] > MAX_SECONDS * rate:
        raise UsageError(f"{job.source.name} is longer than {MAX_SECONDS / 60:g} minutes; cut it, or write a MIDI file")
    per_beat = rate * 60.0 / tempo
    last = max((note.end for note in notes), default=0.0) * per_beat
    frames = max(sound.samples.shape[1], round(last + TAIL_SECONDS * rate))
    mixed = np.zeros((channels, frames), np.float32)
    mixed[:, : sound.samples.shape[1]] = sound.samples[:channels]
    loaded = load_plugins(check=False)
    meter = LoudnessMeter(rate, channels)
    meter.feed(mixed)
    beneath = max(_MIN_LUFS, meter.integrated_loudness()) - BENEATH - BAND
    parts = sorted({note.part for note in notes})
    for number, part in enumerate(parts):
        own = [n for n in notes if n.part == part]
        levels = [(mix.beat * per_beat, LEVELS[part] + mix.mix + beneath) for mix in mixes if mix.part == part]
        levels = levels or [(0.0, LEVELS[part] + beneath)]
        timed = [TimedNote(round(n.start * per_beat), round(n.end * per_beat), n.pitch, n.velocity) for n in own]
        _add(mixed, render_notes(timed, frames, rate, loaded, INSTRUMENTS[part], channels, _BLOCK), levels)
        job.progress((number + 1) / (len(parts) + 1))
    with AudioWriter(job.target, rate, channels, "PCM_16", job.finish.from_notes()) as writer:
        for block in fade_out((mixed[:, at : at + _BLOCK] for at in range(0, frames, _BLOCK)), rate, job.fade):
            writer.write(block)
    return writer


def _add(mixed: Samples, blocks: Iterator[Samples], levels: Sequence[tuple[float, float]]) -> None:
    """Mixes in sound. `levels`: (frame, dB) pairs; each level is reached by a ramp of one block from its frame."""
    frames = np.maximum.accumulate([frame + late for frame, _ in levels for late in (0.0, _BLOCK)])
    edges = [level for pair in pairwise([levels[0][1], *(level for _, level in levels)]) for level in pair]
    gains, at = 10.0 ** (np.array(edges) / 20.0), 0
    for block in blocks:
        size = block.shape[1]
        mixed[:, at : at + size] += np.interp(np.arange(at, at + size), frames, gains).astype(np.float32) * block
        at += size


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
    heard, to_sound = not is_midi(job.source), not is_midi(job.target, written=True)
    if to_sound and not heard:
        hint = f"{spell('target')} must end in .mid or .midi; {spell_call('run', 'synth')} plays it"
        raise UsageError(f"accompany writes MIDI of MIDI files and scores: {hint}")
    if to_sound:
        format_of(job.target)
    chords_out = job.beside.get("chords-out")
    if chords_out is not None and chords_out.suffix.lower() not in CHORDS_OUT:
        raise UsageError(
            f"{spell('chords_out')} ends in {' or '.join(CHORDS_OUT)}, not {chords_out.suffix or 'nothing'}"
        )
    given = job.given.get("chords", "") or str(job.settings.get("chords", ""))
    text = text_of(given) if given and given != FILE else given
    check_texts(str(job.settings.get("parts", "piano")), text)
    with temporary_folder() as folder:
        own = detect_sound_chords(job.source) if heard and not text else OwnChords()
        source = melody_of_sound(job, Path(folder), own) if heard else job.source
        target = Path(folder) / "band.mid" if to_sound else job.target
        summary = accompany_midi(source, target, job.settings, text or own.text, job.fires, heard)
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
    """Checks texts that are otherwise read only after the melody is extracted, which takes minutes on a recording.

    Raises PluginError: `parts` has an unknown part. Raises UsageError: `chords` ("" for none) has an unreadable chord.
    """
    parts_of(parts)
    if chords and chords != FILE:
        spans_of(chords, 4.0, float)
