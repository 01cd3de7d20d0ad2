"""Declarations of the built-in plugins on disk, so that a start imports none of them.

They are written after an inspection, and are valid while the files that they were made from are unchanged.
"""

import hashlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.runtime import paths

PLAYED = ("processors", "synths")
"""Kinds of registrations that an engine uses."""
KINDS = (*PLAYED, "models", "trainings", "evaluations", "benches", "transports", "analyses", "services")
PLACED = (*PLAYED, "models")
"""Kinds whose factories' places are cached too. Analyses are not, since a performer's own classifiers come and go."""
NAME = "declarations"
_SERVER = Path(__file__).parents[2]


def stamp(folders: Iterator[Path | None]) -> str:
    """Stamp of the sources behind the declarations: names, sizes and times of the plugins' and the server's files."""
    found = hashlib.sha256(f"{platform.python_version()}\n".encode())
    for folder in (_SERVER, *folders):
        for entry in sorted(_sources(folder), key=lambda entry: entry.path) if folder is not None else ():
            held = entry.stat()
            found.update(f"{entry.path} {held.st_size} {held.st_mtime_ns}\n".encode())
    return found.hexdigest()


def _sources(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Sources of a package, without its tests."""
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    yield entry
                elif "." not in entry.name and entry.name not in ("tests", "__pycache__") and entry.is_dir():
                    waiting.append(entry.path)


def read(made_of: str) -> Catalog | None:
    """Reads the declarations that were written with that stamp; None where there are none."""
    try:
        return Catalog.from_json(paths.read_kept(NAME, made_of))
    except (ValueError, KeyError, TypeError, AntiphonError):
        return None


def write(made_of: str, catalog: Catalog) -> None:
    """Writes declarations; if that fails, the next start inspects the processors again."""
    paths.keep(NAME, made_of, catalog.to_json())
