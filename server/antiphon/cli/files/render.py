"""`antiphon render`: a patch over a sound file, with timed events, or a live script, as the engine would play it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from antiphon.cli.files.file_tasks import (
    MAX_FADE,
    MAX_TAIL,
    check_seconds,
    failures,
    gather_tasks,
    hertz,
    play_with,
    sound_suffix,
)
from antiphon.cli.files.finish_options import FinishOptions, finish_of
from antiphon.cli.files.render_options import RenderOptions
from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import complain, endable
from antiphon.files.midifile import SUFFIXES
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.paths import make_folder
from antiphon.kernel.runtime.settings import MAX_BLOCK, MIN_BLOCK, check_cue
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES
from antiphon.offline.file_job import check_distinct, free

if TYPE_CHECKING:
    from antiphon.cli.files.rendering import RenderJob
    from antiphon.files.sound_finish import SoundFinish

MAX_SECONDS = 6 * 3600.0


@by_records
def render(asked: RenderOptions, finishing: FinishOptions) -> None:
    """Render a patch or a live script to a file: the rate of IN, two channels or those of IN if it has more.

    Where a patch plays other pairs (out.3-4), OUT has as many channels.

    Latency is taken out. Without --seconds OUT is longer than IN by the echoes and notes that still sound at its end. A
    MIDI file is played at its tempo by every node that takes notes and that no wire plays.
    """
    from antiphon.offline.script_run import is_script

    if asked.block and not MIN_BLOCK <= asked.block <= MAX_BLOCK:
        raise UsageError(f"--block takes {MIN_BLOCK} to {MAX_BLOCK} frames, not {asked.block}")
    if asked.seconds is not None and not 0.0 <= asked.seconds <= MAX_SECONDS:
        raise UsageError(f"--seconds takes 0 to {MAX_SECONDS:g}, not {asked.seconds:g}")
    check_cue(asked.cue)
    check_seconds("--tail", asked.tail, MAX_TAIL)
    check_seconds("--fade", asked.fade, MAX_FADE)
    finish = finish_of(finishing, hertz(asked.rate))
    if is_script(asked.patch):
        from antiphon.cli.files.render_script import render_script

        render_script(asked, finish)
        return
    for option, value in (("--bars", asked.bars), ("--stems", asked.stems), ("--midi", asked.midi)):
        if value is not None:
            raise UsageError(f"{option} is for a live script: antiphon render set.py --bars 8 --out set.wav")
    with endable():
        _render_patch(asked, finish)


def _render_patch(asked: RenderOptions, finish: SoundFinish) -> None:
    """Renders each file; raises `typer.Exit` where one has a fault."""
    from antiphon.cli.files.rendering import files_of, render_file
    from antiphon.files.decode import path_text
    from antiphon.kernel.graph.patch import load as load_patch
    from antiphon.kernel.plugins.loader import load

    loaded = load(check=False)
    patch = load_patch(asked.patch, loaded.catalog, trusted=True)
    jobs = _jobs(asked)
    given = [("--in", job.source) for job in jobs if job.source is not None]
    given += [("--events", asked.events)] if asked.events is not None else []
    what, mend = ("--out", "") if asked.out_dir is None else ("--out-dir", "name another folder with --out-dir")
    check_distinct([*given, *files_of(patch.graph, loaded.catalog)], [(what, job.out) for job in jobs], mend)
    play_with(asked.device, asked.synth, loaded, patch.graph)

    def write(job: RenderJob) -> bool:
        if asked.out_dir is not None:
            make_folder(Path(job.out).parent)
        free([(what, job.out)], force=asked.force)
        return render_file(job, asked, loaded, patch, finish)

    if asked.out_dir is None:
        if not write(jobs[0]):
            raise typer.Exit(1)
        return
    if failed := failures(jobs, write):
        complain(f"{failed} of {len(jobs)} files could not be rendered without a fault from {path_text(asked.patch)}")
        raise typer.Exit(1)


def _jobs(asked: RenderOptions) -> list[RenderJob]:
    """The files to render. Raises `UsageError` where --out, --out-dir, --in and --events do not go together."""
    from antiphon.cli.files.rendering import RenderJob
    from antiphon.files.audiowrite import format_of
    from antiphon.files.decode import path_text
    from antiphon.offline.note_file import is_midi

    events, sources = asked.events, asked.source or []
    if events is not None and events.lower().endswith(READ_SUFFIXES):
        raise UsageError(f"{path_text(events)} is a sound; --events takes a file of events (.jsonl) or notes (.mid)")
    if not sources and asked.seconds is None and not (events is not None and is_midi(events)):
        raise UsageError("say --in IN.wav, or --seconds S to render without input")
    if asked.out_dir is None:
        if not asked.out:
            raise UsageError("name the file to write, --out OUT.wav, or a folder for several, --out-dir FOLDER")
        if len(sources) > 1 or any(os.path.isdir(path) for path in sources):
            raise UsageError("one --in FILE goes with --out; write --out-dir FOLDER for several files or a folder")
        format_of(asked.out)
        return [RenderJob(sources[0] if sources else None, events, asked.out)]
    if asked.out:
        raise UsageError(f"--out and --out-dir exclude each other; {path_text(asked.out)} would be one file for all")
    if not sources:
        raise UsageError("--out-dir takes the files or folders of --in; name one")
    tasks = gather_tasks(
        sources, asked.out_dir, "sound or MIDI", (*READ_SUFFIXES, *SUFFIXES), sound_suffix, recursive=asked.recursive
    )
    return [RenderJob(str(task.source), events, str(task.target)) for task in tasks]
