"""What is done to the catalogue: files added, analysed, forgotten, placed on a map; and what is identified by it."""

from __future__ import annotations

import math
import os
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.api import FileError, UsageError
from antiphon.api.backends.runtime import ASKER, require_modules, shorten
from antiphon.api.jobs import spell
from antiphon_library.analysing import AnalysisCounts
from antiphon_library.commands.options import ROOT, catalogue_paths, open_catalogue, root_of, row_of
from antiphon_library.operations import (
    AddRequest,
    AnalyseRequest,
    ForgetRequest,
    IdentifyRequest,
    LearnRequest,
    MapRequest,
)
from antiphon_library.records import CatalogueRow, findings
from antiphon_library.scanning import ScanCounts
from antiphon_library.shard_import import ImportCounts

if TYPE_CHECKING:
    from antiphon.api.backends.analysis import IdentifiedFile
    from antiphon.api.backends.transports import Message
    from antiphon_library.chart import Chart
    from antiphon_library.fingerprints import ShardSet

ANSWER = (
    "tempo", "tempo_confidence", "beats", "downbeats", "meter", "key", "key_confidence", "chords", "sections", "kind",
    "kind_confidence",
)  # fmt: skip
"""Quantities in the answer about one file, beside the duration and those of `only`."""


def add(asked: AddRequest) -> ScanCounts | ImportCounts:
    """Adds files, or imports a folder's shards, whose sounds may have moved to the named folder."""
    from antiphon_library import scanning, shard_import

    places, asker = [Path(file) for file in asked.files], ASKER.get()
    if asked.shards and len(places) > 1:
        raise UsageError(
            f"{spell('shards', flag='--from')} takes one folder of sounds: the one that the pipeline read, or a copy"
        )
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
    """All results for one sound. `asked`: names of the requested quantities."""

    row: CatalogueRow
    asked: list[str]

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        values = {**self.row.values, **findings(self.row.duration, self.row.values)}
        return {"duration": self.row.duration, **{name: values.get(name) for name in (*ANSWER, *self.asked)}}


def analyse(asked: AnalyseRequest) -> AnalysedSounds | AnalysedSound:
    """Analyses sounds that lack results."""
    if asked.files == ("-",):
        from antiphon.files.pipes import input_file as standard_input

        with standard_input() as given:
            ROOT.set(given.parent)
            return analyse(msgspec.structs.replace(asked, files=(str(given),)))
    from antiphon.api.backends.analysis import analyses, named_analyses
    from antiphon_library import analysing, scanning
    from antiphon_library.fingerprints import update_shards

    names = named_analyses(asked.only, of_short=True)
    if asked.by:
        require_modules(f"{spell('by')} {asked.by}", [asked.by])
        names = (*names, *named_analyses([asked.by]))
    if not names:
        raise UsageError(
            "no plugin has an analysis; `antiphon plugins` says which plugins there are, and what is wrong"
        )
    files, asker, again = [Path(file) for file in asked.files], ASKER.get(), asked.again
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


class ForgottenFiles(msgspec.Struct):
    """Number of files removed from the catalogue."""

    forgotten: int


def forget(asked: ForgetRequest) -> ForgottenFiles:
    """Removes files from the catalogue."""
    from antiphon_library.records import SUMMARY

    files, missing = [Path(file) for file in asked.files], asked.missing
    if not files and not missing:
        raise UsageError(f"name the files or folders to forget, or give {spell('missing')}")
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
    return ForgottenFiles(count)


def with_name(path: str, problem: str) -> str:
    """Reason with the file's name, added if missing."""
    name = path.rsplit("/", 1)[-1]
    return problem if name in problem else f"{shorten(name, 120)}: {problem}"


@dataclass(frozen=True, slots=True)
class PlacedTracks:
    """A map, its trustworthiness and that of two principal components, and the tracks that are not on it.

    `short`: names of tracks that are too short. `pending`: number of tracks to be analysed first.
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
    """Places the tracks, and draws the map if requested."""
    from antiphon.api.backends.files import png_bytes, printable_path, write_atomic
    from antiphon_library import chart as charts
    from antiphon_library.taste.choosing import TrackTable

    png = Path(asked.png) if asked.png else None
    if png is not None and png.suffix.lower() != ".png":
        raise UsageError(f"cannot write {printable_path(png)}: {spell('png')} ends in .png")
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
    """Numbers of lists read, of the library's tracks in them, and of pairs of these."""

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


# ---- What is identified: a file, or what a running server plays, as it changes

NODE_TYPE = "identify"


PlayingTrack = tuple[int, float | None, float | None]
"""Number of the sound in the catalogue, 0 for none; seconds in it, and the score, if known."""


def watch(host: str, port: int, until: float, load: Callable[[int], str | None]) -> Iterator[PlayingTrack]:
    """What sounds, at each change, until `until` (s, monotonic). `load`: from a track's number to a patch.

    Raises `EngineError`: no server answers; `UsageError`: it has no node of the type; `WireError`:
    it refuses.
    """
    from antiphon.api.backends.transports import encode
    from antiphon.client.asking import follow
    from antiphon.client.connection import OscConnection

    with OscConnection(host, port, tcp=False) as server:
        nodes: set[str] | None = None
        values: dict[str, float] = {}
        last = -1
        for message in follow(server, (encode("/notify", 1), encode("/node/list")), until):
            if message.address == b"/node/list.reply":
                nodes = _nodes(message, nodes)
            elif nodes and (reported := _reported(message, nodes)) is not None:
                values[reported[0]] = reported[1]
                number = round(values.get("track", 0.0))
                # a track's number, position and score come in one bundle, in any order
                if number != last and (number == 0 or {"position", "score"} <= set(values)):
                    last = number
                    yield number, values.get("position"), values.get("score")
                    if (patch := load(number)) is not None:
                        server.send(encode("/patch/load", patch))
                if number == 0:
                    values = {"track": 0.0}


