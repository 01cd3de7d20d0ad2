"""Finds files below a folder, in order, and the folder that holds them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from antiphon.api import FileError

MAX_FILES = 2_000_000
"""Maximum files of one data set; the largest has 300,000."""


def files_below(folder: Path, *suffixes: str) -> Iterator[Path]:
    """Files of known suffixes below a folder, sorted; hidden ones and links to folders are left out.

    Raises `FileError`: there are more than `MAX_FILES`.
    """
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                count += 1
                if count > MAX_FILES:
                    raise FileError(f"{folder} holds more than {MAX_FILES:,} files: give the data set's own folder")
                yield Path(place) / name


def first_folder(root: Path, names: Sequence[str]) -> Path | None:
    """The first of these folders that exists; "." is the data set's own."""
    return next((root / name for name in names if (root / name).is_dir()), None)


def layout_error(root: Path, name: str, wanted: str) -> FileError:
    """The error for a folder that is laid out otherwise."""
    return FileError(f"{root} is not laid out as {name} is: {wanted}")


def relative(path: Path, root: Path) -> str:
    """A path below the data set's folder, with "/"."""
    return path.relative_to(root).as_posix()
