"""The commands of `antiphon library` that recommend: `next`, `learn`, `personality` and the map."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from antiphon.api import UsageError
from antiphon.api.backends.cli import Json, echo_answer
from antiphon_library.commands.options import open_catalogue, row_of
from antiphon_library.commands.personality import personality
from antiphon_library.commands.printing import print_rows

MOST_NAMED = 5
"""Files that a sentence names."""


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
    from antiphon_library.taste.choosing_request import NextRequest, next_summaries

    given = {"like": like, "skip": skip, "dislike": dislike}
    with open_catalogue(context) as catalogue:
        if forget:
            catalogue.taste.forget_signals()
        signals = tuple((row_of(catalogue, file).path, kind) for kind, files in given.items() for file in files or ())
        last = None if after is None else row_of(catalogue, after).path
        matches = next_summaries(catalogue, NextRequest(count, last, signals))
    if playlist is not None:
        _write_playlist(playlist, matches)
    print_rows({"matches": matches}, "matches", as_json)


def _write_playlist(path: Path, matches: Sequence[dict[str, Any]]) -> None:
    from antiphon.api.backends.files import write_atomic

    lines = ["#EXTM3U", *(match["path"] for match in matches)]
    write_atomic(path, ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))


def chart(
    context: typer.Context,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw it into this file.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Place all tracks anew, not only the new ones.")] = False,
    as_json: Json = False,
) -> None:
    """Place tracks, artists and genres on a map: what sounds alike is near."""
    from antiphon.api.backends.files import printable_path
    from antiphon_library.map import chart as charts

    if png is not None and png.suffix.lower() != ".png":
        raise UsageError(f"cannot write {printable_path(png)}: --png ends in .png")
    from antiphon.api.backends.files import write_atomic
    from antiphon_library.taste.choosing import TrackTable

    with open_catalogue(context) as catalogue:
        tracks = TrackTable.load(catalogue.taste)
        placement = charts.place_tracks(catalogue, tracks, again=again)
        without = [row for row in tracks.rows if row.vector is None]
        sounds = catalogue.taste.sounds_without_vector()
        short, pending = ([row for row in without if (row.id in sounds) == known] for known in (True, False))
    found = charts.chart(placement, len(tracks.rows) - len(placement.rows))
    trust, flat = (None if math.isnan(value) else round(value, 4) for value in placement.trust())
    if png is not None:
        from antiphon.api.backends.files import png_bytes
        from antiphon_library.map import picture

        write_atomic(png, png_bytes(picture.draw(found)))
    if as_json:
        typer.echo(json.dumps({**found.plain(), "trustworthiness": {"k": 10, "map": trust, "pca": flat}}))
        return
    typer.echo(f"{len(found.tracks)} tracks, {len(found.artists)} artists, {len(found.genres)} genres on the map")
    if trust is not None:
        typer.echo(f"trustworthiness {trust:.3f} at k = 10; two principal components {flat:.3f}")
    if pending:
        typer.echo(f"{len(pending)} not on it: `antiphon library analyse` analyses them first")
    if short:
        names = ", ".join(printable_path(os.fsdecode(os.path.basename(row.path))) for row in short[:MOST_NAMED])
        more = f" and {len(short) - MOST_NAMED} more" if len(short) > MOST_NAMED else ""
        typer.echo(f"{len(short)} cannot be placed, for they are silent or too short: {names}{more}")
    for genre in found.genres[:30]:
        typer.echo(f"  {genre['name']}: {genre['tracks']}")


def learn(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Of the Million Playlist's slices, or Last.fm 360K's table of plays.")],
    most: Annotated[int, typer.Option("--most", min=1, help="Playlists or people that are read.")] = 200_000,
    as_json: Json = False,
) -> None:
    """Learn from logs of others which of your tracks are played together; `next` uses it."""
    from antiphon_library.taste import logs

    with open_catalogue(context) as catalogue:
        count, matched, pairs = logs.count_companions(catalogue.taste.tracks(), logs.lists(folder, most))
        catalogue.taste.put_companions(pairs)
    words = f"{count} lists, {matched} of your tracks in them, {len(pairs) // 2} pairs learned"
    echo_answer(as_json, {"lists": count, "tracks": matched, "pairs": len(pairs) // 2}, (words,))


COMMANDS: Mapping[str, Callable[..., None]] = {
    "next": next_tracks,
    "map": chart,
    "learn": learn,
    "personality": personality,
}
"""By name the commands of this module."""
