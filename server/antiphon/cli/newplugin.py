"""`antiphon new-plugin`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument


def new_plugin(
    name: Annotated[str, argument("Small letters, digits and _.")],
    shape: Annotated[
        str, argument("sound-sound, sound-notes, notes-notes, library-sound or sound-reference.")
    ] = "sound-sound",
    folder: Annotated[Path | None, argument("Where to; else your own plugins' folder.", flags="--to")] = None,
) -> None:
    """Write a working plugin, with its test and card, as a template."""
    from antiphon.kernel.plugins.loader import load
    from antiphon.newplugin import SHAPES, write

    known = load(check=False)
    # a folder with the name of a type or of an installed package would not be loaded
    taken = {*known.catalog, *known.catalog.hooks}
    own = paths.make_folder(paths.plugins())
    place = write(name, shape, folder or own, taken)
    typer.echo(f"{place} is written")
    if folder is None or folder.resolve() == own.resolve():
        typer.echo(f"`antiphon plugins {name}` shows it, `antiphon run {name} {SHAPES[shape].files}` runs it on files")
    else:
        typer.echo(f"`antiphon plugins {name} --plugins-dir {shlex.quote(str(folder))}` shows it")
        typer.echo(f"it is loaded where it is in {own}, or installed with an entry point in the group antiphon")
