"""`antiphon dataset`: checks completeness and splits of a data set."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
from click.exceptions import Exit

from antiphon.api.backends.cli import CommandGroup, Json, command_group, echo_answer, epilog
from antiphon.api.backends.runtime import argument

if TYPE_CHECKING:
    from antiphon_models.datasets.records import Report

SENTENCE = "Look at data sets for training: what is there, what is missing or damaged, how it is split."
MAX_SHOWN = 10
"""Maximum printed lines of each list; `--json` prints the whole list."""


def application() -> CommandGroup:
    """The group of commands."""
    app = command_group("dataset", SENTENCE)
    app.command("check", epilog=epilog("antiphon dataset check gtzan GTZAN"))(check)
    app.command("list", epilog=epilog("antiphon dataset list"))(listing)
    app.command("items", epilog=epilog("antiphon dataset items gtzan GTZAN"))(items)
    fetched = 'antiphon dataset fetch freesound "rain on leaves" rain --longest 20'
    app.command("fetch", epilog=epilog(fetched))(fetch)
    return app


def check(
    name: Annotated[str, argument("A name of `antiphon dataset list`.")],
    path: Annotated[Path, argument("The folder that it was unpacked into.")],
    thorough: Annotated[bool, argument("Decode all of each sound, and compare digests where there are some.")] = False,
    as_json: Json = False,
) -> None:
    """Count a data set's items, name what is missing, damaged or known to be faulty. Exit 1 if anything is missing or
    damaged."""
    from antiphon.api.backends.cli import progress_bar
    from antiphon_models.datasets.checking import check as checked

    with progress_bar("checking") as progress:
        report = checked(name, path, progress, thorough=thorough)
    echo_answer(as_json, {**asdict(report), "whole": report.whole}, _lines(report))
    if not report.whole:
        raise Exit(1)


def listing(as_json: Json = False) -> None:
    """List the data sets that can be read, and what the folder of each looks like."""
    from antiphon_models.datasets.layouts import LAYOUTS

    rows = [{"name": one.name, "title": one.title, "tree": one.tree} for one in LAYOUTS]
    echo_answer(as_json, {"datasets": rows}, (f"{one.name:<18} {one.title}: {one.tree}" for one in LAYOUTS))


def items(
    name: Annotated[str, argument("A name of `antiphon dataset list`.")],
    path: Annotated[Path, argument("The folder that it was unpacked into.")],
) -> None:
    """Print each item as a JSON object on a line: files, which of them are missing, split, labels, tempo, keys, beats,
    chords, sections, stems."""
    from antiphon_models.datasets.annotations import annotations_of
    from antiphon_models.datasets.layouts import listing_of

    partial, listed = 0, listing_of(name, path).items
    for item in listed:
        missing = [file for file in item.files if not (path / file).is_file()]
        partial += bool(missing)
        click.echo(json.dumps({**asdict(item), **asdict(annotations_of(path, item)), "missing": missing}))
    if partial:
        click.echo(f"{partial:,} of {len(listed):,} items have missing files", err=True)


@dataclass(frozen=True, slots=True)
class WantedSounds:
    """Selects which of the found sounds are fetched."""

    most: Annotated[int, argument("Sounds, at most.")] = 100
    longest: Annotated[float, argument("Seconds of a sound; 0 for any.", low=0.0)] = 0.0
    licence: Annotated[list[str] | None, argument("cc0, by or by-nc; may be given again; without, any.")] = None


def fetch(
    source: Annotated[str, argument("Where from: freesound.")],
    query: Annotated[str, argument("Words, as in the site's own search.")],
    folder: Annotated[Path, argument("Where to: a data set `freesound`.")],
    key_file: Annotated[Path | None, argument("Your key of its API; else ANTIPHON_FREESOUND_KEY.")] = None,
    *,
    wanted: WantedSounds,
    server: Annotated[str, argument("Where the API is.")] = "https://freesound.org",
    as_json: Json = False,
) -> None:
    """Fetch the previews of a search, with tags, owner and licence of each. What is there is not fetched again."""
    from antiphon.api import UsageError
    from antiphon.api.backends.cli import progress_bar
    from antiphon_models.datasets.freesound import Freesound, FreesoundSearch, key_from

    if source != "freesound":
        raise UsageError(f"there is nothing to fetch from {source!r}; there is freesound")
    search = FreesoundSearch(query, wanted.most, wanted.longest, tuple(wanted.licence or ()))
    with progress_bar("fetching") as progress:
        counts = Freesound(key_from(key_file), server).fetch(search, folder, progress)
    words = f"{counts.fetched:,} sounds fetched, {counts.known:,} were there, {counts.left:,} left out"
    echo_answer(as_json, asdict(counts), (words,))


def _lines(report: Report) -> list[str]:
    published = f" of {report.published:,} published" if report.published else ""
    part = f" ({report.part})" if report.part else ""
    out = [f"{report.name}{part}: {report.items:,} items{published}, {report.files:,} files"]
    for word, found in (
        ("missing", report.missing),
        ("damaged", [f"{name}: {reason}" for name, reason in report.damaged.items()]),
        ("known to be faulty", [f"{name}: {reason}" for name, reason in report.faulty.items()]),
    ):
        out.append(f"{word}: {len(found):,}")
        out += [f"  {line}" for line in found[:MAX_SHOWN]]
        if len(found) > MAX_SHOWN:
            out.append(f"  and {len(found) - MAX_SHOWN:,} more; --json names them")
    counts = ", ".join(f"{split or 'in none'} {count:,}" for split, count in report.splits.items())
    out.append(f"splits, of what is whole: {counts or 'none'}; {report.split_by or 'not known'}")
    if report.shared:
        out.append(
            f"{len(report.shared):,} times one {report.shared_by} is in more than one split: {report.shared[0]}, …"
        )
    if report.labels:
        most = ", ".join(f"{label} {count:,}" for label, count in list(report.labels.items())[:MAX_SHOWN])
        out.append(f"labels: {most}{', …' if len(report.labels) > MAX_SHOWN else ''}")
    if report.annotated:
        out.append(f"annotated: {', '.join(f'{kind} {count:,}' for kind, count in report.annotated.items())}")
    return [*out, *report.notes]
