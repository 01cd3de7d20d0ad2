"""`antiphon library add --from DIR`: imports the results of the pipeline's step `analyse` into the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from antiphon.api import UsageError
from antiphon.api.backends.cli import echo_answer, progress_bar
from antiphon_library.commands.options import open_catalogue


def add_from_shards(context: typer.Context, out: Path, places: Sequence[Path], *, as_json: bool) -> None:
    """Imports shards of the folder `out`, and prints the counts. `places`: the sounds' folder, if it was moved.

    Raises `UsageError`: more than one folder is named.
    """
    from antiphon.api.backends.cli import complain
    from antiphon_library.shard_import import import_shards

    if len(places) > 1:
        raise UsageError("--from takes one folder of sounds: the one that the pipeline read, or a copy of it")
    with open_catalogue(context, make=True) as catalogue, progress_bar("adding") as progress:
        counts = import_shards(catalogue, out, places[0] if places else None, progress)
    words = [
        f"{counts.added:,} sounds added with their results",
        *([f"{counts.known:,} that were known have them now"] if counts.known else []),
        *([f"{counts.unknown:,} are not here"] if counts.unknown else []),
    ]
    echo_answer(as_json, asdict(counts), (", ".join(words),))
    for problem in counts.problems:
        complain(problem)
    if counts.problems:
        raise typer.Exit(1)
