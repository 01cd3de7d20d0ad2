"""`antiphon run loops LIBRARY OUT.wav`: analyses what is new, says what is bad, writes the piece."""

from __future__ import annotations

from antiphon.cli.errors import complain
from antiphon.errors import UsageError
from antiphon.filejob import FileJob
from antiphon.io.audiowrite import AudioWriter
from antiphon_loops.library import analyse, write_listing
from antiphon_loops.render import blocks, frames_of

RATE, CHANNELS = 44100, 2
ANALYSED = 0.5
"""Part of the work that analysis is told as."""


def run(job: FileJob) -> None:
    """source: a folder of loops. A file that cannot be read is named and passed over."""
    if job.midi_out is not None:
        raise UsageError("loops writes no MIDI; leave --midi-out out")
    if not job.source.is_dir():
        raise UsageError(f"loops takes a folder of loops, and {str(job.source)!r} is a file")
    found = analyse(job.source, lambda n, of, _name: job.progress(ANALYSED * n / max(1, of)))
    for problem in (*found.problems, *found.doubts):
        complain(problem)
    if job.analysis is not None:
        write_listing(found.loops, job.analysis)
    frames, done = frames_of(job.settings, RATE), 0
    with AudioWriter(job.target, RATE, CHANNELS) as writer:
        for block in blocks(job.source, job.settings, RATE, CHANNELS):
            writer.write(block)
            done += block.shape[1]
            job.progress(ANALYSED + (1.0 - ANALYSED) * done / frames)
