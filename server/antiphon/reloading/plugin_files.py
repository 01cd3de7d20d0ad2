"""Files of the performer's plugins: change detection, and immutable copies.

The check and several processes then use one copy: the performer may save again meanwhile.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import FileError
from antiphon.kernel.plugins.checks import CHECK_LIMIT
from antiphon.kernel.runtime import paths

START = "__init__.py"
MAX_FILES = 1000
"""Maximum watched modules of a plugin."""
Stamp = tuple[tuple[str, int, int, int], ...]
"""Change stamp of each module: path, modification time in ns, size in bytes, inode."""


def plugin_folders(root: Path) -> list[str]:
    """Names of the plugin folders, sorted; empty without such a folder."""
    try:
        with os.scandir(root) as entries:
            return sorted(e.name for e in entries if not e.name.startswith((".", "_")) and e.is_dir())
    except OSError:
        return []


def change_stamp(folder: str) -> Stamp:
    """Change stamp of a plugin's modules; empty if it has no `__init__.py` at the moment."""
    found = []
    try:
        for path in _module_paths(folder):
            stat = os.stat(path)
            found.append((path, stat.st_mtime_ns, stat.st_size, stat.st_ino))
            if len(found) >= MAX_FILES:
                break
    except OSError:
        return ()  # an editor is replacing a file
    return tuple(sorted(found))


def _module_paths(folder: str) -> Iterator[str]:
    if not os.path.isfile(os.path.join(folder, START)):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__pycache__")) or entry.name == "tests":
                continue
            if entry.name.endswith(".py"):
                yield entry.path
            elif entry.is_dir():
                yield from _module_paths(entry.path)


def copy(folder: Path, root: Path) -> Path:
    """Copies a plugin into a new folder `root/NUMBER/PLUGIN`.

    Modules are copied; other files, such as weights and samples, are linked.
    """
    if problem := paths.untrusted_folder_reason(folder.parent, folder):
        raise FileError(problem)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = 1 + max((int(name) for name in os.listdir(root) if name.isdigit()), default=0)
        place = root / str(number) / folder.name
        _copy(folder, place)
    except OSError as error:
        raise FileError(f"{folder} cannot be copied into {root}: {paths.os_error_text(error)}") from None
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


BEGUN = {"begun": True}
"""Message sent before the plugin is imported; the time limit starts there."""


@dataclass(frozen=True, slots=True)
class VersionCheck:
    """Request to check one version of a plugin."""

    folder: str
    plugin: str
    rate: int
    block: int
    channels: int
    nodes: tuple[tuple[str, Mapping[str, Value]], ...] = ()
    limit: float = CHECK_LIMIT  # seconds, from the beginning of the import

    def to_json(self) -> dict[str, Any]:
        """The request's fields as JSON values."""
        return asdict(self)
