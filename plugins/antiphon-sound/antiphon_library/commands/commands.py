"""What is done to the catalogue: files added, analysed, forgotten and placed on a map, and logs read."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.api import FileError, UsageError
from antiphon.api.backends.runtime import ASKER, require_modules, shorten
from antiphon_library.analysing import AnalysisCounts
from antiphon_library.commands.options import ROOT, catalogue_paths, open_catalogue, root_of, row_of
from antiphon_library.operations import AddRequest, AnalyseRequest, ForgetRequest, LearnRequest, MapRequest
from antiphon_library.records import CatalogueRow, findings
from antiphon_library.scanning import ScanCounts
from antiphon_library.shard_import import ImportCounts

if TYPE_CHECKING:
    from antiphon_library.chart import Chart

ANSWER = (
    "tempo", "tempo_confidence", "beats", "downbeats", "key", "key_confidence", "chords", "sections", "kind",
    "kind_confidence",
)  # fmt: skip
"""Quantities in the answer about one file, beside the duration and those of `only`."""


def paths_of(files: Iterable[str]) -> list[Path]:
    """Files that were named."""
    return [Path(file) for file in files]


def add(asked: AddRequest) -> ScanCounts | ImportCounts:
    """Adds files, or imports the shards of a folder, whose sounds may have been moved into the named one."""
    from antiphon_library import scanning, shard_import

    places, asker = paths_of(asked.files), ASKER.get()
    if asked.shards and len(places) > 1:
        raise UsageError("--from takes one folder of sounds: the one that the pipeline read, or a copy of it")
    counts: ScanCounts | ImportCounts
    with open_catalogue(make=True) as catalogue, asker.progress("adding") as progress:
        if asked.shards:
            moved = places[0] if places else None
            counts = shard_import.import_shards(catalogue, Path(asked.shards), moved, progress)
        else:
            counts = scanning.add(catalogue, places or [root_of()], progress, again=asked.again)
    asker.fail(counts.problems)
    return counts


@dataclass(frozen=True, slots=True)
class AnalysedSounds:
    """Counts of an analysis of several sounds. `bad`: files that cannot be read."""

    counts: AnalysisCounts
    bad: int

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        problems = [{"path": path, "problem": problem} for path, problem in self.counts.problems]
        return {name: getattr(self.counts, name) for name in ("analysed", "known", "shared")} | {"problems": problems}


@dataclass(frozen=True, slots=True)
class AnalysedSound:
    """What is known of one sound. `asked`: names of quantities that were asked for."""

    row: CatalogueRow
    asked: list[str]

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        values = {**self.row.values, **findings(self.row.duration, self.row.values)}
        return {"duration": self.row.duration, **{name: values.get(name) for name in (*ANSWER, *self.asked)}}


def analyse(asked: AnalyseRequest) -> AnalysedSounds | AnalysedSound:
    """Analyses what has not been."""
    if asked.files == ("-",):
        from antiphon.api.backends.files import standard_input

        with standard_input() as given:
            ROOT.set(given.parent)
            return analyse(msgspec.structs.replace(asked, files=(str(given),)))
    from antiphon.api.backends.analysis import analyses, named_analyses
    from antiphon_library import analysing, scanning
    from antiphon_library.fingerprints import update_shards

    names = named_analyses(asked.only, of_short=True)
    if asked.by:
        require_modules(f"--by {asked.by}", [asked.by])
        names = (*names, *named_analyses([asked.by]))
    if not names:
        raise UsageError(
            "no plugin has an analysis; `antiphon plugins` says which plugins there are, and what is wrong"
        )
    files, asker, again = paths_of(asked.files), ASKER.get(), asked.again
    with open_catalogue(make=True) as catalogue:
        with asker.progress("adding") as progress:
            added = scanning.add(catalogue, files, progress)
        one = files[0] if len(files) == 1 and not files[0].is_dir() else None
        if one is not None and (bad := row_of(catalogue, one)).problem:
            raise FileError(bad.problem)
        with asker.progress("analysing") as progress:
            counts = analysing.analyse(catalogue, names, files, progress, again=again, any_length=bool(asked.only))
        update_shards(catalogue)
        row = None if one is None else row_of(catalogue, one)
    asker.complaints += (with_name(path, remark) for path, remark in counts.remarks)
    asker.fail([*added.problems, *(with_name(path, problem) for path, problem in counts.problems)])
    if row is None:
        return AnalysedSounds(counts, added.bad)
    quantities = (each for name in (*asked.only, asked.by) if name for each in analyses()[name].quantities)
    return AnalysedSound(row, [each.name for each in quantities if each.kind != "landmarks"])  # which are bytes


class Forgotten(msgspec.Struct):
    """Number of files that are not in the catalogue any more."""

    forgotten: int


def forget(asked: ForgetRequest) -> Forgotten:
    """Removes files from the catalogue."""
    from antiphon_library.records import SUMMARY

    files, missing = paths_of(asked.files), asked.missing
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
    if kept:
        ASKER.get().complaints.append(
            f"{kept} {'file is' if kept == 1 else 'files are'} kept, whose folders are not there: is their disk "
            "connected? `antiphon library forget FOLDER` forgets them all the same"
        )
    return Forgotten(count)


def with_name(path: str, problem: str) -> str:
    """Reason with the file's name, added if missing."""
    name = path.rsplit("/", 1)[-1]
    return problem if name in problem else f"{shorten(name, 120)}: {problem}"


