"""Step gather: the items of a data set as one list, deterministic for the same files; and step preprocess: its shards.

A shard is a Parquet file of labelled spectrograms, written atomically. It depends on its items and the settings alone.
Its file names them, so that a run knows which shards are missing; an interrupted shard is computed again, with the same
bytes.
"""

import contextlib
import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from msgspec import structs

from antiphon.api import F32, FileError, UsageError
from antiphon.api.backends.analysis import listening_mono
from antiphon.api.backends.files import printable_path, read_sound, reason_of_os_error, write_atomic
from antiphon.files.audiofile import Sound
from antiphon.files.decode_process import FileStalled
from antiphon_classify import features
from antiphon_library.scanning import digest_of
from antiphon_library.shard_import import KEY, read_shard_metadata
from antiphon_models.datasets.examination import SOUND, find_file_fault
from antiphon_models.datasets.layouts import listing_of
from antiphon_models.datasets.layouts.rules import MADE_HERE, split_of
from antiphon_models.pipeline.settings import PipelineSettings, PreprocessSettings

ITEMS = "items.jsonl"
"""File name of the list of items: a JSON object per line, sorted by name."""


@dataclass(frozen=True, slots=True)
class SourceItem:
    """A sound to process.

    Attributes:
        path: Path of its file, relative to the data set's folder.
        split: "train", "valid", "test" or "".
    """

    name: str
    path: str
    group: str
    split: str
    labels: tuple[str, ...]


def gather(settings: PipelineSettings) -> list[SourceItem]:
    """Lists the sounds without known faulty ones, and writes the list.

    Raises `FileError`: the folder has another layout or no sound, or the list cannot be written.
    """
    listing = listing_of(settings.gather.dataset, settings.gather.path)
    alone = settings.gather.group == "none"
    dealt = alone and listing.split_by.startswith(MADE_HERE)
    items = sorted(
        (
            SourceItem(
                item.name,
                file,
                item.name if alone else item.group,
                split_of(item.name) if dealt else item.split,
                item.labels,
            )
            for item in listing.items
            if not item.fault
            for file in [file for file in item.files if Path(file).suffix.lower() in SOUND][:1]
        ),
        key=lambda item: item.name,
    )
    if not items:
        raise FileError(f"{settings.gather.path} holds no sound of {settings.gather.dataset}")
    lines = "".join(
        json.dumps({"name": i.name, "path": i.path, "group": i.group, "split": i.split, "labels": i.labels}) + "\n"
        for i in items
    )
    write_atomic(settings.out / ITEMS, lines.encode())
    return items


def read_items(settings: PipelineSettings) -> list[SourceItem]:
    """Reads the list written by `gather`. Raises `FileError`: it is missing or damaged."""
    path = settings.out / ITEMS
    try:
        found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return [SourceItem(i["name"], i["path"], i["group"], i["split"], tuple(i["labels"])) for i in found]
    except FileNotFoundError:
        raise FileError(f"there is no {path}: run the step gather first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} cannot be read: run the step gather again ({error})") from None


def shard_of(name: str, shards: int) -> int:
    """Shard of an item, by its name alone, so that adding items changes no other item's shard."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()) % shards


VERSION = 2
"""Content version; changing it recomputes all shards."""
FOLDER, DEAD = "shards", "dead"
READ_ATTEMPTS = 3
"""Read attempts for a file that gives no result."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ShardWork(ABC):
    """One shard to compute, as plain data that a runner sends to another process or machine.

    `number`: from 0. `items`: the sounds, by name.
    """

    number: int
    out: str
    folder: str
    source: str
    items: tuple[SourceItem, ...]

    @property
    def path(self) -> Path:
        """Path of the shard's file."""
        return Path(self.out) / self.folder / f"{self.number:05}.parquet"

    @property
    def dead(self) -> Path:
        """List of the shard's bad sounds, a JSON object per line."""
        folder = DEAD if self.folder == FOLDER else f"{DEAD}-{self.folder}"
        return Path(self.out) / folder / f"{self.number:05}.jsonl"

    @abstractmethod
    def dependencies(self) -> dict[str, Any]:
        """Dependencies of the shard's content, besides its sounds, as JSON data."""

    def digest(self) -> str:
        """Digest of all dependencies of the shard's content, except the sounds themselves."""
        whole = {**self.dependencies(), "items": [asdict(item) for item in self.items]}
        return hashlib.blake2b(json.dumps(whole, sort_keys=True).encode(), digest_size=20).hexdigest()


@dataclass(frozen=True, slots=True)
class ShardTask(ShardWork):
    """A shard of spectrograms, of whole sounds or of their stems.

    `version`: content version; changing it recomputes all shards.
    """

    settings: PreprocessSettings
    version: int = VERSION

    def dependencies(self) -> dict[str, Any]:
        """As `ShardWork.dependencies`."""
        return {"version": self.version, "settings": structs.asdict(self.settings)}


def items_by_shard(items: Iterable[SourceItem], shards: int) -> Iterator[tuple[int, tuple[SourceItem, ...]]]:
    """Shard numbers and their items, without empty shards."""
    parts: defaultdict[int, list[SourceItem]] = defaultdict(list)
    for item in items:
        parts[shard_of(item.name, shards)].append(item)
    yield from ((number, tuple(parts[number])) for number in sorted(parts))


