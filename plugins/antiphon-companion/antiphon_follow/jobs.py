"""File job `antiphon run follow PERF OUT.csv`: writes the beats of a performance, each as estimated at its time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from antiphon.api import F32, FileError, Samples, UsageError
from antiphon.api.backends.analysis import ListeningMix
from antiphon.api.backends.files import (
    AudioWriter,
    MidiNote,
    MidiTimes,
    MidiTrack,
    printable_path,
    read_midi,
    stream_sound,
    write_atomic,
    write_midi,
)
from antiphon.api.jobs import FileJob, Written, is_midi, spell, spell_parameter
from antiphon_follow.clock import BeatCounter, meters_of, range_of
from antiphon_follow.evidence import FRAMES_PER_SECOND as SOUND_FRAMES, RATE
from antiphon_follow.notes import FRAMES_PER_SECOND, NoteBeats
from antiphon_follow.score import performance, read_followed
from antiphon_follow.score_follower import ScoreFollower
from antiphon_follow.sound import BEHIND, SoundBeats
from antiphon_follow.sound_notes import SoundNote, SoundNotes

_TAIL_SECONDS = 1.0
"""Seconds for which beats continue after the last note of a MIDI file."""
_CLICK_RATE, _CLICK_SECONDS, _CLICK_LEVEL, _CLICK_HZ = 48000, 0.03, 0.35, (1600.0, 1000.0)
"""Sample rate of a click with a MIDI file; length, level and pitches (first beat of a bar, other beats) of a click."""
_TONE_SECONDS = 0.6
"""Length in seconds of a MIDI file's notes when rendered with a click."""
_DOWNBEAT, _BEAT, _DRUMS = 76, 77, 10
"""High and low wood block of a General MIDI drum kit, and its channel."""
_LEAST_PERIOD = 60.0 / 999.0
_LEAST_FIT = 0.6
"""Minimum share of a MIDI file's notes that the score has at their position: pianists .88 or more, other scores .35."""

Row = tuple[float, float, int]
"""Time in seconds, beat, and beats per bar."""


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes `time,beat` lines (.csv) or the beats as notes with a tempo map (.mid), and a click if requested.

    Raises UsageError: OUT is of another kind, or no beat was found. Raises FileError: a file cannot be read or written.
    """
    ending = job.target.suffix.lower()
    if ending != ".csv" and not is_midi(job.target, written=True):
        raise UsageError(f"follow writes .csv or .mid, not {job.target.suffix or 'a file without an ending'}")
    click = job.beside.get("click")
    if click is not None and click.suffix.lower() != ".wav":
        raise FileError(f"cannot write {printable_path(click)}: {spell('click')} ends in .wav")
    score = str(job.settings.get("score", ""))
    if score:
        return _run_score(job, Path(score))
    job.uses("range", "meter", "confidence")
    limits, meters = (
        range_of(str(job.settings.get("range", "50-200"))),
        meters_of(str(job.settings.get("meter", "auto"))),
    )
    confidence = float(job.settings.get("confidence", 0.35))
    notes = is_midi(job.source)
    rows = list(
        _of_notes(job, limits, meters, confidence) if notes else _track_sound_beats(job, limits, meters, confidence)
    )
    name = printable_path(job.source)
    if not rows:
        raise UsageError(f"{name} has no beat that follow is sure of; choose another file, or a lower confidence")
    beats = crossings(rows)
    if ending == ".csv":
        lines = "".join(f"{at:.4f},{beat:.4f}\n" for at, beat, _ in rows)
        write_atomic(job.target, f"time,beat\n{lines}".encode())
    else:
        _write_beats(job.target, beats)
    found = (f"{len(beats)} beats",)
    made = [Written(job.target, name, rows[-1][0], found=found)]
    if click is not None:
        made.append(_write_click(job, click, beats, notes=notes))
    return tuple(made)


def _run_score(job: FileJob, path: Path) -> tuple[Written, ...]:
    """Writes `time,beat` lines of a performance, beat in quarters from the score's start."""
    if job.target.suffix.lower() != ".csv" or job.beside:
        out, click = spell("target"), spell("click")
        raise UsageError(f"follow with a score writes .csv alone; name such a file {out}, without {click}")
    job.uses("score", "part")
    score, part, notes_in = read_followed(path), str(job.settings.get("part", "")), is_midi(job.source)
    follower = ScoreFollower(score, score.part_indices(part) if part else ())
    lines, at, played, fits = [], 0.0, 0, 0
    for at, notes in _notes_of_midi(job.source) if notes_in else _notes_of_sound(job):
        for note in notes:
            if notes_in:
                follower.note(note.at, note.number)
            else:
                follower.hear(note.at, note.number, note.sure)
            if notes_in and follower.begun:
                played += 1
                fits += note.number in follower.onsets[follower.onset].numbers
        if follower.begun:
            lines.append(f"{at:.4f},{follower.position_at(at).quarter:.4f}\n")
    if not lines:
        fault = "holds no notes, so there is nobody to follow" if notes_in else "has no notes that begin the score"
        raise UsageError(f"{printable_path(job.source)} {fault}")
    write_atomic(job.target, f"time,beat\n{''.join(lines)}".encode())
    if fits < _LEAST_FIT * played:
        job.complain(
            f"{fits / played:.0%} of the notes of {printable_path(job.source)} are where the score has them; is it "
            f"this score, and are these the parts that are played ({spell_parameter('part', '')})?"
        )
    found = (f"to beat {float(lines[-1].split(',')[1]):.0f} of {score.length:.0f}",)
    return (Written(job.target, printable_path(job.source), at, found=found),)


