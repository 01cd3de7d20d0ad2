"""`antiphon new-plugin`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new_plugin(
    name: Annotated[str, typer.Argument(help="Small letters, digits and _.")],
    shape: Annotated[
        str,
        typer.Option(help="sound-sound, sound-notes, notes-notes, library-sound or sound-reference."),
    ] = "sound-sound",
    folder: Annotated[Path | None, typer.Option("--to", help="Where to; else your own plugins' folder.")] = None,
) -> None:
    """Write a plugin that works, with its test and card, for you to change."""
    from antiphon import paths
    from antiphon.newplugin.shapes import SHAPES
    from antiphon.newplugin.writing import write

    place = write(name, shape, folder if folder is not None else paths.made(paths.plugins()))
    files = SHAPES[shape].files
    typer.echo(f"{place} is written; `antiphon plugins` lists it, `antiphon run {name} {files}` plays it")
