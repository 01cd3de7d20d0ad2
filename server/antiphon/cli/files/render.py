"""`antiphon render`: a patch over a sound file, with timed events, or a live script, as the engine would play it."""

import os
from pathlib import Path

import typer

from antiphon.cli.files.finish_options import FinishOptions, finish_of
from antiphon.cli.files.render_options import RenderOptions
from antiphon.cli.files.reports import failures
from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import complain, endable
from antiphon.files.midifile import SUFFIXES
from antiphon.files.sound_finish import SoundFinish
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.paths import make_folder
from antiphon.kernel.runtime.settings import check_cue
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES
from antiphon.offline.file_job import check_distinct, free
from antiphon.operations.file_tasks import MAX_SECONDS, check_blocks, gather_tasks, play_with, sound_suffix


@by_records
def render(asked: RenderOptions, finishing: FinishOptions) -> None:
    """Render a patch or a live script to a file: the rate of IN, two channels or those of IN if it has more.

    Where a patch plays other pairs (out.3-4), OUT has as many channels.

    Latency is taken out. Without --seconds OUT is longer than IN by the echoes and notes that still sound at its end. A
    MIDI file is played at its tempo by every node that takes notes and that no wire plays.
    """
    from antiphon.offline.script_run import is_script

    check_blocks(asked.block or None, asked.tail, asked.fade)
    if asked.seconds is not None and not 0.0 <= asked.seconds <= MAX_SECONDS:
        raise UsageError(f"--seconds takes 0 to {MAX_SECONDS:g}, not {asked.seconds:g}")
    check_cue(asked.cue)
    finish = finish_of(finishing, asked.rate)
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
    given = [("--in", source) for source, _ in jobs if source is not None]
    given += [("--events", asked.events)] if asked.events is not None else []
    what, mend = ("--out", "") if asked.out_dir is None else ("--out-dir", "name another folder with --out-dir")
    check_distinct([*given, *files_of(patch.graph, loaded.catalog)], [(what, out) for _, out in jobs], mend)
    play_with(asked.device, asked.synth, loaded, patch.graph, complain)

    def write(job: tuple[str | None, str]) -> bool:
        source, out = job
        if asked.out_dir is not None:
            make_folder(Path(out).parent)
        free([(what, out)], force=asked.force)
        return render_file(source, out, asked, loaded, patch, finish)

    if asked.out_dir is None:
        if not write(jobs[0]):
            raise typer.Exit(1)
        return
    if failed := failures(jobs, write):
        complain(f"{failed} of {len(jobs)} files could not be rendered without a fault from {path_text(asked.patch)}")
        raise typer.Exit(1)


def _jobs(asked: RenderOptions) -> list[tuple[str | None, str]]:
    """IN, or None, and OUT of each file to render.

    Raises `UsageError`: --out, --out-dir, --in and --events do not go together.
    """
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
        return [(sources[0] if sources else None, asked.out)]
    if asked.out:
        raise UsageError(f"--out and --out-dir exclude each other; {path_text(asked.out)} would be one file for all")
    if not sources:
        raise UsageError("--out-dir takes the files or folders of --in; name one")
    tasks = gather_tasks(
        sources,
        asked.out_dir,
        "sound or MIDI",
        (*READ_SUFFIXES, *SUFFIXES),
        sound_suffix,
        complain,
        recursive=asked.recursive,
    )
    return [(str(task.source), str(task.target)) for task in tasks]
