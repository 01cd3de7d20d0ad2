"""Typer commands of `antiphon library`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from antiphon.api import FileError, UsageError
from antiphon.api.backends.cli import Json, command_group, echo_answer, epilog, progress_bar
from antiphon.api.backends.runtime import argument, require_modules, short_repr, shorten
from antiphon_library.commands import recommending
from antiphon_library.commands.identify import identify
from antiphon_library.commands.options import ROOT, Files, catalogue_paths, open_catalogue, root_of, row_of
from antiphon_library.records import findings

ANSWER = (
    "tempo", "tempo_confidence", "beats", "downbeats", "key", "key_confidence", "chords", "sections", "kind",
    "kind_confidence",
)  # fmt: skip
"""Quantities printed by `library analyse FILE --json`, beside the duration and those of `--only`."""
SECOND_OPINION = "librosa"
"""The value of `--by`, and the name of the analysis."""
SENTENCE = "Catalogue sound files: what they are called, what is in them, which are alike."


def application() -> typer.Typer:
    """The group of commands."""
    app = command_group("library", SENTENCE, _library)
    for name, (command, *examples) in COMMANDS.items():
        app.command(name, epilog=epilog(*examples))(command)
    return app


def _library(
    root: Annotated[
        Path | None,
        argument("The folder of the catalogue; else your library of sound files.", "DIR"),
    ] = None,
) -> None:
    """Catalogue sound files: what they are called, what is in them, which are alike."""
    ROOT.set(root)


def add(
    files: Files = None,
    again: Annotated[bool, argument("Also try bad files again.")] = False,
    shards: Annotated[
        Path | None,
        argument("A pipeline's folder: sounds, with what its step analyse found.", "DIR", flags="--from"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add sound files, or what is new, changed or moved in folders; without any, in the library's own folder."""
    from antiphon.api.backends.cli import endable
    from antiphon_library import scanning

    if shards is not None:
        _add_from_shards(shards, files or [], as_json=as_json)
        return
    kept = endable("what was added is kept, and the same command adds the rest")
    with kept, open_catalogue(make=True) as catalogue, progress_bar("adding") as progress:
        counts = scanning.add(catalogue, files or [root_of()], progress, again=again)
    words = [f"{n} {word}" for word, n in asdict(counts).items() if word != "problems" and n]
    echo_answer(as_json, asdict(counts), (", ".join(words) or "no sound files there",))
    _fail(counts.problems, "" if as_json or not counts.bad else _bad_files(counts.bad))


def _add_from_shards(out: Path, places: Sequence[Path], *, as_json: bool) -> None:
    """Imports shards of the folder `out`. `places`: the sounds' folder, if it was moved."""
    from antiphon_library.shard_import import import_shards

    if len(places) > 1:
        raise UsageError("--from takes one folder of sounds: the one that the pipeline read, or a copy of it")
    with open_catalogue(make=True) as catalogue, progress_bar("adding") as progress:
        counts = import_shards(catalogue, out, places[0] if places else None, progress)
    words = [f"{counts.added:,} sounds added with their results"]
    words += [f"{counts.known:,} that were known have them now"] if counts.known else []
    words += [f"{counts.unknown:,} are not here"] if counts.unknown else []
    echo_answer(as_json, asdict(counts), (", ".join(words),))
    _fail(counts.problems)


def _fail(problems: Sequence[str], besides: str = "") -> None:
    """Says what failed, and `besides` something else; exits with 1 where anything did."""
    from antiphon.api.backends.cli import complain

    for problem in (*problems, *filter(None, [besides])):
        complain(problem)
    if problems:
        raise typer.Exit(1)


def _bad_files(count: int) -> str:
    return f"{count} of them cannot be read; `antiphon library list --bad` says why"


