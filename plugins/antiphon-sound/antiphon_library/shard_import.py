"""Import of analysis shards into the catalogue, equivalent to a local `analyse`."""

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from antiphon.api import FileError
from antiphon.api.backends.analysis import AnalysisResult
from antiphon.api.backends.files import printable_path, reason_of_os_error as why
from antiphon.api.backends.runtime import require_modules, shorten
from antiphon_library.catalogue import Catalogue
from antiphon_library.records import FileEntry, FileState, SoundIdentity
from antiphon_library.scanning import digest_of

VERSION = 1
"""Version of the result format; another version causes all shards to be recomputed."""
ANALYSES = "analyses"
"""Folder name of result shards."""
KEY = b"antiphon"
"""Metadata key of a shard's provenance."""
SPAN, LABEL = ("start", "end", "label"), ("label", "probability")
"""Fields of a span, and of a label."""
ROWS = 256
"""Rows per batch in memory."""
MANIFEST = "manifest.json"


@dataclass(slots=True)
class ImportCounts:
    """Counts of sounds: `added` if the file is present with the same bytes, `known` if the catalogue has the sound from
    elsewhere, else `unknown`. `problems`: a sentence for each changed file."""

    added: int = 0
    known: int = 0
    unknown: int = 0
    problems: list[str] = field(default_factory=list)


def import_shards(
    catalogue: Catalogue, out: Path, source: Path | None, progress: Callable[[int, int, str], None]
) -> ImportCounts:
    """Writes the results of shards into the catalogue.

    It may be repeated; each sound is written completely or not at all. `source`: the folder of the sounds; None for the
    folder in the manifest. `progress` is called with shards done, their total, and the name of the present one. Raises
    `FileError`: there are no shards, or one is damaged; `UsageError`: Arrow is not installed.
    """
    require_modules("reading shards", ["pyarrow"])
    folder = out / ANALYSES
    shards = sorted(folder.glob("[0-9]*.parquet"))
    if not shards:
        raise FileError(f"there are no shards in {folder}: `antiphon pipeline run FILE --steps analyse` makes them")
    place = (source if source is not None else _source(folder / MANIFEST)).absolute()
    counts = ImportCounts()
    present = {digest for digest, *_ in catalogue.sounds()}
    for number, path in enumerate(shards):
        progress(number, len(shards), path.name)
        for row, versions in _rows(path):
            try:
                sound = SoundIdentity(row["sound"], row["seconds"], row["rate"], row["channels"])
                entry = _entry(place, row, sound, counts)
                results = results_from_row(row, versions)
                if entry is not None:
                    catalogue.put(entry)
                    present.add(sound.digest)
                if sound.digest in present:
                    catalogue.put_results(sound.digest, results)
            except (KeyError, TypeError, ValueError) as error:
                raise FileError(f"{path} is no shard of analyses: {type(error).__name__} {error}") from None
            counts.added += entry is not None
            counts.known += entry is None and sound.digest in present
            counts.unknown += sound.digest not in present
    return counts


def _entry(place: Path, row: Mapping[str, Any], sound: SoundIdentity, counts: ImportCounts) -> FileEntry | None:
    """Row of the file; None if it is missing or changed."""
    whole = os.path.normpath(place / row["path"])
    if not whole.startswith(os.path.join(place, "")):
        raise ValueError(f"its path {shorten(printable_path(row['path']), 120)} is not below the folder")
    path = os.fsencode(whole)
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode):
            return None
        digest = digest_of(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        counts.problems.append(f"cannot read {shorten(printable_path(whole), 120)}: {why(error)}")
        return None
    if digest != row["digest"]:
        counts.problems.append(f"{shorten(printable_path(whole), 120)} has changed since it was analysed")
        return None
    return FileEntry(path, FileState(state.st_size, state.st_mtime_ns), digest, sound, dict(row["tags"]))


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, int]]]:
    import pyarrow
    from pyarrow import parquet

    about = read_shard_metadata(path)
    versions = about.get("analyses")
    if about.get("version") != VERSION or not isinstance(versions, dict):
        raise FileError(f"{path} is no shard of analyses that this version reads: run the step analyse again")
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS):
                for row in batch.to_pylist():
                    yield row, versions
    except (OSError, pyarrow.ArrowException) as error:
        raise FileError(f"{path} is no shard: {error}") from None


def read_shard_metadata(path: Path) -> dict[str, Any]:
    """Metadata of a shard: its task's digest, and the versions of its computation. `FileError` if it is no shard."""
    import pyarrow
    from pyarrow import parquet

    try:
        about = json.loads((parquet.read_schema(path).metadata or {})[KEY])
    except (OSError, pyarrow.ArrowException, KeyError, ValueError) as error:
        raise FileError(f"{path} is no shard: {error}") from None
    return about if isinstance(about, dict) else {}


def results_from_row(row: Mapping[str, Any], versions: Mapping[str, int]) -> dict[str, AnalysisResult]:
    """Results of a shard row, in the catalogue's form. `KeyError` if the row is not of those analyses."""
    found: dict[str, AnalysisResult] = {}
    for name, version in versions.items():
        problem = row[f"{name}.problem"]
        values = {
            key.removeprefix(f"{name}."): _plain(value)
            for key, value in row.items()
            if key.startswith(f"{name}.") and key != f"{name}.problem"
        }
        found[name] = (version, None if problem else values, problem)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [[row[field] for field in (LABEL if len(row) == len(LABEL) else SPAN)] for row in value]
    return value


def _source(manifest: Path) -> Path:
    try:
        return Path(json.loads(manifest.read_text("utf-8"))["source"])
    except (OSError, ValueError, KeyError, TypeError):
        raise FileError(f"{manifest} does not say where the sounds are: name their folder") from None
