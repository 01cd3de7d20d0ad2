"""File job `antiphon run listen song.wav song.mid`: the chords, roots or beats of a whole recording as notes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from antiphon.api import SHARP_NAMES, UsageError
from antiphon.api.backends.files import (
    CHORD_SUFFIXES,
    MidiNote,
    MidiTrack,
    chord_text,
    printable_path,
    write_atomic,
    write_midi,
)
from antiphon.api.jobs import FileJob, Written, check_distinct, is_midi
from antiphon_listen.chords.song_chords import DEGREES, TONES, SongChords
from antiphon_listen.jobs import hear
from antiphon_listen.live.processor import BEAT, CLICK, DOWNBEAT
from antiphon_listen.music import SongAnalysis

_TEMPO = 120.0
"""bpm of the file where no beat is found."""
_LOUDER = 1.25


def write_notes(job: FileJob) -> tuple[Written, ...]:
    """Writes what `play` names as MIDI, and the chords as lines or JAMS where asked for.

    Raises UsageError: the options do not go together, or nothing was found. Raises FileError: a file cannot be read or
    written.
    """
    chords_out = job.beside.get("chords-out")
    if not is_midi(job.target):
        raise UsageError("listen writes MIDI: OUT must end in .mid; --chords-out writes the chords as .lab or .jams")
    if chords_out is not None and chords_out.suffix.lower() not in CHORD_SUFFIXES:
        raise UsageError(
            f"--chords-out of listen ends in {', '.join(CHORD_SUFFIXES[:-1])} or {CHORD_SUFFIXES[-1]}, not "
            f"{chords_out.suffix or 'nothing'}"
        )
    check_distinct([("IN", job.source)], [("OUT", job.target)])
    (_, _, run), name = hear(job), printable_path(job.source)
    song = run.analysed()
    chords = run.chords(song)
    play = str(job.settings.get("play", "chords"))
    if chords is None or (play == "beats" and song.grid is None):
        raise UsageError(
            f"{name} is silent or has no beat: there is nothing to play; choose another file or play=chords"
        )
    octave, loud = int(job.settings.get("octave", 4)), float(job.settings.get("velocity", 0.6))
    seconds = song.curves.seconds if song.curves is not None else 0.0
    timed = (
        [] if play == "off" else _beats(song, loud) if play == "beats" else _chords(chords, song, play, octave, loud)
    )
    tempo = _TEMPO if song.grid is None else song.grid.tempo
    beat = 60.0 / tempo
    notes = tuple(MidiNote(start / beat, (end - start) / beat, key, level) for start, end, key, level in timed)
    write_midi(job.target, [MidiTrack(play, notes, 9 if play == "beats" else 0)], tempo)
    named = sum(label != "N" for _, _, label in chords.spans)
    found = (f"{named} chords, confidence {chords.confidence:.2f}", f"{tempo:.1f} bpm" if song.grid else "no beat")
    made = [Written(job.target, name, seconds, notes=len(notes), found=found)]
    if chords_out is not None:
        text = chord_text(chords_out.suffix.lower(), chords.spans, seconds, job.source.stem, "Antiphon listen")
        write_atomic(chords_out, text.encode())
        made.append(Written(chords_out, f"the chords of {name}"))
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
        base = SHARP_NAMES.index(root) + 12 * (octave + 1)
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