def analyse(
    files: Files = None,
    only: Annotated[list[str] | None, argument("This analysis alone; may be given again.")] = None,
    by: Annotated[str, argument("librosa: also tempo and beats by librosa, to compare.", "librosa")] = "",
    again: Annotated[bool, argument("Also what has been analysed.")] = False,
    as_json: Json = False,
) -> None:
    """Analyse what has not been: these files, which are added, or all. Of one file the result is shown.

    - is standard input, which is not added.
    """
    if files == [Path("-")]:
        from antiphon.api.backends.files import standard_input

        with standard_input() as given:
            ROOT.set(given.parent)
            analyse([given], only, by, again, as_json)
        return
    from antiphon.api.backends.analysis import analyses, named_analyses
    from antiphon.api.backends.cli import complain, endable
    from antiphon_library import analysing, scanning
    from antiphon_library.commands.printing import card
    from antiphon_library.identification.fingerprints import update_shards

    names = named_analyses(only or (), of_short=True)
    if by:
        if by != SECOND_OPINION:
            raise UsageError(f"--by takes {SECOND_OPINION}, not {short_repr(by)}")
        require_modules(f"--by {by}", [by])
        names = (*names, *named_analyses([by]))
    if not names:
        raise UsageError(
            "no plugin has an analysis; `antiphon plugins` says which plugins there are, and what is wrong"
        )
    kept = endable("what was analysed is kept, and the same command analyses the rest")
    with kept, open_catalogue(make=True) as catalogue:
        with progress_bar("adding") as progress:
            added = scanning.add(catalogue, files or (), progress)
        one = files[0] if files and len(files) == 1 and not files[0].is_dir() else None
        if one is not None and (bad := row_of(catalogue, one)).problem:
            raise FileError(bad.problem)
        with progress_bar("analysing") as progress:
            counts = analysing.analyse(catalogue, names, files or (), progress, again=again, any_length=bool(only))
        update_shards(catalogue)
        row = None if one is None else row_of(catalogue, one)
    if row is None and as_json:
        problems = [{"path": path, "problem": problem} for path, problem in counts.problems]
        numbers = {name: getattr(counts, name) for name in ("analysed", "known", "shared")}
        typer.echo(json.dumps({**numbers, "problems": problems}))
    elif row is None:
        others = f", {counts.shared} by another `antiphon library analyse`" if counts.shared else ""
        typer.echo(f"{counts.analysed} analysed, {counts.known} known{others}")
        if added.bad:
            complain(_bad_files(added.bad))
    elif as_json:
        # landmarks are bytes
        asked = [
            each.name
            for name in (*(only or ()), *([by] if by else ()))
            for each in analyses()[name].quantities
            if each.kind != "landmarks"
        ]
        values = {**row.values, **findings(row.duration, row.values)}
        typer.echo(json.dumps({"duration": row.duration, **{name: values.get(name) for name in (*ANSWER, *asked)}}))
    else:
        for line in card(row.full()):
            typer.echo(line)
    for path, remark in counts.remarks:
        complain(with_name(path, remark))
    _fail([*added.problems, *(with_name(path, problem) for path, problem in counts.problems)])


def forget(
    files: Files = None,
    missing: Annotated[bool, argument("Files that are not there any more.")] = False,
    as_json: Json = False,
) -> None:
    """Remove files from the catalogue, with what is known of them. The sound files are not touched."""
    from antiphon.api.backends.cli import complain
    from antiphon_library.records import SUMMARY

    if not files and not missing:
        raise UsageError("name the files or folders to forget, or give --missing")
    with open_catalogue(write=bool(files)) as catalogue:
        rows = [row for place in catalogue_paths(files) for row in catalogue.rows(path=place, only=SUMMARY)]
        kept = 0
        if missing:
            catalogue.mark([row.path for row in rows if row.missing and os.path.lexists(row.path)], missing=False)
            rows = [row for row in rows if not os.path.lexists(row.path)]
            gone = [row for row in rows if row.missing or os.path.isdir(os.path.dirname(row.path))]
            rows, kept = gone, len(rows) - len(gone)
        if files and not missing and not rows:
            row_of(catalogue, files[0])
        count = catalogue.forget({row.path for row in rows})
    echo_answer(as_json, {"forgotten": count}, (f"{count} forgotten",))
    if kept:
        complain(
            f"{kept} {'file is' if kept == 1 else 'files are'} kept, whose folders are not there: is their disk "
            "connected? `antiphon library forget FOLDER` forgets them all the same"
        )


def with_name(path: str, problem: str) -> str:
    """Reason with the file's name, added if missing."""
    name = path.rsplit("/", 1)[-1]
    return problem if name in problem else f"{shorten(name, 120)}: {problem}"


COMMANDS: dict[str, tuple[Any, ...]] = {
    "add": (add, "antiphon library add Music"),
    "analyse": (analyse, "antiphon library analyse Music --only loudness"),
    "identify": (identify, "antiphon library identify excerpt.wav"),
    "forget": (forget, "antiphon library forget --missing"),
    "map": (recommending.chart, "antiphon library map --png map.png"),
    "learn": (recommending.learn, "antiphon library learn playlists"),
    "personality": (recommending.personality, "antiphon library personality"),
}
"""Commands in the order of the help page, each with its examples."""