@dataclass(frozen=True, slots=True)
class PlacedTracks:
    """A map, its trustworthiness and that of two principal components, and the tracks that are not on it.

    `short`: those too short, by name. `pending`: number of those to be analysed first.
    """

    chart: Chart
    trust: float | None
    flat: float | None
    short: list[str]
    pending: int

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        return {**self.chart.plain(), "trustworthiness": {"k": 10, "map": self.trust, "pca": self.flat}}


def chart(asked: MapRequest) -> PlacedTracks:
    """Places the tracks, and draws the map where that is asked for."""
    from antiphon.api.backends.files import png_bytes, printable_path, write_atomic
    from antiphon_library import chart as charts
    from antiphon_library.taste.choosing import TrackTable

    png = Path(asked.png) if asked.png else None
    if png is not None and png.suffix.lower() != ".png":
        raise UsageError(f"cannot write {printable_path(png)}: --png ends in .png")
    with open_catalogue() as catalogue:
        tracks = TrackTable.load(catalogue.taste)
        placement = charts.place_tracks(catalogue, tracks, again=asked.again)
        without = [row for row in tracks.rows if row.vector is None]
        sounds = catalogue.taste.sounds_without_vector()
    short = [printable_path(os.fsdecode(os.path.basename(row.path))) for row in without if row.id in sounds]
    found = charts.chart(placement, len(tracks.rows) - len(placement.rows))
    trust, flat = (None if math.isnan(value) else round(value, 4) for value in placement.trust())
    if png is not None:
        write_atomic(png, png_bytes(charts.draw(found)))
    return PlacedTracks(found, trust, flat, short, len(without) - len(short))


class LearnedPairs(msgspec.Struct):
    """Numbers of lists that were read, of the library's tracks in them, and of pairs of these."""

    lists: int
    tracks: int
    pairs: int


def learn(asked: LearnRequest) -> LearnedPairs:
    """Counts which tracks are played together."""
    from antiphon_library.taste import logs

    with open_catalogue() as catalogue:
        lists = logs.lists(Path(asked.folder), asked.most)
        count, matched, pairs = logs.count_companions(catalogue.taste.tracks(), lists)
    with open_catalogue(write=bool(pairs)) as catalogue:
        catalogue.taste.put_companions(pairs)
    return LearnedPairs(count, matched, len(pairs) // 2)
