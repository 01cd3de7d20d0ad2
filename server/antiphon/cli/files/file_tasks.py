"""The files that a command with `--out-dir` goes through."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.cli.terminal.errors import complain
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.io.midifile import SUFFIXES
from antiphon.kernel.runtime.sound_formats import FORMATS, READ_SUFFIXES


@dataclass(frozen=True, slots=True)
class FileTask:
    """One file in, one file out."""

    source: Path
    target: Path


def sound_suffix(source: Path) -> str:
    """The ending of the sound made from a file: its own, or .wav where that is only read."""
    suffix = source.suffix.lower()
    return ".wav" if suffix in SUFFIXES or suffix in set(READ_SUFFIXES) - set(FORMATS) else source.suffix


def gather_tasks(
    paths: Sequence[str], out_dir: str, what: str, endings: Sequence[str], suffix_of: Callable[[Path], str]
) -> list[FileTask]:
    """The files to process. A folder stands for the files directly inside it that the command takes; folders in it are
    named on standard error.

    Args:
        out_dir: Where the results go, under the names of the sources.
        endings: Endings of the names that are taken from a folder, in lower case.
        suffix_of: The ending of the result's name for a source.

    Raises:
        UsageError: `out_dir` is no folder, or two sources would have one result.
        FileError: A folder cannot be read or holds no such file, or a pattern that the shell passed on matches none.
    """
    from antiphon.kernel.io.decode import path_text

    if Path(out_dir).exists() and not Path(out_dir).is_dir():
        raise UsageError(f"--out-dir {path_text(out_dir)} is not a folder")
    jobs: dict[Path, FileTask] = {}
    for path in map(Path, paths):
        inputs = [path]
        if glob.has_magic(str(path)) and not path.exists():
            raise FileError(f"there are no files {path_text(path)}")
        if path.is_dir():
            try:
                shown = sorted(p for p in path.iterdir() if not p.name.startswith("."))
            except OSError as error:
                raise FileError(f"cannot read {path_text(path)}: {(error.strerror or str(error)).lower()}") from None
            inner = [p for p in shown if p.is_dir()]
            inputs = [p for p in shown if p.suffix.lower() in endings and not p.is_dir()]
            if inner:
                which = path_text(inner[0]) + (f" and {len(inner) - 1} more" if inner[1:] else "")
                complain(f"folders in a folder are left out: {which}; name them too")
            if not inputs:
                raise FileError(f"{path_text(path)} holds no {what} files; their names end in {', '.join(endings)}")
        for source in inputs:
            target = Path(out_dir) / source.with_suffix(suffix_of(source)).name
            other = jobs.setdefault(target, FileTask(source, target))
            if other.source != source:
                raise UsageError(
                    f"{path_text(other.source)} and {path_text(source)} would both become {path_text(target)}; "
                    "rename one, or run them one after the other with an --out-dir for each"
                )
    return list(jobs.values())