def _notes_of_midi(path: Path) -> Iterator[tuple[float, list[SoundNote]]]:
    """Yields, frame by frame, the time in seconds and the new notes of a MIDI file."""
    notes, place = performance(path), 0
    for frame in range(math.ceil((notes[-1][0] + _TAIL_SECONDS) * SOUND_FRAMES) if notes else 0):
        at, first = (frame + 1) / SOUND_FRAMES, place
        while place < len(notes) and notes[place][0] < at:
            place += 1
        yield at, [SoundNote(begun, number) for begun, number, _ in notes[first:place]]


def _notes_of_sound(job: FileJob) -> Iterator[tuple[float, list[SoundNote]]]:
    """Yields the same for the notes of a sound, each at the time of its detection."""
    if not job.source.is_file():
        raise UsageError(f"follow takes one file of sound or notes, and {printable_path(job.source)} is none")
    found, mix, done = SoundNotes(), ListeningMix(), 0
    with stream_sound(job.source, rate=RATE) as (info, blocks):
        total = max(1, info.frames or 1) * RATE / info.rate
        for block in blocks:
            mono = mix.take(block)
            for first in range(0, len(mono), _PIECE):
                piece = np.asarray(mono[first : first + _PIECE], np.float32)
                done += len(piece)
                yield done / RATE, found.feed(piece)
            job.progress(min(1.0, done / total))


def _of_notes(job: FileJob, limits: tuple[float, float], meters: tuple[int, ...], confidence: float) -> Iterator[Row]:
    """Lines of a MIDI file's notes; drums count as the other parts do."""
    notes = _read_note_onsets(job.source)
    if not notes:
        raise UsageError(f"{printable_path(job.source)} holds no notes, so there is nobody to follow")
    follower, count, place = NoteBeats(*limits, meters), BeatCounter(confidence, *limits), 0
    frames = math.ceil((notes[-1][0] + _TAIL_SECONDS) * FRAMES_PER_SECOND)
    for frame in range(frames):
        end = (frame + 1) / FRAMES_PER_SECOND
        while place < len(notes) and notes[place][0] < end:
            follower.note(*notes[place])
            place += 1
        follower.step()
        follower.filter.read()
        count.advance(1.0 / FRAMES_PER_SECOND, follower.filter, 0.0)
        if count.known:
            yield end, count.beat, count.meter
        if frame % 100 == 0:
            job.progress(frame / frames)


def _read_note_onsets(path: Path) -> list[tuple[float, int, float]]:
    """(seconds, number, velocity to 1) of all notes of a MIDI file, drums too, in order."""
    song = read_midi(path)
    times = MidiTimes(song.tempo)
    return sorted((times.seconds(n.start), n.number, n.velocity) for track in song.tracks for n in track.notes)


def _track_sound_beats(
    job: FileJob, limits: tuple[float, float], meters: tuple[int, ...], confidence: float
) -> Iterator[Row]:
    """Lines of a sound, each when its frame is known."""
    if not job.source.is_file():
        raise UsageError(f"follow takes one file of sound or notes, and {printable_path(job.source)} is none")
    follower, count, mix = SoundBeats(*limits, meters), BeatCounter(confidence, *limits), ListeningMix()
    with stream_sound(job.source, rate=RATE) as (info, blocks):
        total, done = max(1, info.frames or 1) * RATE / info.rate, 0
        for block in blocks:
            mono = mix.take(block)
            for first in range(0, len(mono), _PIECE):
                for _ in range(follower.feed(np.asarray(mono[first : first + _PIECE], np.float32))):
                    follower.filter.read()
                    if not follower.heard:
                        follower.filter.sureness = 0.0
                    count.advance(1.0 / SOUND_FRAMES, follower.filter, BEHIND)
                    if count.known:
                        yield follower.seconds + BEHIND, count.beat, count.meter
            done += block.shape[1]
            job.progress(min(1.0, done / total))


