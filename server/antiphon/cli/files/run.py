"""`antiphon run`: one plugin over files of sound or notes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli import completion
from antiphon.cli.files.file_tasks import FileTask, gather_tasks
from antiphon.cli.files.options import MOST_FADE, MOST_TAIL, hertz, play_with, within
from antiphon.cli.files.report import report
from antiphon.cli.files.run_settings import BLOCK, RunSettings
from antiphon.cli.terminal.errors import complain, endable
from antiphon.cli.terminal.question import ask
from antiphon.kernel.errors import AntiphonError, FileError, UsageError
from antiphon.offline.file_job import FADE, FileJob, Named, check_distinct, free

if TYPE_CHECKING:
    from antiphon.kernel.contract.catalog import ProcessorInfo
    from antiphon.kernel.contract.file_use import FileUse
    from antiphon.kernel.contract.params import Value
    from antiphon.kernel.plugins.loader import Loaded

MAX_TRIGGER = 7 * 24 * 3600.0
_ENDINGS = {"--report": ".json", "--picture": ".png", "--roll": ".svg"}


def run(
    plugin: Annotated[
        str, typer.Argument(help="The processor, as `antiphon plugins` lists it.", autocompletion=completion.plugins)
    ],
    paths: Annotated[list[str], typer.Argument(metavar="IN OUT", help="IN OUT, or files and folders with --out-dir.")],
    param: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--param",
            metavar="NAME=VALUE",
            help="One of its parameters, which antiphon run PLUGIN --help lists; may be given again.",
            autocompletion=completion.params,
        ),
    ] = None,
    out_dir: Annotated[
        str | None, typer.Option("--out-dir", help="A folder for the results, under the names of IN.")
    ] = None,
    block: Annotated[int, typer.Option("--block", help="Frames at a time, 32 to 2048.")] = BLOCK,
    device: Annotated[str, typer.Option("--device", help="What models run on: auto, cpu or cuda.")] = "auto",
    midi_out: Annotated[str, typer.Option("--midi-out", metavar="F.mid", help="A file for the notes it detects.")] = "",
    analysis: Annotated[str, typer.Option("--analysis", metavar="F.json", help="A file for its analysis.")] = "",
    report_to: Annotated[str, typer.Option("--report", metavar="F.json", help="A file for what it chose.")] = "",
    picture: Annotated[str, typer.Option("--picture", metavar="F.png", help="A file for a picture of it.")] = "",
    chords: Annotated[
        str, typer.Option("--chords", metavar="CHORDS", help="Chords to play: | C Am | F G7 |, or a file of them.")
    ] = "",
    roll: Annotated[str, typer.Option("--roll", metavar="F.svg", help="A file for a piano roll of it.")] = "",
    chords_out: Annotated[str, typer.Option("--chords-out", metavar="F", help="A file for the chords played.")] = "",
    stems: Annotated[
        bool, typer.Option("--stems", help="Also a file for each part, OUT-PART; OUT is their sum.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PART", help="OUT is this part of IN, as voice; may be given again."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="PART", help="OUT is IN without this part; may be given again."),
    ] = None,
    tail: Annotated[
        float | None,
        typer.Option("--tail", metavar="SECONDS", help="Length after IN; default: until -60 dB, 10 s at most."),
    ] = None,
    fade: Annotated[
        float | None,
        typer.Option("--fade", metavar="SECONDS", help="At the end; default: none where OUT ends with IN, else 0.02."),
    ] = None,
    rate: Annotated[int, typer.Option("--rate", metavar="HZ", help="Resample OUT; default: the rate of IN.")] = 0,
    causal: Annotated[bool, typer.Option("--causal", help="Work as live, without a look at what comes.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Run a plugin over files: same rate, channels and length unless it says otherwise, its latency taken out.

    -p learn=0.5 on a trigger fires it at 0.5 s. A parameter of kind file takes any path. What takes notes reads a MIDI
    file, what gives notes writes one. Echoes go on after the end of IN, until they are over.
    """
    from antiphon.kernel.graph.graph import Graph, NodeSpec, known_type
    from antiphon.kernel.io.decode import path_text
    from antiphon.kernel.plugins.loader import load
    from antiphon.kernel.runtime.audio_limits import MAX_BLOCK, MIN_BLOCK
    from antiphon.kernel.runtime.paths import make_folder
    from antiphon.offline.note_file import is_midi

    if not MIN_BLOCK <= block <= MAX_BLOCK:
        raise UsageError(f"--block takes {MIN_BLOCK} to {MAX_BLOCK} frames, not {block}")
    tail, fade, rate = within("--tail", tail, MOST_TAIL), within("--fade", fade, MOST_FADE), hertz(rate)
    with endable():
        loaded = load(check=False)
        _check_one(plugin)
        info = known_type(plugin, loaded.catalog)
        info.check_writes()
        use = info.on_files
        if stems and not use.stems:
            raise UsageError(f"{plugin} writes no stems; leave --stems out")
        if causal and not use.causal:
            raise UsageError(f"{plugin} looks at nothing that comes; leave --causal out")
        asked = {
            "midi-out": midi_out,
            "analysis": analysis,
            "report": report_to,
            "picture": picture,
            "roll": roll,
            "chords-out": chords_out,
        }
        if chords and "chords-out" not in use.beside:
            raise UsageError(f"{plugin} takes no chords; leave --chords out")
        for what in (what for what, path in asked.items() if path):
            if what not in use.beside:
                raise UsageError(f"{plugin} writes no {'MIDI' if what == 'midi-out' else what}; leave --{what} out")
        parted = {name: parts for name, parts in (("only", only), ("without", without)) if parts}
        _check_parted(plugin, use, parted, out_dir)
        drawn = {what: asked[what] for what in ("report", "picture", "roll", "chords-out") if asked[what]}
        jobs = plan_jobs(paths, out_dir, info)
        play_with(device, "auto", loaded, Graph((NodeSpec(plugin, plugin),)))
        values, fires = read_settings(plugin, param or [], loaded)
        if causal:
            values[use.causal] = True
        settings = RunSettings(values, fires, block, tail, fade, rate)
        files = [(p.name, str(values[p.name])) for p in info.cells if p.kind == "file" and p.name in values]
        beside = [(what, path) for what, path in (("--midi-out", midi_out), ("--analysis", analysis)) if path]
        beside += [(f"--{what}", path) for what, path in drawn.items()]
        parts = {part: _beside(jobs[0].target, part) for part in use.stems} if stems else {}
        beside += [("--stems", str(path)) for path in parts.values()]
        if use.splits and out_dir is not None:
            parts = {part: Path(out_dir) / f"{part}.wav" for part in use.splits}
            beside += [("--out-dir", str(path)) for path in parts.values()]
        mend = "" if out_dir is None else "name another folder with --out-dir"
        check_distinct(
            [*(("IN", job.source) for job in jobs), *files], [*(("OUT", job.target) for job in jobs), *beside], mend
        )
        if lacking := info.lacking(values):
            raise UsageError(f"{plugin} does nothing without -p {lacking.name}={info.needed_value(lacking)}")
        if use.job and (idle := next((name for name, _ in fires if name not in use.fires), "")):
            raise UsageError(f"{idle} of {plugin} is for playing live, and does nothing in files; leave it out")
        if out_dir is None or use.job:
            # of a name that no file can have this is false as well
            if not os.path.exists(jobs[0].source):
                what = "file or folder" if use.job else "file"
                raise FileError(f"cannot read {path_text(jobs[0].source)}: there is no such {what}")
            if rate and is_midi(jobs[0].target):
                raise UsageError("--rate is of sound, and OUT holds notes; leave it out")
            outs: list[Named] = [("OUT", job.target) for job in jobs] if out_dir is None else []
            free([*outs, *beside], force=force)
        # after all that costs nothing: a check starts a process, and the first one compiles kernels
        loaded.check(plugin)
        if use.job:
            if tail is not None:
                raise UsageError(f"{plugin} sets the length of OUT itself; leave --tail out")
            job = FileJob(
                plugin,
                jobs[0].source,
                jobs[0].target,
                values,
                block,
                _path(midi_out),
                _path(analysis),
                parts,
                {what: Path(path) for what, path in drawn.items()},
                {"chords": chords} if chords else {name: ",".join(parts) for name, parts in parted.items()},
                FADE if fade is None else fade,
                rate,
                complain=complain,
                ask=ask,
                fires=fires,
            )
            if out_dir is not None:
                make_folder(Path(out_dir))
            _by_itself(use.job, job)
            return
        from antiphon.cli.files.run_file import one

        if out_dir is None:
            report(one(plugin, jobs[0], settings, loaded))
        elif _each(plugin, jobs, settings, loaded, Path(out_dir), force=force):
            raise typer.Exit(1)


