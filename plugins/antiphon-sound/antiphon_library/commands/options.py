"""The catalogue's folder, and the row of a named file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.api import AntiphonError, UsageError

if TYPE_CHECKING:
    from antiphon_library.catalogue import Catalogue
    from antiphon_library.records import CatalogueRow

ROOT: ContextVar[Path | None] = ContextVar("ROOT", default=None)
"""The folder given by --root."""


def root_of() -> Path:
    """Folder of the catalogue: `--root`, or the performer's library of sound files."""
    given = ROOT.get()
    from antiphon.api.backends.files import library_folder

    return given if given is not None else library_folder()


@contextmanager
def open_catalogue(*, make: bool = False, write: bool = False) -> Iterator[Catalogue]:
    """Opens the catalogue as a context; `make` creates a missing one, else UsageError if `--root` names its folder.

    `write`: also creates the performer's own, with the shipped sounds, so that rows can be written to it.
    """
    from antiphon.api.backends.files import printable_path
    from antiphon_library.catalogue import Catalogue

    root = root_of()
    if not make and ROOT.get() is not None and not Catalogue.exists(root):
        name = printable_path(root)
        raise UsageError(f"there is no library in {name}; `antiphon library --root {name} add FOLDER` makes one")
    try:
        with Catalogue(root, make=make or (write and ROOT.get() is None)) as catalogue:
            yield catalogue
    except AntiphonError as error:
        error.args = (add_root_option(str(error)), *error.args[1:])
        raise


def add_root_option(text: str) -> str:
    """Adds `--root` to the library's commands in a text, if the folder is not the performer's."""
    from antiphon.api.backends.files import library_folder, printable_path

    root = ROOT.get()
    if root is None or root == library_folder():
        return text
    return text.replace("`antiphon library ", f"`antiphon library --root {printable_path(root)} ")


def row_of(catalogue: Catalogue, file: Path | bytes) -> CatalogueRow:
    """Returns the row of a file; raises UsageError if it is not in the library, whether the file exists or not."""
    from antiphon.api.backends.files import printable_path
    from antiphon.api.backends.runtime import shorten
    from antiphon.kernel.runtime.paths import path_as_spelled

    path = file if isinstance(file, bytes) else os.fsencode(path_as_spelled(file.absolute()))
    rows = list(catalogue.rows(path=path))
    row = next((row for row in rows if row.path == path), None)
    if row is None:
        name = shorten(printable_path(os.fsdecode(file)), 120)
        if rows:
            raise UsageError(
                f"{name} is a folder; name a sound file in it (`antiphon library list {name}` has those known)"
            )
        raise UsageError(
            f"the library {catalogue.path} has no {name}; if it is there, `antiphon library add {name}` adds it"
        )
    return row


def catalogue_paths(files: Sequence[Path] | None) -> list[bytes | None]:
    """Paths for `Catalogue.rows`: each of these, or None for all files."""
    from antiphon.kernel.runtime.paths import path_as_spelled

    return [os.fsencode(path_as_spelled(file.absolute())) for file in files or ()] or [None]
