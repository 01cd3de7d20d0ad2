"""File jobs: `listen song.wav song.mid` writes chords, roots or beats; `summary` and `compact` write song parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from antiphon.api import F64, UsageError
from antiphon.api.backends.analysis import ListeningMix, plain_result
from antiphon.api.backends.files import (
    CHORD_SUFFIXES,
    AudioInfo,
    AudioWriter,
    MidiNote,
    MidiTrack,
    chord_text,
    printable_path,
    stream_sound,
    write_atomic,
    write_midi,
)
from antiphon.api.backends.signal import named_note
from antiphon.api.jobs import FileJob, Written, check_distinct, fade_out, is_midi, spell
from antiphon_listen import phrases, signals, spectra
from antiphon_listen.harmony import DEGREES, TONES, SongChords
from antiphon_listen.music import MusicAnalysis, MusicRun, SongAnalysis
from antiphon_listen.phrases import Structure
from antiphon_listen.processor import BEAT, CLICK, DOWNBEAT
from antiphon_listen.summary import SummaryPart, compact, play_parts, structure_picture, summary

ANALYSIS_SHARE = 0.8
"""Share of the progress that the analysis takes."""
_WHOLE = "song"
"""Name of the part of a song that is written whole."""
_MAX_EXCESS_SECONDS = 0.05
"""Maximum seconds by which a song may exceed its summary and still be written whole."""


def write_summary(job: FileJob) -> tuple[Written, ...]:
    """Writes a summary of `seconds`; a song up to that length is written whole.

    Raises UsageError: the options do not go together. Raises FileError: a file cannot be read or written.
    """
    seconds = float(job.settings.get("seconds", 30.0))

    def choose(structure: Structure) -> list[SummaryPart]:
        return summary(structure, seconds)

    return _write(job, choose, seconds)


def write_compact(job: FileJob) -> tuple[Written, ...]:
    """Writes a song with each section once.

    Raises UsageError: the options do not go together. Raises FileError: a file cannot be read or written.
    """
    return _write(job, compact, None)


def _write(
    job: FileJob, choose: Callable[[Structure], list[SummaryPart]], seconds: float | None
) -> tuple[Written, ...]:
    if not job.source.is_file():
        raise UsageError(f"{job.plugin} takes one sound file, and {printable_path(job.source)} is none")
    check_distinct([(spell("source"), job.source)], [(spell("target"), job.target)])
    info, length, run = hear(job)
    own = run.analyse()
    song, whole = own.convert_to_recording_times(), length / info.rate
    structure = song.structure
    if seconds is not None and whole <= seconds + _MAX_EXCESS_SECONDS:
        job.complain(f"{printable_path(job.source)} lasts {whole:.1f} s, and is written whole")
        parts = [SummaryPart(0.0, whole, _WHOLE)]
    elif structure is not None:
        parts = choose(structure)
        if seconds is None and len(parts) == len(structure.phrases):
            job.complain(f"no part of {printable_path(job.source)} was found twice; it is written whole")
    else:
        parts = [_loudest(song, whole, seconds)]
        what = "is written whole" if seconds is None else f"its loudest {seconds:g} s are written"
        job.complain(f"no parts were found in {printable_path(job.source)}: it has no beat, or is too short; {what}")
    written = _play(job, info, length, parts)
    if structure is not None and parts[0].name != _WHOLE:
        chorus = any(phrase.name == "chorus" for phrase in structure.phrases)
        sure = f"chorus {structure.certain:.0%} sure" if chorus else "no part was taken for a chorus"
        written = replace(written, found=(*written.found, sure))
    rows = [[round(part.start, 4), round(min(part.end, whole), 4), part.name] for part in parts]
    duration = written.seconds or 0.0
    made = [written]
    if "report" in job.beside:
        sections = [] if structure is None else structure.spans()
        named = [[round(start, 4), round(min(end, whole), 4), name] for start, end, name in sections]
        certain = None if structure is None else round(structure.certain, 4)
        text = json.dumps({"parts": rows, "duration": round(duration, 4), "sections": named, "sure": certain}) + "\n"
        write_atomic(job.beside["report"], text.encode())
        made.append(Written(job.beside["report"], f"the parts of {printable_path(job.source)}"))
    if "picture" in job.beside:
        write_atomic(job.beside["picture"], structure_picture(_rows(own), structure, parts))
        made.append(Written(job.beside["picture"], f"the bars of {printable_path(job.source)}, unlike is bright"))
    return tuple(made)


def hear(job: FileJob) -> tuple[AudioInfo, int, MusicRun]:
    """Reads the sound once: its header, number of frames, and an analysis run that was fed with it."""
    run, mix = MusicRun(), ListeningMix()
    with stream_sound(job.source, rate=signals.RATE) as (info, blocks):
        total = max(1, info.frames or 1) * signals.RATE / info.rate
        done = 0
        for block in blocks:
            run.feed(mix.take(block)[None])
            done += block.shape[1]
            job.progress(min(1.0, done / total) * ANALYSIS_SHARE)
    if mix.cancelled:
        job.complain(f"{printable_path(job.source)}: {ListeningMix.CANCELLED}")
    length = info.frames or round(done * info.rate / signals.RATE)
    return info, length, run


def _loudest(song: SongAnalysis, whole: float, seconds: float | None) -> SummaryPart:
    """Loudest segment, for a song without known parts."""
    if seconds is None or song.curves is None:
        return SummaryPart(0.0, whole if seconds is None else seconds, _WHOLE)
    level = song.curves.notes.sum(axis=1)
    size = max(1, min(len(level) - 1, round(seconds * spectra.FRAMES_PER_SECOND)))
    total = np.concatenate([[0.0], np.cumsum(level, dtype=np.float64)])
    loudest = float(np.argmax(total[size:] - total[:-size])) / spectra.FRAMES_PER_SECOND + song.begin
    start = max(0.0, min(loudest, whole - seconds))
    return SummaryPart(start, start + seconds, "loudest")


def _rows(song: SongAnalysis) -> F64:
    if song.curves is None or song.grid is None:
        return np.zeros((0, 1))
    return phrases.beat_rows(song.curves, song.grid.beats)


def _play(job: FileJob, info: AudioInfo, length: int, parts: Sequence[SummaryPart]) -> Written:
    frames = [(round(part.start * info.rate), min(length, round(part.end * info.rate))) for part in parts]
    total = sum(end - start for start, end in frames)
    to_end = frames[-1][1] >= length
    with (
        stream_sound(job.source) as (_, blocks),
        AudioWriter(job.target, info.rate, info.channels, info.subtype, job.finish) as writer,
    ):
        played = play_parts(blocks, frames, info.rate)
        for samples in played if to_end else fade_out(played, info.rate, job.fade):
            writer.write(samples)
            job.progress(ANALYSIS_SHARE + (1.0 - ANALYSIS_SHARE) * min(1.0, writer.frames / max(1, total)))
    return Written.sound(writer, printable_path(job.source), parts=tuple(part.name for part in parts))


_TEMPO = 120.0
"""Tempo in bpm of a file without detected beats."""
_LOUDER = 1.25


def write_notes(job: FileJob) -> tuple[Written, ...]:
    """Writes the notes that `play` names as MIDI, and on request the chords as lines or JAMS, and the analysis `music`.

    Raises UsageError: the options do not go together, or nothing was found. Raises FileError: a file cannot be read or
    written.
    """
    chords_out = job.beside.get("chords-out")
    if not is_midi(job.target):
        hint = f"{spell('chords_out')} writes the chords as .lab or .jams"
        raise UsageError(f"listen writes MIDI: {spell('target')} must end in .mid; {hint}")
    if chords_out is not None and chords_out.suffix.lower() not in CHORD_SUFFIXES:
        raise UsageError(
            f"{spell('chords_out')} of listen ends in {', '.join(CHORD_SUFFIXES[:-1])} or {CHORD_SUFFIXES[-1]}, not "
            f"{chords_out.suffix or 'nothing'}"
        )
    check_distinct([(spell("source"), job.source)], [(spell("target"), job.target)])
    (_, _, run), name = hear(job), printable_path(job.source)
    own = run.analyse()
    song, chords = own.convert_to_recording_times(), run.chords(own)
    play = str(job.settings.get("play", "chords"))
    if chords is None or (play == "beats" and song.grid is None):
        raise UsageError(
            f"{name} is silent or has no beat: there is nothing to play; choose another file or play=chords"
        )
    pitched, sounds = play in ("chords", "roots"), play != "off"
    job.uses("play", *["octave"] * pitched, *["velocity"] * sounds, where=f"on files with play={play}")
    octave, loud = int(job.settings.get("octave", 4)), float(job.settings.get("velocity", 0.6))
    seconds = song.curves.seconds + song.begin if song.curves is not None else 0.0
    timed = (
        [] if play == "off" else _beats(song, loud) if play == "beats" else _chords(chords, song, play, octave, loud)
    )
    tempo = _TEMPO if song.grid is None else song.grid.tempo
    beat = 60.0 / tempo
    notes = tuple(MidiNote(start / beat, (end - start) / beat, key, level) for start, end, key, level in timed)
    write_midi(job.target, [MidiTrack(play, notes, 9 if play == "beats" else 0)], tempo)
    named = sum(label != "N" for _, _, label in chords.spans)
    beaten = f"{tempo:.1f} bpm{f' in {song.meter}' if song.meter else ''}" if song.grid else "no beat"
    found = (f"{named} chords, confidence {chords.confidence:.2f}", beaten)
    made = [Written(job.target, name, seconds, notes=len(notes), found=found)]
    if chords_out is not None:
        text = chord_text(chords_out.suffix.lower(), chords.spans, seconds, job.source.stem, "Antiphon listen")
        write_atomic(chords_out, text.encode())
        made.append(Written(chords_out, f"the chords of {name}"))
    if "analysis" in job.beside:
        stated = plain_result("music", MusicAnalysis(), run.quantities(own, chords))
        write_atomic(job.beside["analysis"], (json.dumps(stated) + "\n").encode())
        made.append(Written(job.beside["analysis"], f"tempo, beats, meter, key, chords and sections of {name}"))
    return tuple(made)


def _chords(
    chords: SongChords, song: SongAnalysis, play: str, octave: int, loud: float
) -> Iterator[tuple[float, float, int, float]]:
    """(start s, end s, note number, velocity) of each chord's notes, the bass lowest, or of roots on beats."""
    beats = np.zeros(0) if song.grid is None else song.grid.beats
    for start, end, label in chords.spans:
        name, _, bass = label.partition("/")
        root, _, kind = name.partition(":")
        if not kind:
            continue
        base = named_note(root) % 12 + 12 * (octave + 1)
        if play == "roots":
            edges = [start, *beats[(beats > start) & (beats < end)], end]
            keys = [(a, b, base) for a, b in pairwise(edges)]
        else:
            low = base + DEGREES.index(bass) - 12 if bass else base
            keys = [(start, end, key) for key in sorted({low, *(base + step for step in TONES[kind])})]
        yield from ((float(a), float(b), min(127, max(0, key)), loud) for a, b, key in keys)


def _beats(song: SongAnalysis, loud: float) -> Iterator[tuple[float, float, int, float]]:
    assert song.grid is not None
    for beat in song.grid.beats:
        first = beat in song.downbeats
        yield (
            float(beat),
            float(beat) + CLICK,
            DOWNBEAT if first else BEAT,
            min(1.0, loud * (_LOUDER if first else 1.0)),
        )