def _check_one(plugin: str) -> None:
    """Raises UsageError where several are named, as "chorus,reverb"."""
    if any(mark in plugin for mark in ",+|>"):
        raise UsageError(
            "run takes one processor; several in a row are a patch, a file of nodes and wires: "
            "antiphon render PATCH.toml --in IN --out OUT plays it"
        )


def _check_parted(plugin: str, use: FileUse, parted: Mapping[str, Sequence[str]], out_dir: str | None) -> None:
    """Checks --only and --without. Raises UsageError where they do not go together, or with this plugin."""
    for name, parts in parted.items():
        if not use.splits:
            raise UsageError(f"{plugin} takes no sound apart; leave --{name} out")
        for part in parts:
            if part not in use.splits:
                raise UsageError(f"--{name} takes {', '.join(use.splits[:-1])} or {use.splits[-1]}, not {part!r}")
        if out_dir is not None:
            raise UsageError(f"--{name} is for one file OUT; leave it out, or name OUT instead of --out-dir")
    if len(parted) > 1:
        raise UsageError("--only and --without exclude each other; give one of them")


def _beside(target: Path, part: str) -> Path:
    """The file of one part of OUT: out.wav and drums give out-drums.wav."""
    return target.with_name(f"{target.stem}-{part}{target.suffix}")


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _by_itself(own: str, job: FileJob) -> None:
    """Runs a plugin that processes files itself: `own` names its function."""
    from dataclasses import replace

    from antiphon.cli.terminal.progress import ProgressBar
    from antiphon.kernel.io.decode import path_text
    from antiphon.kernel.io.midifile import SUFFIXES
    from antiphon.kernel.runtime.importing import import_object
    from antiphon.offline.output_summary import Written

    beside = [(f"--{what}", path) for what, path in job.beside.items()]
    target = None if job.target.is_dir() else job.target
    for what, written in (("", target), ("--midi-out", job.midi_out), ("--analysis", job.analysis), *beside):
        if written is None:
            continue
        ending = _ENDINGS.get(what, "")
        if ending and written.suffix.lower() != ending:
            raise FileError(f"cannot write {path_text(written)}: {what} ends in {ending}")
        if what == "--midi-out" and written.suffix.lower() not in SUFFIXES:
            raise FileError(f"cannot write {path_text(written)}: --midi-out ends in {' or '.join(SUFFIXES)}")
        if not written.parent.is_dir():
            raise FileError(f"cannot write {path_text(written)}: its folder does not exist; make it first")
    with ProgressBar(job.plugin, 1000, 1) as progress:
        summary = import_object(own)(replace(job, progress=lambda part: progress.update(round(1000 * part))))
    report(*(summary or (Written(job.target, path_text(job.source)),)))


