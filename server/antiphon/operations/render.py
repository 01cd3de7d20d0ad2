"""A patch over sound files, with timed events, or a live script, as the engine would play it."""

import os
from pathlib import Path

from antiphon.files.audiowrite import format_of
from antiphon.files.decode import path_text
from antiphon.files.midi_suffixes import is_midi
from antiphon.files.midifile import SUFFIXES
from antiphon.files.pipes import input_file
from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.patch import load as load_patch
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.arguments import check
from antiphon.kernel.runtime.paths import make_folder
from antiphon.kernel.runtime.settings import check_cue
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES
from antiphon.offline.file_job import check_distinct, free
from antiphon.offline.script_run import is_script
from antiphon.operations.file_tasks import failures, gather_tasks, play_with, sound_suffix
from antiphon.operations.finishing import finish_of
from antiphon.operations.pipes import PipeEnds
from antiphon.operations.render_script import render_script
from antiphon.operations.rendering import files_of, render_file
from antiphon.operations.requests import PIPE, RenderRequest, changed


def render(asked: RenderRequest, loaded: Loaded) -> bool:
    """Renders a patch or a live script; returns whether a node failed, or events were left out.

    With `out_dir` a file that cannot be rendered is a complaint. Raises AntiphonError: the request makes no sense, or
    it cannot be rendered. Raises ScriptError: the script has a fault.
    """
    check(asked)
    finish_of(asked.finish)
    check_cue(asked.cue)
    if asked.stems == "":
        raise UsageError("--stems takes a folder; name one, as --stems strips")
    if PIPE in asked.source:
        if len(asked.source) > 1 or asked.out_dir is not None:
            raise UsageError("--in - is one sound; write --out OUT.wav, and nothing else behind --in")
        with input_file() as kept:
            ends = PipeEnds((str(kept), asked.out or ""))
            return render(changed(asked, source=(str(kept),), reporting=ends.reporting(asked.reporting)), loaded)
    if is_script(asked.patch):
        return render_script(asked)
    for option, value in (("--bars", asked.bars), ("--midi", asked.midi)):
        if value is not None:
            raise UsageError(f"{option} is for a live script: antiphon render set.py --bars 8 --out set.wav")
    if asked.stems is not None and asked.out_dir is not None:
        raise UsageError("--stems goes with one --out: the tracks are of one file")
    return _render_patch(asked, loaded)


def _render_patch(asked: RenderRequest, loaded: Loaded) -> bool:
    complain = asked.reporting.complain
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
        return render_file(source, out, asked, loaded, patch)

    if asked.out_dir is None:
        return not write(jobs[0])
    if failed := failures(jobs, write, complain):
        complain(f"{failed} of {len(jobs)} files could not be rendered without a fault from {path_text(asked.patch)}")
    return failed > 0


def _jobs(asked: RenderRequest) -> list[tuple[str | None, str]]:
    """IN, or None, and OUT of each file to render.

    Raises `UsageError`: --out, --out-dir, --in and --events do not go together.
    """
    events, sources = asked.events, asked.source
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
        asked.reporting.complain,
        recursive=asked.recursive,
    )
    return [(str(task.source), str(task.target)) for task in tasks]
