"""Common parts of operations on files: selection of files, their results, device and synth."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from antiphon.files.scores.midi_suffixes import MIDI_READ, MIDI_WRITTEN
from antiphon.kernel.contract.file_use import NOTHING
from antiphon.kernel.errors import AntiphonError, FileError, UsageError
from antiphon.kernel.runtime.paths import path_as_spelled
from antiphon.kernel.runtime.sound_formats import FORMATS, READ_SUFFIXES, VIDEOS
from antiphon.offline.file_job import takes_notes_alone
from antiphon.operations.run_file import FileTask

if TYPE_CHECKING:
    from antiphon.kernel.contract.catalog import ProcessorInfo
    from antiphon.kernel.graph.graph import Graph
    from antiphon.kernel.plugins.loader import Loaded

J = TypeVar("J")
BACKENDS = "antiphon.backends.info"
"""The module that stores the chosen synth."""
DEVICES = "antiphon.kernel.workers.devices"
"""The module that stores the chosen device; if it has not been imported, none was chosen."""


def sound_suffix(source: Path) -> str:
    """Suffix of the output for a file: the same, or .wav for formats that cannot be written."""
    suffix = source.suffix.lower()
    return ".wav" if suffix in MIDI_READ or suffix in set(READ_SUFFIXES) - {*FORMATS, *VIDEOS} else source.suffix


def gather_tasks(
    paths: Sequence[str],
    out_dir: str,
    what: str,
    endings: Sequence[str],
    suffix_of: Callable[[Path], str],
    complain: Callable[[str], None],
    *,
    recursive: bool = False,
) -> list[FileTask]:
    """Lists the files to process. A folder stands for the accepted files directly in it, or with `recursive` also
    below, with results in folders of the same names; other files are reported to `complain`.

    Raises UsageError: `out_dir` is not a folder, or two sources would have the same result. Raises FileError: a folder
    cannot be read or has no such file, or a pattern that the shell did not expand matches none.
    """
    from antiphon.files.decode import path_text

    if Path(out_dir).exists() and not Path(out_dir).is_dir():
        raise UsageError(f"--out-dir {path_text(out_dir)} is not a folder")
    jobs: dict[Path, FileTask] = {}
    for path in map(path_as_spelled, map(Path, paths)):
        inputs = [path]
        if glob.has_magic(str(path)) and not path.exists():
            raise FileError(f"there are no files {path_text(path)}")
        if path.is_dir():
            inputs = _in_folder(path, Path(out_dir), endings, complain, recursive=recursive)
            if not inputs:
                raise FileError(f"{path_text(path)} holds no {what} files; their names end in {', '.join(endings)}")
        for source in inputs:
            inner = source.parent.relative_to(path) if source != path else Path()
            target = Path(out_dir) / inner / source.with_suffix(suffix_of(source)).name
            other = jobs.setdefault(target, FileTask(source, target))
            if other.source != source:
                raise UsageError(
                    f"{path_text(other.source)} and {path_text(source)} would both become {path_text(target)}; "
                    "rename one, or run them one after the other with an --out-dir for each"
                )
    return list(jobs.values())


def _in_folder(
    folder: Path, out_dir: Path, endings: Sequence[str], complain: Callable[[str], None], *, recursive: bool
) -> list[Path]:
    """Accepted files of a folder, in order; ignored ones are reported."""
    from antiphon.files.decode import path_text

    taken, others, folders, waiting = [], [], [], [folder]
    while waiting:
        place = waiting.pop(0)
        try:
            shown = sorted(p for p in place.iterdir() if not p.name.startswith("."))
        except OSError as error:
            raise FileError(f"cannot read {path_text(place)}: {(error.strerror or str(error)).lower()}") from None
        inner = [p for p in shown if p.is_dir() and not (out_dir.exists() and p.samefile(out_dir))]
        folders += [p for p in inner if not recursive or p.is_symlink()]
        waiting = [*(p for p in inner if recursive and not p.is_symlink()), *waiting]
        taken += [p for p in shown if p.suffix.lower() in endings and not p.is_dir()]
        others += [p for p in shown if p.suffix.lower() not in endings and not p.is_dir()]
    if folders:
        what = "links to folders are" if recursive else "folders in a folder are"
        complain(f"{what} left out: {_first(folders)}; {'name them IN' if recursive else '--recursive goes into them'}")
    if others and taken:
        complain(f"left out: {_first(others)}; taken are files whose names end in {', '.join(endings)}")
    return taken


def _first(paths: Sequence[Path], most: int = 3) -> str:
    """The first paths as text, with the number of the rest."""
    from antiphon.files.decode import path_text

    names = ", ".join(path_text(path) for path in paths[:most])
    return f"{names} and {len(paths) - most} more" if len(paths) > most else names


def play_with(device: str, synth: str, loaded: Loaded, graph: Graph | None, complain: Callable[[str], None]) -> None:
    """Sets device and synth of this process. Raises `WorkerError` or `UsageError` if one is not available."""
    if device != "auto" or DEVICES in sys.modules:
        from antiphon.kernel.workers import devices

        devices.resolve(device)
        devices.set_preferred_device(device)
    plays = graph is not None and any(node.type == "synth" for node in graph.nodes)
    if synth == "auto" and not plays and BACKENDS not in sys.modules:
        return  # one is chosen where it is asked for
    from antiphon.backends import info as synths

    if synth == "auto" and not plays:
        synths.use(None)
        return

    chosen = synths.choose(synth, loaded.factories["synths"])
    synths.use(synths.BackendChoice(chosen))
    if plays and synth == "auto" and chosen.name == synths.NULL.name:
        complain(synths.silence(loaded.factories["synths"]))


def suffix_of(info: ProcessorInfo, source: Path) -> str:
    """The ending of the output file for `source`: the same ending if it can be written."""
    if info.first("audio", "out") is None:
        return source.suffix if source.suffix.lower() in MIDI_WRITTEN else MIDI_WRITTEN[0]
    return sound_suffix(source)


def plan_jobs(
    paths: Sequence[str],
    out_dir: str | None,
    info: ProcessorInfo,
    complain: Callable[[str], None],
    *,
    recursive: bool = False,
) -> list[FileTask]:
    """Lists the files to process. A folder stands for its files that the plugin accepts (`gather_tasks`).

    Raises UsageError: the plugin does not take such files.
    """
    from antiphon.files.decode import path_text
    from antiphon.kernel.graph.clips import locate_asset

    paths = [path if path.isascii() else str(path_as_spelled(Path(path))) for path in paths]
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
    what, endings = ("MIDI", MIDI_READ) if takes_notes_alone(info) else ("sound", READ_SUFFIXES)
    suffix = partial(suffix_of, info)
    return gather_tasks(paths, out_dir, what, endings, suffix, complain, recursive=recursive)


def failures(jobs: Iterable[J], write: Callable[[J], bool], complain: Callable[[str], None]) -> int:
    """Calls `write` for each job, reports errors as complaints, and continues; returns the number of failures."""
    failed = 0
    for job in jobs:
        try:
            failed += not write(job)
        except AntiphonError as error:
            complain(str(error))
            failed += 1
    return failed
