"""Common parts of operations on files: selection of files, their results, device and synth."""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from antiphon.files.scores.midi_suffixes import MIDI_READ
from antiphon.kernel.errors import AntiphonError, FileError, Refusal
from antiphon.kernel.runtime.paths import path_as_spelled
from antiphon.kernel.runtime.sound_formats import FORMATS, READ_SUFFIXES, VIDEOS
from antiphon.kernel.runtime.terms import path_text, spell

if TYPE_CHECKING:
    from antiphon.kernel.graph.graph import Graph
    from antiphon.kernel.plugins.loader import Loaded

J = TypeVar("J")
BACKENDS = "antiphon.backends.info"
"""The module that stores the chosen synth."""
DEVICES = "antiphon.kernel.workers.devices"
"""The module that stores the chosen device; if it has not been imported, none was chosen."""


@dataclass(frozen=True, slots=True)
class FileTask:
    """One file in, one file out."""

    source: Path
    target: Path


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
    if Path(out_dir).exists() and not Path(out_dir).is_dir():
        raise Refusal("out_dir", f"{spell('out_dir', path_text(out_dir))} is not a folder")
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
                reason = f"{path_text(other.source)} and {path_text(source)} would both become {path_text(target)}"
                hint = f"rename one, or run them one after the other with an {spell('out_dir')} for each"
                raise Refusal("source", reason, hint)
    return list(jobs.values())


def _in_folder(
    folder: Path, out_dir: Path, endings: Sequence[str], complain: Callable[[str], None], *, recursive: bool
) -> list[Path]:
    """Accepted files of a folder, in order; ignored ones are reported."""
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
        hint = f"name them {spell('source')}" if recursive else f"{spell('recursive')} goes into them"
        complain(f"{what} left out: {_first(folders)}; {hint}")
    if others and taken:
        complain(f"left out: {_first(others)}; taken are files whose names end in {', '.join(endings)}")
    return taken


def _first(paths: Sequence[Path], most: int = 3) -> str:
    """The first paths as text, with the number of the rest."""
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


def count_failures(jobs: Iterable[J], write: Callable[[J], bool], complain: Callable[[str], None]) -> int:
    """Calls `write` for each job, reports errors as complaints, and continues; returns the number of failures."""
    failed = 0
    for job in jobs:
        try:
            failed += not write(job)
        except AntiphonError as error:
            complain(str(error))
            failed += 1
    return failed
