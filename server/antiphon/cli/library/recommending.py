"""The commands of `antiphon library` that recommend: `next`, `personality`, `learn`, and the map."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.library.options import Json, opened, row_of
from antiphon.cli.library.printing import table
from antiphon.errors import UsageError

if TYPE_CHECKING:
    from antiphon.library.catalogue import Catalogue

Named = Annotated[list[Path] | None, typer.Option(metavar="FILE")]


def next_tracks(
    context: typer.Context,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=500, help="Tracks of the playlist.")] = 1,
    after: Annotated[
        Path | None, typer.Option("--after", metavar="FILE", help="The track that was played, as the last one.")
    ] = None,
    like: Annotated[
        list[Path] | None, typer.Option("--like", metavar="FILE", help="One you like; may be given again.")
    ] = None,
    skip: Annotated[
        list[Path] | None, typer.Option("--skip", metavar="FILE", help="One you skipped; may be given again.")
    ] = None,
    dislike: Annotated[
        list[Path] | None, typer.Option("--dislike", metavar="FILE", help="One you never want; may be given again.")
    ] = None,
    playlist: Annotated[
        Path | None, typer.Option("--m3u", metavar="FILE", help="Also write the tracks as a playlist.")
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="First forget all earlier signals.")] = False,
    as_json: Json = False,
) -> None:
    """Say which tracks come next, by what you liked, skipped and disliked, which the catalogue keeps."""
    from antiphon.library.choosing_request import NextRequest, next_summaries

    given = {"like": like, "skip": skip, "dislike": dislike}
    with opened(context) as catalogue:
        if forget:
            catalogue.taste.forget_signals()
        signals = tuple((row_of(catalogue, file).path, kind) for kind, files in given.items() for file in files or ())
        last = None if after is None else row_of(catalogue, after).path
        matches = next_summaries(catalogue, NextRequest(count, last, signals))
    if playlist is not None:
        _write_playlist(playlist, matches)
    _print(matches, as_json)


def _write_playlist(path: Path, matches: Sequence[dict[str, Any]]) -> None:
    from antiphon.runtime.paths import write_atomic

    lines = ["#EXTM3U", *(match["path"] for match in matches)]
    write_atomic(path, ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))


def _print(matches: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"matches": matches}))
        return
    for line in table(matches):
        typer.echo(line)
    if not matches:
        typer.echo("none")


COMMANDS = {"next": next_tracks}
"""By name the commands of this module."""
