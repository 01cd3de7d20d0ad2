"""`antiphon library identify`: which file of the catalogue a sound comes from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.library.options import Json, opened, progress_bar
from antiphon.errors import UsageError

if TYPE_CHECKING:
    from antiphon.library.identifying import IdentifiedFile
    from antiphon.library.shards import ShardSet


def identify(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A sound file: 5 to 10 s of it are enough.")] = None,
    as_json: Json = False,
) -> None:
    """Say which catalogued recording a sound file is a part of, and where in it; nothing for an unknown one."""
    from antiphon.library.identifying import analysis_of_landmarks, identified, landmarks_of
    from antiphon.library.shards import updated

    if file is None:
        raise UsageError("name the file to identify, or give --live")
    with progress_bar("listening to") as progress:
        seconds, hertz = landmarks_of(file, lambda done: progress(round(done), 0, file.name[:60]))
    with opened(context) as catalogue:
        index = updated(catalogue)
        check_index(index, catalogue.path, analysis_of_landmarks())
        found = identified(catalogue, index, seconds, hertz)
    if as_json:
        typer.echo(json.dumps({"matches": [_plain(match) for match in found]}))
        return
    for line in lines(found):
        typer.echo(line)


def check_index(index: ShardSet, path: Path, analysis: str) -> None:
    """Says what is wrong with an index.

    Args:
        index: The index.
        path: The catalogue's.
        analysis: The name of the one that gives landmarks.

    Raises:
        UsageError: It is empty.
    """
    from antiphon.cli.terminal.errors import complain

    if index.damaged:
        complain(f"{index.damaged} of the files of fingerprints beside {path} were damaged, and have been made again")
    if not index.present:
        raise UsageError(
            f"the library {path} has no fingerprints: `antiphon library add FOLDER` and then "
            f"`antiphon library analyse --only {analysis}` make them"
        )


def lines(found: Sequence[IdentifiedFile]) -> list[str]:
    """A line for each file: score, where in it, its path."""
    from antiphon.cli.library.printing import clock
    from antiphon.io.decode import shown

    rows = []
    for match in found:
        speed = "" if match.speed == 1.0 else f"  at {match.speed:.2%} of its speed"
        where = f"-{clock(-match.offset)}" if match.offset < -0.5 else clock(max(0.0, match.offset))
        rows.append(f"{match.score:5.2f}  from {where:>7}  {shown(os.fsdecode(match.path))}{speed}")
    return rows or ["unknown"]


def _plain(match: IdentifiedFile) -> dict[str, str | float]:
    from antiphon.io.decode import shown

    return {
        "path": shown(os.fsdecode(match.path)), "offset": match.offset, "score": match.score, "speed": match.speed,
    }  # fmt: skip
