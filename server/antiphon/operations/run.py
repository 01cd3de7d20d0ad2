"""Runs a plugin over files; its request is checked before anything is written."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.files.decode import path_text
from antiphon.files.scores.midi_suffixes import MIDI_WRITTEN, is_midi
from antiphon.files.sound_finish import FADE, SoundFinish
from antiphon.files.temporary import sweep
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.file_use import FileUse
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.graph.graph import Graph, NodeSpec, known_type
from antiphon.kernel.plugins.finding import BUILT_IN
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.arguments import check
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.paths import make_folder
from antiphon.offline.file_job import (
    FileJob,
    Fires,
    Named,
    check_distinct,
    check_has_output,
    free,
    idle,
    lacking,
    needed_value,
    read_settings,
)
from antiphon.offline.output_summary import Written
from antiphon.operations.file_tasks import failures, plan_jobs, play_with
from antiphon.operations.finishing import add_source_tags, convert_finish_request
from antiphon.operations.requests import (
    PIPE,
    RUN_OPTIONS,
    SILENT,
    Reporting,
    RunRequest,
    changed,
    check_applies,
    noticing,
)
from antiphon.operations.run_file import FileTask, RunSettings, process_file

if TYPE_CHECKING:
    from antiphon.operations.pipes import PipedSound

_ENDINGS = {"--report": ".json", "--picture": ".png", "--roll": ".svg", "--click": ".wav"}


def run(asked: RunRequest, loaded: Loaded, reporting: Reporting = SILENT) -> int:
    """Runs a plugin over files; returns how many of them could not be processed.

    With `out_dir`, failures of single files are complaints. Raises AntiphonError: the request is invalid, or its one
    file cannot be processed.
    """
    check(asked)
    sweep()
    finish = convert_finish_request(asked.finish, asked.rate)
    check_single(asked.plugin)
    check_no_patch(asked.plugin, loaded.catalog)
    # what comes last counts, as on a command line
    asked = changed(asked, plugin=loaded.catalog.varied(asked.plugin, dict(asked.given)))
    info = known_type(asked.plugin, loaded.catalog)
    check_has_output(info)
    _check_use(asked, info)
    if PIPE not in asked.paths:
        if asked.raw:
            raise UsageError("--raw is of standard input and output: name IN or OUT -")
        with noticing(reporting) as noticed:
            return _run(asked, info, finish, loaded, noticed, None)
    if asked.out_dir is not None:
        raise UsageError("- is standard input or output: name one IN and one OUT, without --out-dir")
    from antiphon.files.pipes import STDOUT, RawForm
    from antiphon.operations.pipes import joined

    raw = RawForm.of(asked.raw) if asked.raw else None
    with joined(asked.paths, raw, info, dict(asked.given)) as ends, noticing(ends.reporting(reporting)) as noticed:
        finish = replace(finish, raw=raw) if STDOUT in ends.paths else finish
        try:
            asked = changed(asked, paths=ends.paths)
            return _run(asked, info, finish, loaded, noticed, ends.piped)
        except (FileError, UsageError) as error:
            raise type(error)(ends.said(str(error))) from None


def _run(
    asked: RunRequest,
    info: ProcessorInfo,
    finish: SoundFinish,
    loaded: Loaded,
    reporting: Reporting,
    piped: PipedSound | None,
) -> int:
    """Runs a plugin over files, `piped` in the place of the first."""
    jobs = plan_jobs(asked.paths, asked.out_dir, info, reporting.complain, recursive=asked.recursive)
    play_with(asked.device, "auto", loaded, Graph((NodeSpec(asked.plugin, asked.plugin),)), reporting.complain)
    values, fires = read_settings(info, asked.given, path_of)
    if asked.causal:
        values[info.on_files.causal] = True
    parts = _part_paths(asked, info.on_files, jobs[0])
    beside = _side_outputs(asked, parts)
    _check_files(asked, info, jobs, values, beside)
    for name, condition in idle(info, values):
        reporting.complain(f"{name} of {info.type} has no effect on files{condition and f' with {condition}'}")
    made_by = info.on_files.job
    _check_paths(asked, info.on_files, jobs, beside)
    reporting.stage("loading")
    if info.plugin not in BUILT_IN:
        loaded.check(asked.plugin)  # after all that costs nothing: it starts a process, and compiles kernels
    if made_by:
        job = _file_job(asked, jobs[0], values, fires, parts, finish, reporting)
        for written in _run_own_job(made_by, asked, job, reporting):
            reporting.wrote(written)
        return 0
    settings = RunSettings(asked, values, fires, finish, reporting, piped)
    if asked.out_dir is None:
        reporting.wrote(process_file(jobs[0], settings, loaded))
        return 0
    return _run_tasks(jobs, settings, loaded)


def check_no_patch(name: str, known: Container[str]) -> None:
    """Raises UsageError for the name of a patch instead of a plugin."""
    if name in known:
        return
    from antiphon.operations import patch_list

    if name in patch_list.names():
        raise UsageError(f"{name} is a patch: antiphon render {name} --in IN --out OUT")


def _requested_parts(asked: RunRequest) -> dict[str, tuple[str, ...]]:
    """Requested parts, by their option."""
    return {name: parts for name, parts in (("only", asked.only), ("without", asked.without)) if parts}


def _check_use(asked: RunRequest, info: ProcessorInfo) -> None:
    """Raises UsageError where an option does not apply to this plugin."""
    use, parted = info.on_files, _requested_parts(asked)
    for name, one in RUN_OPTIONS.items():
        if getattr(asked, name) != one.default:
            check_applies(one, info, f"--{one.option}")
    for name, parts in parted.items():
        for part in parts:
            if part not in use.splits:
                raise UsageError(f"--{name} takes {', '.join(use.splits[:-1])} or {use.splits[-1]}, not {part!r}")
        if asked.out_dir is not None:
            raise UsageError(f"--{name} is for one file OUT; leave it out, or name OUT instead of --out-dir")
    if len(parted) > 1:
        raise UsageError("--only and --without exclude each other; give one of them")


def _part_paths(asked: RunRequest, use: FileUse, first: FileTask) -> dict[str, Path]:
    """Files of the requested parts: out-drums.wav beside out.wav, or files in the folder."""
    if use.splits and asked.out_dir is not None:
        return {part: Path(asked.out_dir) / f"{part}.wav" for part in use.splits}
    out = first.target
    return {part: out.with_name(f"{out.stem}-{part}{out.suffix}") for part in use.stems} if asked.stems else {}


def _side_outputs(asked: RunRequest, parts: Mapping[str, Path]) -> list[Named]:
    """Files written beside OUT, by their option."""
    named: list[Named] = [(f"--{name}", path) for name, path in asked.beside.items()]
    return [*named, *(("--stems" if asked.stems else "--out-dir", path) for path in parts.values())]


def _check_files(
    asked: RunRequest,
    info: ProcessorInfo,
    jobs: Sequence[FileTask],
    values: Mapping[str, Value],
    beside: Sequence[Named],
) -> None:
    """Raises UsageError if one file would be both read and written, or a parameter is missing."""
    read: list[Named] = [("IN", job.source) for job in jobs]
    read += [(p.name, str(values[p.name])) for p in info.cells if p.kind == "file" and p.name in values]
    mend = "" if asked.out_dir is None else "name another folder with --out-dir"
    check_distinct(read, [*(("OUT", job.target) for job in jobs), *beside], mend)
    if param := lacking(info, values):
        raise UsageError(f"{info.type} does nothing without -p {param.name}={needed_value(param)}")


def _check_paths(asked: RunRequest, use: FileUse, jobs: Sequence[FileTask], beside: Sequence[Named]) -> None:
    """Raises FileError or UsageError where IN is missing, or an output file exists."""
    if asked.out_dir is not None and not use.job:
        if beside:
            raise UsageError(f"{beside[0][0]} is of one file: name IN and OUT, and leave --out-dir out")
        return  # each file is checked in its turn
    # of a name that no file can have this is false as well
    if not os.path.exists(jobs[0].source):
        what = "file or folder" if use.job else "file"
        raise FileError(f"cannot read {path_text(jobs[0].source)}: there is no such {what}")
    if asked.rate and is_midi(jobs[0].target, written=True):
        raise UsageError("--rate is of sound, and OUT holds notes; leave it out")
    outs: list[Named] = [("OUT", job.target) for job in jobs] if asked.out_dir is None else []
    free([*outs, *beside], force=asked.force)


def check_single(plugin: str) -> None:
    """Raises UsageError for several names, such as "chorus,reverb"."""
    if any(mark in plugin for mark in ",+|>"):
        raise UsageError(
            "run takes one processor; several in a row are a patch, a file of nodes and wires: "
            "antiphon render PATCH.toml --in IN --out OUT plays it"
        )


def _file_job(
    asked: RunRequest,
    files: FileTask,
    values: Mapping[str, Value],
    fires: Fires,
    parts: Mapping[str, Path],
    finish: SoundFinish,
    reporting: Reporting,
) -> FileJob:
    """Makes the file job of a plugin that has one."""
    if not (is_midi(files.source) or files.source.is_dir()):
        finish = add_source_tags(finish, files.source)
    given = {name: ",".join(some) for name, some in _requested_parts(asked).items()}
    return FileJob(
        asked.plugin,
        files.source,
        files.target,
        values,
        asked.block,
        parts,
        {what: Path(path) for what, path in asked.beside.items()},
        {"chords": asked.chords} if asked.chords else given,
        FADE if asked.fade is None else asked.fade,
        finish,
        complain=reporting.complain,
        ask=reporting.ask,
        fires=fires,
    )


def _run_own_job(own: str, asked: RunRequest, job: FileJob, reporting: Reporting) -> tuple[Written, ...]:
    """Runs a plugin's own file job: `own` names its function."""
    if asked.out_dir is not None:
        make_folder(Path(asked.out_dir))
    beside = [(f"--{what}", path) for what, path in job.beside.items()]
    target = None if job.target.is_dir() else job.target
    for what, written in (("", target), *beside):
        if written is None:
            continue
        ending = _ENDINGS.get(what, "")
        if ending and written.suffix.lower() != ending:
            raise FileError(f"cannot write {path_text(written)}: {what} ends in {ending}")
        if what == "--midi-out" and written.suffix.lower() not in MIDI_WRITTEN:
            raise FileError(f"cannot write {path_text(written)}: --midi-out ends in {' or '.join(MIDI_WRITTEN)}")
        if not written.parent.is_dir():
            raise FileError(f"cannot write {path_text(written)}: its folder does not exist; make it first")
    reporting.stage("reading")
    with reporting.progress(job.plugin, 1000, 1) as progress:
        summary = import_object(own)(replace(job, progress=lambda part: progress.update(round(1000 * part))))
    return tuple(summary or (Written(job.target, path_text(job.source)),))


def path_of(param: Param, value: str) -> str:
    """Path of a parameter of kind file."""
    path = Path(os.path.expanduser(value))
    if not path.exists():
        raise UsageError(f"{param.name} takes {param.holds}, and there is none at {value!r}")
    return str(path.absolute())


def _run_tasks(jobs: Sequence[FileTask], settings: RunSettings, loaded: Loaded) -> int:
    """Runs every task; failures are complaints. Returns the number of failures."""

    def write(job: FileTask) -> bool:
        make_folder(job.target.parent)
        free([("--out-dir", job.target)], force=settings.asked.force)
        settings.reporting.wrote(process_file(job, settings, loaded))
        return True

    if failed := failures(jobs, write, settings.reporting.complain):
        settings.reporting.complain(f"{failed} of {len(jobs)} files could not be processed")
    return failed