def plan_jobs(paths: Sequence[str], out_dir: str | None, info: ProcessorInfo) -> list[FileTask]:
    """The files to process. A folder stands for the files directly inside it that the plugin takes.

    Raises:
        UsageError: They are not what the plugin takes.
    """
    from antiphon.cli.files.run_file import suffix_of, suffixes
    from antiphon.kernel.contract.file_use import NOTHING
    from antiphon.kernel.graph.asset_names import locate_asset
    from antiphon.kernel.io.decode import path_text

    alone, default_source = bool(info.on_files.job), info.on_files.default_source
    if alone and default_source and out_dir is None and len(paths) == 1 and not os.path.isdir(paths[0]):
        paths = [default_source if default_source == NOTHING else locate_asset(default_source), *paths]
    lacking = ""
    if out_dir is None and len(paths) == 1:
        lacking = f"; {'OUT' if os.path.exists(paths[0]) else 'IN'} is missing beside {path_text(paths[0])}"
    if info.on_files.splits and out_dir is not None:
        if len(paths) != 1:
            raise UsageError(f"{info.type} takes one IN apart at a time, not {len(paths)}; run it once for each")
        return [FileTask(Path(paths[0]), Path(out_dir))]
    if alone and (out_dir is not None or len(paths) != 2):
        folder = ", or one IN and --out-dir FOLDER for its parts" if info.on_files.splits else ""
        raise UsageError(f"{info.type} takes one IN and one OUT{folder}{lacking}")
    if out_dir is None:
        if len(paths) != 2:
            raise UsageError(f"name one file IN and one file OUT, or several and --out-dir FOLDER{lacking}")
        if os.path.isdir(paths[1]):
            raise UsageError(
                f"{path_text(paths[1])} is a folder; name a file, or write --out-dir {path_text(paths[1])}"
            )
        if os.path.isdir(paths[0]) and not alone:
            raise UsageError(
                f"{path_text(paths[0])} is a folder; write --out-dir {path_text(paths[1])} to do all that is in it"
            )
        return [FileTask(Path(paths[0]), Path(paths[1]))]
    what, endings = suffixes(info)
    return gather_tasks(paths, out_dir, what, endings, lambda source: suffix_of(info, source))


