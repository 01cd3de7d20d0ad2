"""The files of the performer's plugins: which have changed, and copies of them that do not change any more.

What is checked, and then used by several processes, is one copy: the performer may save again meanwhile.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths

VERSIONS = "versions"
"""Folder, in the server's own, of the versions: `NUMBER/PLUGIN`."""
START = "__init__.py"
MOST_FILES = 1000
"""Most modules of a plugin that are looked at."""
Stamp = tuple[tuple[str, int, int, int], ...]
"""Of each module: path, time of the last change in ns, size in bytes, inode."""


def plugin_folders(root: Path) -> list[str]:
    """The names of the folders that are plugins, sorted; none where there is no such folder."""
    try:
        with os.scandir(root) as entries:
            return sorted(e.name for e in entries if not e.name.startswith((".", "_")) and e.is_dir())
    except OSError:
        return []


def stamp(folder: str) -> Stamp:
    """A value that changes with the modules of a plugin; empty where it has no `__init__.py` at the moment."""
    found = []
    try:
        for path in _modules(folder):
            stat = os.stat(path)
            found.append((path, stat.st_mtime_ns, stat.st_size, stat.st_ino))
            if len(found) >= MOST_FILES:
                break
    except OSError:
        return ()  # an editor is replacing a file
    return tuple(sorted(found))


def _modules(folder: str) -> Iterator[str]:
    if not os.path.isfile(os.path.join(folder, START)):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__pycache__")) or entry.name == "tests":
                continue
            if entry.name.endswith(".py"):
                yield entry.path
            elif entry.is_dir():
                yield from _modules(entry.path)


def copy(folder: Path, root: Path) -> Path:
    """Copies a plugin into a new folder `root/NUMBER/PLUGIN`.

    Modules are copied; everything else, as weights and samples, is linked.

    Raises:
        FileError: It cannot be copied, or others may write in it.
    """
    if problem := paths.open_to_others(folder.parent, folder):
        raise FileError(problem)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = 1 + max((int(name) for name in os.listdir(root) if name.isdigit()), default=0)
        place = root / str(number) / folder.name
        _copy(folder, place)
    except OSError as error:
        raise FileError(f"{folder} cannot be copied into {root}: {paths.why(error)}") from None
    return place


def _copy(folder: Path, place: Path) -> None:
    place.mkdir(mode=0o700, parents=True)
    for entry in folder.iterdir():
        if entry.name in ("__pycache__", "tests") or entry.name.startswith("."):
            continue
        if entry.suffix == ".py":
            shutil.copyfile(entry, place / entry.name)
        elif (entry / START).is_file():
            _copy(entry, place / entry.name)
        else:
            (place / entry.name).symlink_to(entry.resolve())
