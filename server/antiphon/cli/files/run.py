"""`antiphon run`: one plugin over files of sound or notes."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli import completion
from antiphon.cli.files.file_tasks import (
    RUN_BLOCK,
    FileTask,
    RunSettings,
    check_blocks,
    failures,
    plan_jobs,
    play_with,
    report,
)
from antiphon.cli.files.finish_options import FinishOptions, finish_like, finish_of
from antiphon.cli.option_records import by_records
from antiphon.cli.terminal.errors import complain, endable
from antiphon.cli.terminal.progress import ProgressBar, ask
from antiphon.files.midifile import WRITABLE_SUFFIXES
from antiphon.files.sound_finish import SoundFinish
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.paths import make_folder
from antiphon.offline.file_job import FADE, FileJob, Fires, Named, check_distinct, check_option, free, read_settings

if TYPE_CHECKING:
    from antiphon.kernel.contract.catalog import ProcessorInfo
    from antiphon.kernel.contract.file_use import FileUse
    from antiphon.kernel.contract.params import Param, Value
    from antiphon.kernel.plugins.loader import Loaded

_ENDINGS = {"--report": ".json", "--picture": ".png", "--roll": ".svg"}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `antiphon run`."""

    plugin: Annotated[
        str, typer.Argument(help="The processor, as `antiphon plugins` lists it.", autocompletion=completion.plugins)
    ]
    paths: Annotated[list[str], typer.Argument(metavar="IN OUT", help="IN OUT, or files and folders with --out-dir.")]
    param: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--param",
            metavar="NAME=VALUE",
            help="One of its parameters, which antiphon run PLUGIN --help lists; may be given again.",
            autocompletion=completion.params,
        ),
    ] = None
    out_dir: Annotated[
        str | None, typer.Option("--out-dir", help="A folder for the results, under the names of IN.")
    ] = None
    recursive: Annotated[bool, typer.Option("--recursive", help="Go into folders in a folder.")] = False
    block: Annotated[int, typer.Option("--block", help="Frames at a time, 32 to 2048.")] = RUN_BLOCK
    device: Annotated[str, typer.Option("--device", help="What models run on: auto, cpu or cuda.")] = "auto"
    midi_out: Annotated[str, typer.Option("--midi-out", metavar="F.mid", help="A file for the notes it detects.")] = ""
    analysis: Annotated[str, typer.Option("--analysis", metavar="F.json", help="A file for its analysis.")] = ""
    report_to: Annotated[str, typer.Option("--report", metavar="F.json", help="A file for what it chose.")] = ""
    picture: Annotated[str, typer.Option("--picture", metavar="F.png", help="A file for a picture of it.")] = ""
    chords: Annotated[
        str, typer.Option("--chords", metavar="CHORDS", help="Chords to play: | C Am | F G7 |, or a file of them.")
    ] = ""
    roll: Annotated[str, typer.Option("--roll", metavar="F.svg", help="A file for a piano roll of it.")] = ""
    chords_out: Annotated[str, typer.Option("--chords-out", metavar="F", help="A file for the chords played.")] = ""
    stems: Annotated[bool, typer.Option("--stems", help="Also a file for each part, OUT-PART; OUT is their sum.")] = (
        False
    )
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PART", help="OUT is this part of IN, as voice; may be given again."),
    ] = None
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="PART", help="OUT is IN without this part; may be given again."),
    ] = None
    tail: Annotated[
        float | None,
        typer.Option("--tail", metavar="SECONDS", help="Length after IN; default: until -60 dB, 10 s at most."),
    ] = None
    fade: Annotated[
        float | None,
        typer.Option("--fade", metavar="SECONDS", help="At the end; default: none where OUT ends with IN, else 0.02."),
    ] = None
    rate: Annotated[int, typer.Option("--rate", metavar="HZ", help="Resample OUT; default: the rate of IN.")] = 0
    causal: Annotated[bool, typer.Option("--causal", help="Work as live, without a look at what comes.")] = False
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False