_PIECE = 220
"""Samples processed at a time: less than a frame's hop, so that each frame is read."""


def crossings(rows: list[Row]) -> list[tuple[float, float, bool]]:
    """(seconds, beat, whether it begins a bar) of the whole beats that the lines pass."""
    found: list[tuple[float, float, bool]] = []
    for (at, beat, _), (after, following, meter) in pairwise(rows):
        whole = math.floor(following)
        if whole > math.floor(beat):
            share = min(1.0, (math.floor(beat) + 1.0 - beat) / (following - beat))
            found.append((at + (after - at) * share, float(whole), whole % meter == 0))
    return found


def _write_beats(path: Path, beats: list[tuple[float, float, bool]]) -> None:
    """Writes beats as notes of a drum kit, one per beat of the file, with a tempo map that matches their times."""
    if len(beats) < 2:
        raise UsageError("fewer than two beats were found, which is no tempo; choose a longer file")
    seconds = np.array([at for at, _, _ in beats])
    lead = max(1, round(seconds[0] / max(_LEAST_PERIOD, seconds[1] - seconds[0])))
    periods = np.maximum(_LEAST_PERIOD, np.diff(seconds))
    tempo = [(0.0, 60.0 * lead / max(seconds[0], lead * _LEAST_PERIOD))]
    tempo += [(float(lead + n), float(60.0 / period)) for n, period in enumerate(periods)]
    notes = tuple(
        MidiNote(float(lead + n), 0.1, _DOWNBEAT if first else _BEAT, 1.0 if first else 0.7, _DRUMS)
        for n, (_, _, first) in enumerate(beats)
    )
    write_midi(path, [MidiTrack("beats", notes)], tempo)


def _write_click(job: FileJob, path: Path, beats: list[tuple[float, float, bool]], *, notes: bool) -> Written:
    """Writes the performance with a click on each beat, limited as rendered notes are; MIDI notes are plain tones."""
    finish = job.finish.from_notes(level=False)
    if notes:
        played = _read_note_onsets(job.source)
        frames = math.ceil((max(played[-1][0], beats[-1][0] if beats else 0.0) + _TAIL_SECONDS) * _CLICK_RATE)
        with AudioWriter(path, _CLICK_RATE, 1, "", finish) as writer:
            writer.write((tones(played, _CLICK_RATE, frames) + clicks(beats, _CLICK_RATE, 0, frames))[None])
        return Written.sound(writer, printable_path(job.source))
    done = 0
    with (
        stream_sound(job.source) as (info, blocks),
        AudioWriter(path, info.rate, info.channels, info.subtype, finish) as writer,
    ):
        for block in blocks:
            mixed: Samples = block + clicks(beats, info.rate, done, block.shape[1])[None]
            writer.write(mixed)
            done += block.shape[1]
    return Written.sound(writer, printable_path(job.source))


def clicks(beats: list[tuple[float, float, bool]], rate: int, first: int, frames: int) -> F32:
    """Frames `first` on of a click at each beat."""
    out, size = np.zeros(frames, np.float32), round(_CLICK_SECONDS * rate)
    time = np.arange(size) / rate
    sounds = [_CLICK_LEVEL * np.exp(-time * 150.0) * np.sin(2.0 * np.pi * hertz * time) for hertz in _CLICK_HZ]
    for at, _, downbeat in beats:
        begin = round(at * rate) - first
        if -size < begin < frames:
            sound = sounds[0 if downbeat else 1]
            low, high = max(0, begin), min(frames, begin + size)
            out[low:high] += sound[low - begin : high - begin]
    return out


def tones(notes: list[tuple[float, int, float]], rate: int, frames: int) -> F32:
    """Returns notes rendered as decaying tones with a peak of 0.25."""
    out, time = np.zeros(frames), np.arange(round(_TONE_SECONDS * rate)) / rate
    fade = np.minimum(1.0, 200.0 * time) * np.exp(-6.0 * time)
    for at, number, velocity in notes:
        part = out[round(at * rate) :][: len(time)]
        hertz = 440.0 * 2.0 ** ((number - 69) / 12.0)
        part += (velocity * fade * np.sin(2.0 * np.pi * hertz * time))[: len(part)]
    return np.asarray(0.25 * out / max(1e-6, float(np.abs(out).max())), np.float32)
