"""The file job `antiphon run loops LIBRARY OUT.wav`: analyses new files, reports bad ones, writes the piece."""

from __future__ import annotations

from antiphon.api import UsageError
from antiphon.api.files import AudioWriter, printable_path
from antiphon.api.jobs import FileJob, Written, fade_out
from antiphon_loops.library import analyse, write_listing
from antiphon_loops.render import Piece

RATE, CHANNELS = 44100, 2
ANALYSIS_SHARE = 0.5
"""Share of the progress that the analysis takes."""


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes a piece. A file that cannot be read is named in a warning and skipped.

    Args:
        job: `source` is a folder of loops.

    Raises:
        UsageError: The options do not go together.
        FileError: A file cannot be written.
    """
    if job.midi_out is not None:
        raise UsageError("loops writes no MIDI; leave --midi-out out")
    if not job.source.is_dir():
        raise UsageError(f"loops takes a folder of loops, and {str(job.source)!r} is a file")
    library = analyse(job.source, lambda n, of, _name: job.progress(ANALYSIS_SHARE * n / max(1, of)))
    for problem in (*library.problems, *library.doubts):
        job.complain(problem)
    if job.analysis is not None:
        write_listing(library.loops, job.analysis)
    piece = Piece(job.source, job.settings, RATE, CHANNELS)
    with AudioWriter(job.target, RATE, CHANNELS) as writer:
        for block in fade_out(piece.blocks(), RATE, job.fade):
            writer.write(block)
            job.progress(ANALYSIS_SHARE + (1.0 - ANALYSIS_SHARE) * writer.frames / piece.frames)
    used = piece.used
    bars = "1 bar" if piece.bars == 1 else f"{piece.bars} bars"
    loop_count = "1 loop" if len(used) == 1 else f"{len(used)} loops"
    sound = Written(
        job.target,
        loop_count,
        writer.frames / RATE,
        RATE,
        CHANNELS,
        found=(f"{bars} at {piece.bpm:g} bpm",),
        parts=used,
    )
    if job.analysis is None:
        return (sound,)
    return sound, Written(job.analysis, f"the {len(library.loops)} loops of {printable_path(job.source)}")
