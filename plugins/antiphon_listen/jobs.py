"""File jobs `antiphon run summary` and `antiphon run compact`: analyse a song's structure, then play parts of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from antiphon.api import F64, UsageError
from antiphon.api.backends.analysis import ListeningMix
from antiphon.api.backends.files import AudioInfo, AudioWriter, printable_path, stream_sound, write_atomic
from antiphon.api.jobs import FileJob, Written, check_distinct, fade_out
from antiphon_listen import onsets
from antiphon_listen.joining import play_parts
from antiphon_listen.music import MusicRun, SongAnalysis
from antiphon_listen.picture import structure_picture
from antiphon_listen.structure import repeats
from antiphon_listen.structure.sections import Structure
from antiphon_listen.summary import SummaryPart, compact, summary

ANALYSIS_SHARE = 0.8
"""Share of the analysis in the progress."""
_ALMOST = 0.05
"""Maximum excess in seconds of a song over its summary at which it is written whole."""


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
    check_distinct([("IN", job.source)], [("OUT", job.target)])
    info, length, run = hear(job)
    song = run.analysed()
    whole = length / info.rate
    structure = song.structure
    if seconds is not None and whole <= seconds + _ALMOST:
        job.complain(f"{printable_path(job.source)} lasts {whole:.1f} s, and is written whole")
        parts = [SummaryPart(0.0, whole, "song")]
    elif structure is not None:
        parts = choose(structure)
        if seconds is None and len(parts) == len(structure.phrases):
            job.complain(f"no part of {printable_path(job.source)} was found twice; it is written whole")
    else:
        parts = [_loudest(song, whole, seconds)]
        what = "is written whole" if seconds is None else f"its loudest {seconds:g} s are written"
        job.complain(f"no parts were found in {printable_path(job.source)}: it has no beat, or is too short; {what}")
    written = _play(job, info, length, parts)
    if structure is not None and any(part.name == "chorus" for part in parts):
        written = replace(written, found=(*written.found, f"chorus {structure.certain:.0%} sure"))
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
        write_atomic(job.beside["picture"], structure_picture(_rows(song), structure, parts))
        made.append(Written(job.beside["picture"], f"the bars of {printable_path(job.source)}, unlike is bright"))
    return tuple(made)


def hear(job: FileJob) -> tuple[AudioInfo, int, MusicRun]:
    """Reads the sound once: its header, number of frames, and a run that was fed with it."""
    run, mix = MusicRun(), ListeningMix()
    with stream_sound(job.source, rate=onsets.RATE) as (info, blocks):
        total = max(1, info.frames or 1) * onsets.RATE / info.rate
        done = 0
        for block in blocks:
            run.feed(mix.take(block)[None])
            done += block.shape[1]
            job.progress(min(1.0, done / total) * ANALYSIS_SHARE)
    if mix.cancelled:
        job.complain(f"{printable_path(job.source)}: {ListeningMix.CANCELLED}")
    length = info.frames or round(done * info.rate / onsets.RATE)
    return info, length, run


def _loudest(song: SongAnalysis, whole: float, seconds: float | None) -> SummaryPart:
    """Loudest segment, without known parts."""
    if seconds is None or song.curves is None:
        return SummaryPart(0.0, whole if seconds is None else seconds, "song")
    level = song.curves.notes.sum(axis=1)
    size = max(1, min(len(level) - 1, round(seconds / whole * len(level))))
    total = np.concatenate([[0.0], np.cumsum(level, dtype=np.float64)])
    start = min(float(np.argmax(total[size:] - total[:-size])) / len(level) * whole, whole - seconds)
    return SummaryPart(start, start + seconds, "loudest")


def _rows(song: SongAnalysis) -> F64:
    if song.curves is None or song.grid is None:
        return np.zeros((0, 1))
    return repeats.beat_rows(song.curves, song.grid.beats)


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
