"""Runs a plugin over files: a request becomes a plan (`operations.plan`), and the plan is carried out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from antiphon.files.scores.midi_suffixes import is_midi
from antiphon.files.sound_finish import FADE
from antiphon.files.temporary import sweep
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.plugins.finding import BUILT_IN
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.paths import make_folder
from antiphon.kernel.runtime.terms import path_text, spell
from antiphon.offline.file_job import FileJob, check_free
from antiphon.offline.output_summary import Written
from antiphon.operations.file_tasks import FileTask, count_failures, play_with
from antiphon.operations.finishing import add_source_tags
from antiphon.operations.plan import FilePlan, check_task, plan
from antiphon.operations.requests import PIPE, RUN_OPTIONS, SILENT, Reporting, RunRequest, noticing
from antiphon.operations.run_file import process_file


def run(asked: RunRequest, loaded: Loaded, reporting: Reporting = SILENT) -> int:
    """Runs a plugin over files; returns how many of them could not be processed.

    With `out_dir`, failures of single files are complaints. Raises AntiphonError: the request is invalid, or its one
    file cannot be processed.
    """
    return carry_out(plan(asked, loaded.catalog), loaded, reporting)


def carry_out(planned: FilePlan, loaded: Loaded, reporting: Reporting) -> int:
    """Opens and writes what a plan says; returns how many files could not be processed. Raises AntiphonError."""
    sweep()
    asked, piped = planned.request, None
    with ExitStack() as stack:
        if PIPE in asked.paths:
            from antiphon.operations.pipes import open_ends

            planned, piped = stack.enter_context(open_ends(planned))
            if not planned.info.on_files.job:
                check_task(planned.info, planned.tasks[0])
        reporting = stack.enter_context(noticing(reporting))
        for remark in planned.remarks:
            reporting.complain(remark)
        play_with(asked.device, "auto", loaded, Graph((NodeSpec(asked.plugin, asked.plugin),)), reporting.complain)
        reporting.stage("loading")
        if planned.info.plugin not in BUILT_IN:
            loaded.check(asked.plugin)  # after all that costs nothing: it starts a process, and compiles kernels
        if planned.info.on_files.job:
            for written in _run_job(planned, reporting):
                reporting.wrote(written)
            return 0
        if asked.out_dir is None:
            reporting.wrote(process_file(planned.tasks[0], planned, loaded, reporting, piped))
            return 0

        def write(task: FileTask) -> bool:
            make_folder(task.target.parent)
            check_free([(spell("out_dir"), task.target)], force=asked.force)
            check_task(planned.info, task)
            reporting.wrote(process_file(task, planned, loaded, reporting))
            return True

        if failed := count_failures(planned.tasks, write, reporting.complain):
            reporting.complain(f"{failed} of {len(planned.tasks)} files could not be processed")
        return failed


def _run_job(planned: FilePlan, reporting: Reporting) -> tuple[Written, ...]:
    """Runs a plugin's own file job."""
    asked, files, finish = planned.request, planned.tasks[0], planned.finish
    if asked.out_dir is not None:
        make_folder(Path(asked.out_dir))
    if not (is_midi(files.source) or files.source.is_dir()):
        finish = add_source_tags(finish, files.source)
    given = {name: ",".join(parts) for name in ("only", "without") if (parts := getattr(asked, name))}
    reporting.stage("reading")
    with reporting.progress(asked.plugin, 1000, 1) as progress:
        job = FileJob(
            asked.plugin,
            files.source,
            files.target,
            planned.values,
            asked.block,
            planned.parts,
            {RUN_OPTIONS[name].option: Path(path) for name, path in asked.beside.items()},
            {"chords": asked.chords} if asked.chords else given,
            FADE if asked.fade is None else asked.fade,
            finish,
            lambda part: progress.update(round(1000 * part)),
            reporting.complain,
            reporting.ask,
            planned.fires,
        )
        summary = import_object(planned.info.on_files.job)(job)
    return tuple(summary or (Written(files.target, path_text(files.source)),))