@by_records
def run(asked: RunOptions, finishing: FinishOptions) -> None:
    """Run a plugin over files: same rate, channels and length unless it says otherwise, its latency taken out.

    -p learn=0.5 on a trigger fires it at 0.5 s. A parameter of kind file takes any path. What takes notes reads a MIDI
    file, what gives notes writes one. Echoes go on after the end of IN, until they are over.
    """
    from antiphon.kernel.graph.graph import Graph, NodeSpec, known_type
    from antiphon.kernel.plugins.loader import load

    check_blocks(asked.block, asked.tail, asked.fade)
    finish = finish_of(finishing, asked.rate)
    with endable():
        loaded = load(check=False)
        _check_single(asked.plugin)
        _check_no_patch(asked.plugin, loaded.catalog)
        given = [pair_of(text) for text in asked.param or []]
        asked = replace(asked, plugin=loaded.catalog.varied(asked.plugin, dict(given)))
        info = known_type(asked.plugin, loaded.catalog)
        info.check_writes()
        _check_use(asked, info)
        jobs = plan_jobs(asked.paths, asked.out_dir, info, recursive=asked.recursive)
        play_with(asked.device, "auto", loaded, Graph((NodeSpec(asked.plugin, asked.plugin),)))
        values, fires = read_settings(info, given, path_of)
        if asked.causal:
            values[info.on_files.causal] = True
        parts = _part_paths(asked, info.on_files, jobs[0])
        beside = _side_outputs(asked, parts)
        _check_files(asked, info, jobs, values, beside)
        for name, condition in info.idle(values):
            complain(f"{name} of {info.type} has no effect on files{condition and f' with {condition}'}")
        made_by = info.on_files.job
        _check_paths(asked, info.on_files, jobs, beside)
        # after all that costs nothing: a check starts a process, and the first one compiles kernels
        loaded.check(asked.plugin)
        if made_by:
            _run_own_job(made_by, asked, _file_job(asked, jobs[0], values, fires, parts, finish))
            return
        from antiphon.cli.files.run_file import process_file

        settings = RunSettings(values, fires, asked.block, asked.tail, asked.fade, finish)
        if asked.out_dir is None:
            report(process_file(asked.plugin, jobs[0], settings, loaded))
        elif _run_tasks(asked, jobs, settings, loaded):
            raise typer.Exit(1)


def _check_no_patch(name: str, known: Container[str]) -> None:
    """Raises UsageError for the name of a patch instead of a plugin."""
    from antiphon.kernel.graph import patch_list

    if name not in known and name in patch_list.names():
        raise UsageError(f"{name} is a patch: antiphon render {name} --in IN --out OUT")


def _side_files(asked: RunOptions) -> dict[str, str]:
    """Requested side files, by their option."""
    named = {
        "midi-out": asked.midi_out,
        "analysis": asked.analysis,
        "report": asked.report_to,
        "picture": asked.picture,
        "roll": asked.roll,
        "chords-out": asked.chords_out,
    }
    return {what: path for what, path in named.items() if path}


def _requested_parts(asked: RunOptions) -> dict[str, list[str]]:
    """Requested parts, by their option."""
    return {name: parts for name, parts in (("only", asked.only), ("without", asked.without)) if parts}


def _check_use(asked: RunOptions, info: ProcessorInfo) -> None:
    """Raises UsageError where an option does not apply to this plugin."""
    use, parted = info.on_files, _requested_parts(asked)
    given = {"stems": asked.stems, "causal": asked.causal, "chords": asked.chords, "tail": asked.tail is not None}
    for option in (*(name for name, value in given.items() if value), *_side_files(asked), *parted):
        check_option(info, option, f"--{option}")
    for name, parts in parted.items():
        for part in parts:
            if part not in use.splits:
                raise UsageError(f"--{name} takes {', '.join(use.splits[:-1])} or {use.splits[-1]}, not {part!r}")
        if asked.out_dir is not None:
            raise UsageError(f"--{name} is for one file OUT; leave it out, or name OUT instead of --out-dir")
    if len(parted) > 1:
        raise UsageError("--only and --without exclude each other; give one of them")


def _part_paths(asked: RunOptions, use: FileUse, first: FileTask) -> dict[str, Path]:
    """Files of the requested parts: out-drums.wav beside out.wav, or those in the folder."""
    if use.splits and asked.out_dir is not None:
        return {part: Path(asked.out_dir) / f"{part}.wav" for part in use.splits}
    out = first.target
    return {part: out.with_name(f"{out.stem}-{part}{out.suffix}") for part in use.stems} if asked.stems else {}


def _side_outputs(asked: RunOptions, parts: Mapping[str, Path]) -> list[Named]:
    """Files written beside OUT, by their option."""
    named: list[Named] = [(f"--{name}", path) for name, path in _side_files(asked).items()]
    return [*named, *(("--stems" if asked.stems else "--out-dir", path) for path in parts.values())]


def _check_files(
    asked: RunOptions,
    info: ProcessorInfo,
    jobs: Sequence[FileTask],
    values: Mapping[str, Value],
    beside: Sequence[Named],
) -> None:
    """Raises UsageError where one file would be read and written, or a parameter is lacking."""
    read: list[Named] = [("IN", job.source) for job in jobs]
    read += [(p.name, str(values[p.name])) for p in info.cells if p.kind == "file" and p.name in values]
    mend = "" if asked.out_dir is None else "name another folder with --out-dir"
    check_distinct(read, [*(("OUT", job.target) for job in jobs), *beside], mend)
    if lacking := info.lacking(values):
        raise UsageError(f"{info.type} does nothing without -p {lacking.name}={info.needed_value(lacking)}")


