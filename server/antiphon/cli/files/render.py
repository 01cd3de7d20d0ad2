"""`antiphon render`: a patch over a sound file, with timed events, as the engine would play it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli import completion
from antiphon.cli.files.options import MOST_FADE, MOST_TAIL, hertz, within
from antiphon.cli.synthhelp import NAMES
from antiphon.cli.terminal.errors import complain, endable
from antiphon.kernel.errors import AntiphonError, UsageError
from antiphon.kernel.runtime.paths import make_folder
from antiphon.offline.file_job import FADE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.cli.files.render_file import RenderJob

MAX_SECONDS = 6 * 3600.0


def render(
    patch: Annotated[
        str,
        typer.Argument(
            help="A patch: its name, or the path of a .toml file; or a live script, a .py file.",
            autocompletion=completion.patches,
        ),
    ],
    out: Annotated[str, typer.Option("--out", metavar="OUT.wav", help="The file to write.")] = "",
    source: Annotated[
        list[str] | None,
        typer.Option("--in", metavar="IN", help="Sound, or notes (.mid); silence when left out. More with --out-dir."),
    ] = None,
    events: Annotated[
        str | None, typer.Option("--events", metavar="E", help="Timed commands (.jsonl), or notes (.mid).")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Length of OUT; else that of IN and a tail.")
    ] = None,
    block: Annotated[int, typer.Option("--block", help="Frames at a time, 32 to 2048; 0 chooses.")] = 0,
    device: Annotated[str, typer.Option("--device", help="What models run on: auto, cpu or cuda.")] = "auto",
    synth: Annotated[str, typer.Option("--synth", help=f"What plays notes: {NAMES}; null is silence.")] = "auto",
    tail: Annotated[
        float | None,
        typer.Option("--tail", metavar="SECONDS", help="Length after IN; default: until -60 dB, 10 s at most."),
    ] = None,
    fade: Annotated[float, typer.Option("--fade", metavar="SECONDS", help="At the end; 0 leaves it as it is.")] = FADE,
    bars: Annotated[float | None, typer.Option("--bars", help="Length of OUT in bars, of a live script.")] = None,
    stems: Annotated[
        str | None, typer.Option("--stems", metavar="FOLDER", help="A file for each track and loop of a live script.")
    ] = None,
    midi: Annotated[
        str | None, typer.Option("--midi", metavar="F.mid", help="The notes of a live script as a MIDI file.")
    ] = None,
    rate: Annotated[int, typer.Option("--rate", metavar="HZ", help="Resample OUT; default: the rate of IN.")] = 0,
    cue: Annotated[
        str, typer.Option(metavar="PAIR", help="Channels of OUT for the cue, such as 3-4; else it is left out.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    out_dir: Annotated[
        str | None, typer.Option("--out-dir", help="A folder for the results, under the names of IN.")
    ] = None,
) -> None:
    """Render a patch or a live script to a file: the rate of IN, two channels or those of IN if it has more.

    Where a patch plays other pairs (out.3-4), OUT has as many channels.

    Latency is taken out. Without --seconds OUT is longer than IN by the echoes and notes that still sound at its end. A
    MIDI file is played at its tempo by every node that takes notes and that no wire plays.
    """
    from antiphon.cli.files.options import play_with
    from antiphon.cli.files.render_file import RenderSettings, files_of, one
    from antiphon.kernel.graph.patch import load as load_patch
    from antiphon.kernel.io.audiowrite import format_of
    from antiphon.kernel.io.decode import path_text
    from antiphon.kernel.plugins.loader import load
    from antiphon.kernel.runtime.settings import MAX_BLOCK, MIN_BLOCK, check_cue
    from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES
    from antiphon.offline import note_file
    from antiphon.offline.file_job import check_distinct, free
    from antiphon.offline.script_run import is_script

    if block and not MIN_BLOCK <= block <= MAX_BLOCK:
        raise UsageError(f"--block takes {MIN_BLOCK} to {MAX_BLOCK} frames, not {block}")
    if seconds is not None and not 0.0 <= seconds <= MAX_SECONDS:
        raise UsageError(f"--seconds takes 0 to {MAX_SECONDS:g}, not {seconds:g}")
    check_cue(cue)
    tail, fade, rate = within("--tail", tail, MOST_TAIL), within("--fade", fade, MOST_FADE), hertz(rate)
    # one path where it is called as a function
    sources = [source] if isinstance(source, str) else source or []
    if is_script(patch):
        from antiphon.cli.files.render_file import BLOCK
        from antiphon.cli.files.render_script import ScriptOptions, render_script

        if events is not None:
            raise UsageError("a script plays its own events; leave --events out")
        if seconds is not None or bars is None or not out:
            raise UsageError("say how long in bars, and where to: antiphon render set.py --bars 32 --out set.wav")
        if out_dir is not None or len(sources) > 1:
            raise UsageError("a script is rendered to one --out, with one --in at most")
        options = ScriptOptions(
            bars, stems, midi, next(iter(sources), None), block or BLOCK, tail, fade, force, rate, cue
        )
        render_script(patch, out, options, lambda loaded, graph: play_with(device, synth, loaded, graph))
        return
    for option, value in (("--bars", bars), ("--stems", stems), ("--midi", midi)):
        if value is not None:
            raise UsageError(f"{option} is for a live script: antiphon render set.py --bars 8 --out set.wav")
    if events is not None and events.lower().endswith(READ_SUFFIXES):
        raise UsageError(f"{path_text(events)} is a sound; --events takes a file of events (.jsonl) or notes (.mid)")
    if not sources and seconds is None and not (events is not None and note_file.is_midi(events)):
        raise UsageError("say --in IN.wav, or --seconds S to render without input")
    jobs = _jobs(sources, out, out_dir, events)
    if out_dir is None:
        format_of(out)
    with endable():
        loaded = load(check=False)
        loaded_patch = load_patch(patch, loaded.catalog, trusted=True)
        given = [("--in", job.source) for job in jobs if job.source is not None]
        given += [("--events", events)] if events is not None else []
        what = "--out" if out_dir is None else "--out-dir"
        mend = "" if out_dir is None else "name another folder with --out-dir"
        check_distinct([*given, *files_of(loaded_patch.graph, loaded.catalog)], [(what, job.out) for job in jobs], mend)
        play_with(device, synth, loaded, loaded_patch.graph)
        settings = RenderSettings(seconds, block, tail, fade, rate, cue)
        if out_dir is None:
            free([("--out", out)], force=force)
            if not one(jobs[0], settings, loaded, loaded_patch):
                raise typer.Exit(1)
            return
        make_folder(Path(out_dir))
        failed = 0
        for job in jobs:
            try:
                free([("--out-dir", job.out)], force=force)
                failed += not one(job, settings, loaded, loaded_patch)
            except AntiphonError as error:
                complain(str(error))
                failed += 1
        if failed:
            complain(f"{failed} of {len(jobs)} files could not be rendered without a fault from {path_text(patch)}")
            raise typer.Exit(1)


def _jobs(sources: Sequence[str], out: str, out_dir: str | None, events: str | None) -> list[RenderJob]:
    """The files to render. Raises `UsageError` where --out, --out-dir and --in do not go together."""
    from antiphon.cli.files.file_tasks import gather_tasks, sound_suffix
    from antiphon.cli.files.render_file import RenderJob
    from antiphon.kernel.io.decode import path_text
    from antiphon.kernel.io.midifile import SUFFIXES
    from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES

    if out_dir is None:
        if not out:
            raise UsageError("name the file to write, --out OUT.wav, or a folder for several, --out-dir FOLDER")
        if len(sources) > 1 or any(os.path.isdir(path) for path in sources):
            raise UsageError("one --in FILE goes with --out; write --out-dir FOLDER for several files or a folder")
        return [RenderJob(sources[0] if sources else None, events, out)]
    if out:
        raise UsageError(f"--out and --out-dir exclude each other; {path_text(out)} would be one file for all")
    if not sources:
        raise UsageError("--out-dir takes the files or folders of --in; name one")
    tasks = gather_tasks(sources, out_dir, "sound or MIDI", (*READ_SUFFIXES, *SUFFIXES), sound_suffix)
    return [RenderJob(str(task.source), events, str(task.target)) for task in tasks]