def read_settings(
    plugin: str, given: Sequence[str], loaded: Loaded
) -> tuple[dict[str, Value], tuple[tuple[str, float], ...]]:
    """`NAME=VALUE` texts as values their parameters accept, and when triggers fire; the refusal names what is
    allowed.
    """
    from antiphon.kernel.contract.params import instead_of

    cells = {p.name: p for p in loaded.catalog[plugin].cells if not p.readonly}
    values: dict[str, Value] = {}
    fires: list[tuple[str, float]] = []
    for text in given:
        name, equals, value = text.partition("=")
        param = cells.get(name)
        if not equals:
            raise UsageError(f"-p takes NAME=VALUE, not {text!r}")
        if param is None:
            raise UsageError(f"{plugin} has no parameter {name!r}{instead_of(name, cells.values())}")
        if param.kind == "trigger":
            fires.append((name, _seconds(name, value)))
        elif param.kind == "file":
            path = Path(value).expanduser()
            if not path.exists():
                raise UsageError(f"{name} takes a file, and there is none at {value!r}")
            values[name] = param.check(str(path.absolute()))
        else:
            values[name] = param.typed(value)
    return values, tuple(fires)


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= MAX_TRIGGER:
        raise UsageError(f"{name} takes the seconds at which it fires, 0 or more, not {text!r}")
    return seconds


def _each(
    plugin: str, jobs: Sequence[FileTask], settings: RunSettings, loaded: Loaded, folder: Path, *, force: bool
) -> int:
    """Runs every task and reports failures on standard error; returns the number of failures."""
    from antiphon.cli.files.run_file import one
    from antiphon.kernel.runtime.paths import make_folder

    make_folder(folder)
    failed = 0
    for job in jobs:
        try:
            free([("--out-dir", job.target)], force=force)
            report(one(plugin, job, settings, loaded))
        except AntiphonError as error:
            complain(str(error))
            failed += 1
    if failed:
        complain(f"{failed} of {len(jobs)} files could not be processed")
    return failed