def _check_paths(asked: RunOptions, use: FileUse, jobs: Sequence[FileTask], beside: Sequence[Named]) -> None:
    """Raises FileError or UsageError where IN is missing, or an output file exists."""
    from antiphon.files.decode import path_text
    from antiphon.offline.note_file import is_midi

    if asked.out_dir is not None and not use.job:
        return  # each file is checked in its turn
    # of a name that no file can have this is false as well
    if not os.path.exists(jobs[0].source):
        what = "file or folder" if use.job else "file"
        raise FileError(f"cannot read {path_text(jobs[0].source)}: there is no such {what}")
    if asked.rate and is_midi(jobs[0].target, written=True):
        raise UsageError("--rate is of sound, and OUT holds notes; leave it out")
    outs: list[Named] = [("OUT", job.target) for job in jobs] if asked.out_dir is None else []
    free([*outs, *beside], force=asked.force)


def _check_single(plugin: str) -> None:
    """Raises UsageError for several names, such as "chorus,reverb"."""
    if any(mark in plugin for mark in ",+|>"):
        raise UsageError(
            "run takes one processor; several in a row are a patch, a file of nodes and wires: "
            "antiphon render PATCH.toml --in IN --out OUT plays it"
        )


def _file_job(
    asked: RunOptions,
    files: FileTask,
    values: Mapping[str, Value],
    fires: Fires,
    parts: Mapping[str, Path],
    finish: SoundFinish,
) -> FileJob:
    """File job of a plugin that has one."""
    beside = {what: Path(path) for what, path in _side_files(asked).items()}
    from antiphon.offline.note_file import is_midi

    if not (is_midi(files.source) or files.source.is_dir()):
        finish = finish_like(finish, files.source)
    given = {name: ",".join(some) for name, some in _requested_parts(asked).items()}
    return FileJob(
        asked.plugin,
        files.source,
        files.target,
        values,
        asked.block,
        beside.pop("midi-out", None),
        beside.pop("analysis", None),
        parts,
        beside,
        {"chords": asked.chords} if asked.chords else given,
        FADE if asked.fade is None else asked.fade,
        finish,
        complain=complain,
        ask=ask,
        fires=fires,
    )


def _run_own_job(own: str, asked: RunOptions, job: FileJob) -> None:
    """Runs a plugin's own file job: `own` names its function."""
    from antiphon.files.decode import path_text
    from antiphon.offline.output_summary import Written

    if asked.out_dir is not None:
        make_folder(Path(asked.out_dir))
    beside = [(f"--{what}", path) for what, path in job.beside.items()]
    target = None if job.target.is_dir() else job.target
    for what, written in (("", target), ("--midi-out", job.midi_out), ("--analysis", job.analysis), *beside):
        if written is None:
            continue
        ending = _ENDINGS.get(what, "")
        if ending and written.suffix.lower() != ending:
            raise FileError(f"cannot write {path_text(written)}: {what} ends in {ending}")
        if what == "--midi-out" and written.suffix.lower() not in WRITABLE_SUFFIXES:
            raise FileError(f"cannot write {path_text(written)}: --midi-out ends in {' or '.join(WRITABLE_SUFFIXES)}")
        if not written.parent.is_dir():
            raise FileError(f"cannot write {path_text(written)}: its folder does not exist; make it first")
    with ProgressBar(job.plugin, 1000, 1) as progress:
        summary = import_object(own)(replace(job, progress=lambda part: progress.update(round(1000 * part))))
    report(*(summary or (Written(job.target, path_text(job.source)),)))


def pair_of(text: str) -> tuple[str, str]:
    """Name and value of NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"-p takes NAME=VALUE, not {text!r}")
    return name, value


def path_of(param: Param, value: str) -> str:
    """Path of a parameter of kind file."""
    path = Path(os.path.expanduser(value))
    if not path.exists():
        wanted = re.split(r";|\.(?!\w)", param.doc, maxsplit=1)[0].rpartition(": ")[2] or "a file"
        raise UsageError(f"{param.name} takes {wanted[0].lower()}{wanted[1:]}, and there is none at {value!r}")
    return str(path.absolute())


def _run_tasks(asked: RunOptions, jobs: Sequence[FileTask], settings: RunSettings, loaded: Loaded) -> int:
    """Runs every task and reports failures on standard error; returns the number of failures."""
    from antiphon.cli.files.run_file import process_file

    def write(job: FileTask) -> bool:
        make_folder(job.target.parent)
        free([("--out-dir", job.target)], force=asked.force)
        report(process_file(asked.plugin, job, settings, loaded))
        return True

    if failed := failures(jobs, write):
        complain(f"{failed} of {len(jobs)} files could not be processed")
    return failed