def is_done(task: ShardWork) -> bool:
    """Whether the shard's file, made by this task, and its list of bad sounds exist."""
    try:
        return task.dead.is_file() and read_shard_metadata(task.path).get("digest") == task.digest()
    except FileError:
        return False


def write_shard(
    task: ShardWork,
    fields: Sequence[tuple[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
    beside: Mapping[Path, Sequence[Mapping[str, Any]]],
) -> None:
    """Writes a shard atomically.

    `about`: its metadata, besides the task's digest; `beside`: files of JSON lines that are written first, so that
    every existing shard has them.

    Raises `FileError`: it cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    whole = json.dumps({"digest": task.digest(), **about}, sort_keys=True).encode()
    table = pyarrow.Table.from_pylist(list(rows), pyarrow.schema(list(fields), {KEY: whole}))
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd", use_dictionary=False)
    contents = {place: "".join(json.dumps(row) + "\n" for row in rows).encode() for place, rows in beside.items()}
    for place, content in (*contents.items(), (task.path, sink.getvalue().to_pybytes())):
        write_atomic(place, content)


def sounds_of(
    task: ShardWork, read: Callable[[Path], Result], dead: list[dict[str, str]]
) -> Iterator[tuple[dict[str, Any], Result]]:
    """Leading columns of each sound's row, with the value read from its file; unreadable ones go into `dead`."""
    for item in task.items:
        path = Path(task.source) / item.path
        try:
            digest = file_digest(path)
            found = read_again(partial(read, path))
        except (FileError, UsageError) as error:
            # the row names the file
            reason = find_file_fault(path) or str(error).removeprefix(f"cannot read {printable_path(path)}: ")
            dead.append({"name": item.name, "path": item.path, "reason": reason})
            continue
        own = asdict(item)
        yield {**own, "digest": digest, "labels": list(item.labels)}, found


def mel_cells(spectrogram: F32) -> dict[str, Any]:
    """Final columns of a row: float32 `[frames, bands]` in dB in half precision."""
    frames, bands = spectrogram.shape
    return {"frames": frames, "bands": bands, "mel": spectrogram.astype("<f2").tobytes()}


def first_fields() -> list[tuple[str, Any]]:
    """Columns of `sounds_of` and their types."""
    import pyarrow

    text = pyarrow.string()
    return [*((name, text) for name in ("name", "path", "digest", "group", "split")), ("labels", pyarrow.list_(text))]


def row_fields(*own: tuple[str, Any]) -> list[tuple[str, Any]]:
    """Columns and their types: those of `sounds_of`, a step's own, those of `mel_cells`."""
    import pyarrow

    whole = pyarrow.int32()
    last = [("frames", whole), ("bands", whole), ("mel", pyarrow.binary())]
    return [*first_fields(), ("seconds", pyarrow.float64()), *own, *last]


def compute(task: ShardTask) -> None:
    """Computes and writes a shard. Raises `FileError`: it cannot be written."""
    mel, chosen = features.extractor(task.settings.mel), task.settings
    rows: list[dict[str, Any]] = []
    dead: list[dict[str, str]] = []

    def read(path: Path) -> tuple[Sound, float]:
        sound, seconds = excerpt(path, chosen.seconds, chosen.rate)
        features.check_length(sound.samples.shape[1], chosen.mel)
        return sound, seconds

    for row, (sound, seconds) in sounds_of(task, read, dead):
        rows.append({**row, "seconds": seconds, **mel_cells(mel.compute(listening_mono(sound.samples)))})
    write_shard(task, row_fields(), rows, task.dependencies(), {task.dead: dead})


def spectrograms(path: Path) -> list[tuple[str, str, tuple[str, ...], F32]]:
    """Content of a shard: name, split, labels, and the spectrogram as float32 `[frames, bands]` in dB.

    Raises `FileError`: it is no shard.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise FileError(f"{path} is no shard: {error}") from None
    return [
        (
            row["name"],
            row["split"],
            tuple(row["labels"]),
            np.frombuffer(row["mel"], "<f2").reshape(row["frames"], row["bands"]).astype(np.float32),
        )
        for row in rows
    ]


def read_again(read: Callable[[], Result]) -> Result:
    """Reads a file, with up to `READ_ATTEMPTS` attempts if the machine is busy. Raises `FileError`: all failed."""
    for _ in range(READ_ATTEMPTS - 1):
        with contextlib.suppress(FileStalled):
            return read()
    return read()


def file_digest(path: Path) -> str:
    """Digest of a file's bytes, as in the catalogue. Raises `FileError`: it cannot be read."""
    try:
        str(path).encode()
        return digest_of(os.fsencode(path))
    except UnicodeEncodeError:
        raise FileError(
            f"cannot read {printable_path(path)}: its name is not UTF-8, which a table needs; rename it"
        ) from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {reason_of_os_error(error)}") from None


def excerpt(path: Path, seconds: float, rate: int | None = None) -> tuple[Sound, float]:
    """The middle of a sound, and its total seconds. seconds: maximum length, 0 for all; rate: None for its own."""
    sound = read_sound(path, rate=rate)
    length = sound.samples.shape[1]
    if length == 0:
        raise FileError(f"{path} holds no sound")
    wanted = min(length, round(seconds * sound.rate) or length)
    start = (length - wanted) // 2
    return replace(sound, samples=sound.samples[:, start : start + wanted]), length / sound.rate
