"""What the commands of `antiphon library` share: where the catalogue is, its progress, a named file's row."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.kernel.errors import UsageError

if TYPE_CHECKING:
    from antiphon.library.catalogue import Catalogue
    from antiphon.library.records import CatalogueRow
    from antiphon.library.scanning import Progress

Files = Annotated[list[Path] | None, typer.Argument(metavar="[FILES]...", help="Sound files, and folders of them.")]


def root_of(context: typer.Context) -> Path:
    """The folder that holds the catalogue: `--root`, or the performer's library of sound files."""
    from antiphon.kernel.runtime import paths

    given: Path | None = context.obj
    return given if given is not None else paths.library()


@contextmanager
def open_catalogue(context: typer.Context, *, make: bool = False) -> Iterator[Catalogue]:
    """The catalogue, for a `with`; `make` where there is none, else a UsageError where `--root` names its folder."""
    from antiphon.kernel.io.decode import path_text
    from antiphon.library.catalogue import Catalogue

    root = root_of(context)
    if not make and context.obj is not None and not Catalogue.exists(root):
        name = path_text(root)
        raise UsageError(f"there is no library in {name}; `antiphon library --root {name} add FOLDER` makes one")
    with Catalogue(root, make=make) as catalogue:
        yield catalogue


@contextmanager
def progress_bar(verb: str) -> Iterator[Progress]:
    """A bar with the time left, on a terminal."""
    from antiphon.cli.terminal.progress import ProgressBar

    bar = ProgressBar(verb, None, 1)

    def update(done: int, total: int, name: str) -> None:
        bar.total, bar.label = total, f"{verb} {name}"
        bar.update(done)

    with bar:
        yield update


def row_of(catalogue: Catalogue, file: Path | bytes) -> CatalogueRow:
    """A file's row; a UsageError where the library has none."""
    from antiphon.kernel.io.decode import path_text
    from antiphon.kernel.runtime.shortening import shorten

    path = file if isinstance(file, bytes) else os.fsencode(file.absolute())
    row = next((row for row in catalogue.rows(path=path) if row.path == path), None)
    if row is None:
        name = shorten(path_text(os.fsdecode(file)), 120)
        if os.path.isdir(path):
            raise UsageError(
                f"{name} is a folder; name a sound file in it (`antiphon library list {name}` has those known)"
            )
        add = f"; `antiphon library add {name}` adds it" if os.path.exists(path) else ", and there is no such file"
        raise UsageError(f"the library {catalogue.path} has no {name}{add}")
    return row


def places_of(files: Sequence[Path] | None) -> list[bytes | None]:
    """What `Catalogue.rows` takes as a path: each of these, or None for all files."""
    return [os.fsencode(file.absolute()) for file in files or ()] or [None]
