"""`antiphon run`: one plugin over sound files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli import completion
from antiphon.cli.errors import complain, endable
from antiphon.cli.offline import play_with
from antiphon.errors import AntiphonError, FileError, UsageError
from antiphon.filejob import FileJob, apart
from antiphon.instead import instead
from antiphon.paths import identity

if TYPE_CHECKING:
    from antiphon.params import Value
    from antiphon.plugins import Loaded

BLOCK = 1024
MAX_TRIGGER = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Job:
    """One file in, one file out."""

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """What `-p` asked for. fires: trigger parameters and the seconds at which they fire."""

    values: dict[str, Value]
    fires: tuple[tuple[str, float], ...]


def run(
    plugin: Annotated[
        str,
        typer.Argument(help="The processor, as `antiphon plugins` lists it.", autocompletion=completion.plugins),
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
    out_dir: Annotated[str | None, typer.Option("--out-dir", help="A folder for the results, names kept.")] = None,
    block: Annotated[int, typer.Option("--block", help="Frames at a time, 32 to 2048.")] = BLOCK,
    device: Annotated[str, typer.Option("--device", help="What models run on: auto, cpu or cuda.")] = "auto",
    midi_out: Annotated[str, typer.Option("--midi-out", metavar="F.mid", help="The notes it hears, as a file.")] = "",
    analysis: Annotated[str, typer.Option("--analysis", metavar="F.json", help="What it finds out, as a file.")] = "",
) -> None:
    """Run a plugin over sound files: same rate, channels and length, the plugin's latency taken out.

    -p learn=0.5 on a trigger fires it at 0.5 s. A parameter of kind file takes any path.
    """
    from antiphon.block import MAX_BLOCK, MIN_BLOCK
    from antiphon.graph import known_type
    from antiphon.plugins import load

    if not MIN_BLOCK <= block <= MAX_BLOCK:
        raise UsageError(f"--block takes {MIN_BLOCK} to {MAX_BLOCK} frames, not {block}")
    jobs = plan_jobs(paths, out_dir)
    with endable():
        loaded = load(check=False)
        known_type(plugin, loaded.catalog)
        play_with(device, "auto", loaded)
        settings = read_settings(plugin, param or [], loaded)
        files = [
            (p.name, str(settings.values[p.name]))
            for p in loaded.catalog[plugin].cells
            if p.kind == "file" and p.name in settings.values
        ]
        beside = [(what, path) for what, path in (("--midi-out", midi_out), ("--analysis", analysis)) if path]
        mend = "" if out_dir is None else "name another folder with --out-dir"
        apart(files, [("OUT", job.target) for job in jobs], mend)
        outs = [("OUT", job.target) for job in jobs if identity(job.target) != identity(job.source)]
        apart([*(("IN", job.source) for job in jobs), *files], [*outs, *beside], mend)
        own = loaded.make(plugin).files
        if own:
            job = FileJob(
                plugin, Path(paths[0]), Path(paths[-1]), settings.values, block, _path(midi_out), _path(analysis)
            )
            _by_itself(own, job, paths, out_dir)
            return
        if midi_out or analysis:
            raise UsageError(f"{plugin} writes no {'MIDI' if midi_out else 'analysis'}; leave that option out")
        if out_dir is None:
            _one(plugin, jobs[0], settings, loaded, block)
            return
        if _each(plugin, jobs, settings, loaded, block, Path(out_dir)):
            raise typer.Exit(1)


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _by_itself(own: str, job: FileJob, paths: Sequence[str], out_dir: str | None) -> None:
    """A plugin that does its files itself: `named` is its function."""
    from dataclasses import replace

    from antiphon.cli.progress import Progress
    from antiphon.importing import named
    from antiphon.io.decode import shown
    from antiphon.io.midifile import SUFFIXES

    if out_dir is not None or len(paths) != 2:
        raise UsageError(f"{job.plugin} takes one IN and one OUT")
    for what, written in (("", job.target), ("--midi-out", job.midi_out), ("--analysis", job.analysis)):
        if written is None:
            continue
        if what == "--midi-out" and written.suffix.lower() not in SUFFIXES:
            raise FileError(f"cannot write {shown(written)}: --midi-out ends in {' or '.join(SUFFIXES)}")
        if not os.path.isdir(written.parent):
            raise FileError(f"cannot write {shown(written)}: its folder does not exist; make it first")
    if not job.source.exists():
        raise FileError(f"cannot read {shown(job.source)}: there is no such file or folder")
    with Progress(job.plugin, 1000, 1) as progress:
        named(own)(replace(job, progress=lambda part: progress.update(round(1000 * part))))


def plan_jobs(paths: Sequence[str], out_dir: str | None) -> list[Job]:
    """The files to do. A folder stands for the sound files directly inside it."""
    from antiphon.io.audiowrite import FORMATS
    from antiphon.io.decode import shown

    if out_dir is None:
        if len(paths) != 2:
            raise UsageError("name one file IN and one file OUT, or several and --out-dir FOLDER")
        if Path(paths[1]).is_dir():
            raise UsageError(f"{shown(paths[1])} is a folder; name a file, or write --out-dir {shown(paths[1])}")
        return [Job(Path(paths[0]), Path(paths[1]))]
    if Path(out_dir).exists() and not Path(out_dir).is_dir():
        raise UsageError(f"--out-dir {shown(out_dir)} is not a folder")
    jobs: dict[Path, Job] = {}
    for path in map(Path, paths):
        found = [path]
        if path.is_dir():
            try:
                found = sorted(p for p in path.iterdir() if p.suffix.lower() in FORMATS and not p.name.startswith("."))
            except OSError as error:
                raise FileError(f"cannot read {shown(path)}: {(error.strerror or str(error)).lower()}") from None
            if not found:
                raise FileError(f"{shown(path)} holds no sound files; their names end in {', '.join(FORMATS)}")
        for source in found:
            target = Path(out_dir) / source.name
            other = jobs.setdefault(target, Job(source, target))
            if other.source != source:
                raise UsageError(f"{shown(other.source)} and {shown(source)} would both become {shown(target)}")
    return list(jobs.values())


def read_settings(plugin: str, given: Sequence[str], loaded: Loaded) -> Settings:
    """`NAME=VALUE` texts as values their parameters accept; the refusal names what is allowed."""
    cells = {p.name: p for p in loaded.catalog[plugin].cells if not p.readonly}
    values: dict[str, Value] = {}
    fires: list[tuple[str, float]] = []
    for text in given:
        name, equals, value = text.partition("=")
        param = cells.get(name)
        if not equals:
            raise UsageError(f"-p takes NAME=VALUE, not {text!r}")
        if param is None:
            raise UsageError(f"{plugin} has no parameter {name!r}{instead(name, cells, 'it has')}")
        if param.kind == "trigger":
            fires.append((name, _seconds(name, value)))
        elif param.kind == "file":
            path = Path(value).expanduser()
            if not path.exists():
                raise UsageError(f"{name} takes a file, and there is none at {value!r}")
            values[name] = param.check(str(path.absolute()))
        else:
            values[name] = param.typed(value)
    return Settings(values, tuple(fires))


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= MAX_TRIGGER:
        raise UsageError(f"{name} takes the seconds at which it fires, 0 or more, not {text!r}")
    return seconds


def _each(plugin: str, jobs: Sequence[Job], settings: Settings, loaded: Loaded, block: int, folder: Path) -> int:
    """Does every job that can be done; how many could not, each named on standard error."""
    from antiphon.paths import made

    made(folder)
    failed = 0
    for job in jobs:
        try:
            _one(plugin, job, settings, loaded, block)
        except AntiphonError as error:
            complain(str(error))
            failed += 1
    if failed:
        complain(f"{failed} of {len(jobs)} files could not be done")
    return failed


def _one(plugin: str, job: Job, settings: Settings, loaded: Loaded, block: int) -> None:
    from antiphon.block import StreamSpec
    from antiphon.cli.progress import Progress
    from antiphon.io.audiofile import stream
    from antiphon.io.audiowrite import AudioWriter, format_of
    from antiphon.io.decode import shown
    from antiphon.offline import Firing, PlanRunner, process_stream

    format_of(job.target)
    with stream(job.source) as (info, blocks):
        spec = StreamSpec(info.rate, block, info.channels)
        fires = [Firing(round(seconds * info.rate), name) for name, seconds in settings.fires]
        with (
            AudioWriter(job.target, info.rate, info.channels, info.subtype) as writer,
            Progress(job.source.name, info.frames, info.rate) as progress,
        ):
            with closing(PlanRunner(plugin, loaded.catalog, loaded.make, spec, settings.values, fires)) as runner:
                for samples in process_stream(blocks, runner, progress=progress.update):
                    writer.write(samples)
            late = next((f for f in fires if f.sample >= writer.frames > 0), None)
            if late is not None:
                raise UsageError(
                    f"{late.param} would fire at {late.sample / info.rate:g} s, after the end of "
                    f"{shown(job.source)} ({writer.frames / info.rate:g} s)"
                )
    if writer.clipped:
        complain(f"{writer.name}: {writer.clipped} samples were over full scale and are cut to it; lower the level")