def _nodes(message: Message, before: set[str] | None) -> set[str]:
    """Returns the names of the nodes of the type, and reports when a later patch lacks them."""
    words = [str(word) for word in message.args]
    names = {name for name, kind in zip(words[::2], words[1::2], strict=False) if kind == NODE_TYPE}
    if not names and before is None:
        raise UsageError(
            f"the server has no node of the type {NODE_TYPE}; `antiphon osc /node/add {NODE_TYPE} {NODE_TYPE} in` adds "
            "one behind the input"
        )
    return names


def _reported(message: Message, nodes: set[str]) -> tuple[str, float] | None:
    """Parameter and value of a message about one of the nodes."""
    match message.address.decode("utf-8", "replace").split("/"), message.args:
        case ["", "node", name, ("track" | "position" | "score") as parameter], [float() | int() as value, *_]:
            return (parameter, float(value)) if name in nodes else None
    return None


def read_patches(path: Path) -> Mapping[str, str]:
    """Reads a TOML table from files to patches: `"Music/night.flac" = "night"`.

    Raises `FileError`: it cannot be read, or has other contents.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise FileError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError) as error:
        raise FileError(f"cannot read {path}: {error}") from None
    for name, patch in table.items():
        if not isinstance(patch, str):
            raise FileError(f'{path}: {name} is no patch; a line is "FILE" = "PATCH"')
    return table


def patch_of(patches: Mapping[str, str], files: list[bytes]) -> str | None:
    """Patch of the first file with an entry in a table, by its path or its last part."""
    for file in files:
        path = Path(os.fsdecode(file))
        for name in (str(path), path.name):
            if name in patches:
                return patches[name]
        for name, patch in patches.items():
            if Path(name).absolute() == path:
                return patch
    return None


@dataclass(frozen=True, slots=True)
class IdentifiedRecordings:
    """The recordings that a file is a part of, the best first."""

    matches: Sequence[IdentifiedFile]

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        return {"matches": [_plain(match) for match in self.matches]}


@dataclass(frozen=True, slots=True)
class SoundingTrack:
    """The paths of a track that sounds; `position`: seconds in it, if known."""

    paths: list[str]
    position: float | None
    score: float | None

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        return {"matches": [{"path": path, "offset": self.position, "score": self.score} for path in self.paths]}


def identify(asked: IdentifyRequest) -> IdentifiedRecordings | Iterator[SoundingTrack]:
    """The recordings that a file is a part of; or with `live` what sounds, at each change."""
    from antiphon_library.fingerprints import update_shards
    from antiphon_library.identifying import (
        MIN_SECONDS,
        analysis_of_landmarks,
        compute_file_landmarks,
        identify_files,
    )

    file, seconds = asked.file, asked.seconds
    if asked.live and not file:
        return _live(asked)
    if not file or asked.live:
        raise UsageError(f"name the file to identify, or give {spell('live')}")
    if 0.0 < seconds < MIN_SECONDS:
        raise UsageError(f"{spell('seconds')} takes {MIN_SECONDS:g} or more; 5 is better, and 0 reads the whole file")
    with ASKER.get().progress("listening to") as progress:
        times, hertz = compute_file_landmarks(Path(file), lambda done: progress(round(done), 0, Path(file).name[:60]))
    chosen = times < (seconds or float("inf"))
    with open_catalogue() as catalogue:
        index = update_shards(catalogue)
        check_index(index, catalogue.path, analysis_of_landmarks())
        return IdentifiedRecordings(identify_files(catalogue, index, times[chosen], hertz[chosen]))


def _live(asked: IdentifyRequest) -> Iterator[SoundingTrack]:
    from antiphon.api.backends.cli import osc_port
    from antiphon.api.backends.files import printable_path

    port = osc_port(asked.osc_port, asked.http_port, asked.host)
    table = read_patches(Path(asked.patches)) if asked.patches else {}
    until = time.monotonic() + (asked.seconds or float("inf"))
    with open_catalogue() as catalogue:
        for number, position, score in watch(
            asked.host, port, until, lambda number: patch_of(table, catalogue.files_of_sound(number))
        ):
            paths = [printable_path(os.fsdecode(path)) for path in catalogue.files_of_sound(number)]
            yield SoundingTrack(paths, position, score)


def check_index(index: ShardSet, path: Path, analysis: str) -> None:
    """Warns of damaged or missing parts of an index; UsageError if it is empty. `analysis`: for its landmarks."""
    if index.damaged:
        ASKER.get().complaints.append(
            f"{index.damaged} of the files of fingerprints beside {path} were damaged, and have been made again"
        )
    if not index.present:
        raise UsageError(
            f"the library {path} has no fingerprints: `antiphon library add FOLDER` and then "
            f"`antiphon library analyse --only {analysis}` make them"
        )


def _plain(match: IdentifiedFile) -> dict[str, str | float]:
    from antiphon.api.backends.files import printable_path

    path = printable_path(os.fsdecode(match.path))
    return {"path": path} | {name: getattr(match, name) for name in ("offset", "score", "speed", "kind")}
