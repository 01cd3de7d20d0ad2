"""`antiphon library identify`: which file of the catalogue a sound comes from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.api import UsageError
from antiphon.api.backends.cli import (
    OSC_PORT,
    Host,
    InsteadOfOsc,
    Json,
    OscPort,
    echo_answer,
    osc_port as osc_port_at,
    progress_bar,
)
from antiphon_library.commands.options import open_catalogue

if TYPE_CHECKING:
    from antiphon.api.backends.analysis import IdentifiedFile
    from antiphon_library.identification.shards import ShardSet


def identify(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A sound file: 5 to 10 s of it are enough.")] = None,
    live: Annotated[bool, typer.Option("--live", help="What sounds in the running server, as it changes.")] = False,
    seconds: Annotated[
        float, typer.Option(min=0.0, help="End --live after so many; 0 for Ctrl-C. Of a file: use only so many.")
    ] = 0.0,
    patches: Annotated[
        Path | None,
        typer.Option("--patches", metavar="FILE", help='TOML, "FILE" = "PATCH": a track that begins loads its patch.'),
    ] = None,
    host: Host = "127.0.0.1",
    osc_port: OscPort = OSC_PORT,
    http_port: InsteadOfOsc = None,
    as_json: Json = False,
) -> None:
    """Say which catalogued recording a file, or what sounds live, is a part of, and where in it."""
    from antiphon_library.identification.identifying import (
        SHORTEST,
        analysis_of_landmarks,
        identify_files,
        landmarks_of,
    )
    from antiphon_library.identification.shards import update_shards

    if live and file is None:
        _live(context, host, osc_port_at(osc_port, http_port), seconds, patches, as_json)
        return
    if file is None or live:
        raise UsageError("name the file to identify, or give --live")
    if 0.0 < seconds < SHORTEST:
        raise UsageError(f"--seconds of a file takes {SHORTEST:g} or more; 5 s are better, and 0 is all of it")
    with progress_bar("listening to") as progress:
        times, hertz = landmarks_of(file, lambda done: progress(round(done), 0, file.name[:60]))
    chosen = times < (seconds or float("inf"))
    with open_catalogue(context) as catalogue:
        index = update_shards(catalogue)
        check_index(index, catalogue.path, analysis_of_landmarks())
        found = identify_files(catalogue, index, times[chosen], hertz[chosen])
    echo_answer(as_json, {"matches": [_plain(match) for match in found]}, lines(found))


def _live(context: typer.Context, host: str, port: int, seconds: float, patches: Path | None, as_json: bool) -> None:
    """Prints a line whenever another track sounds."""
    from antiphon.api.backends.files import printable_path
    from antiphon_library.commands.live import patch_of, read_patches, watch
    from antiphon_library.commands.printing import clock

    table = {} if patches is None else read_patches(patches)
    until = time.monotonic() + (seconds or float("inf"))
    with open_catalogue(context) as catalogue:
        for track in watch(host, port, until, lambda number: patch_of(table, catalogue.files_of_sound(number))):
            paths = [printable_path(os.fsdecode(path)) for path in catalogue.files_of_sound(track.number)]
            if as_json:
                matches = [{"path": path, "offset": track.position, "score": track.score} for path in paths]
                typer.echo(json.dumps({"matches": matches}))
            else:
                where = f"at {clock(track.position)}  {paths[0]}" if paths else "nothing that is known"
                typer.echo(f"{time.strftime('%H:%M:%S')}  {where}")


def check_index(index: ShardSet, path: Path, analysis: str) -> None:
    """Warns of what is missing or damaged in an index; a UsageError if it is empty. `analysis` gives its landmarks."""
    from antiphon.api.backends.cli import complain

    if index.damaged:
        complain(f"{index.damaged} of the files of fingerprints beside {path} were damaged, and have been made again")
    if not index.present:
        raise UsageError(
            f"the library {path} has no fingerprints: `antiphon library add FOLDER` and then "
            f"`antiphon library analyse --only {analysis}` make them"
        )


def lines(found: Sequence[IdentifiedFile]) -> list[str]:
    """A line for each file: score, where in it, its path, and whether it is another recording of the piece."""
    from antiphon.api.backends.files import printable_path
    from antiphon_library.commands.printing import clock

    rows = []
    for match in found:
        speed = "" if match.speed == 1.0 else f"  at {match.speed:.2%} of its speed"
        where = f"-{clock(-match.offset)}" if match.offset < -0.5 else clock(max(0.0, match.offset))
        piece = "" if match.kind == "recording" else "  the same piece, another recording"
        rows.append(f"{match.score:5.2f}  from {where:>7}  {printable_path(os.fsdecode(match.path))}{speed}{piece}")
    return rows or ["unknown"]


def _plain(match: IdentifiedFile) -> dict[str, str | float]:
    from antiphon.api.backends.files import printable_path

    return {
        "path": printable_path(os.fsdecode(match.path)),
        "offset": match.offset,
        "score": match.score,
        "speed": match.speed,
        "kind": match.kind,
    }
