"""The second step's work: one shard of labelled spectrograms, as a Parquet file, whole or not at all.

A shard depends on its items and the settings alone. Its file says which, so that a run finds out what is still to be
done; what was killed is done again, and gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from antiphon.errors import FileError
from antiphon.io import audiofile
from antiphon.io.audiofile import Sound
from antiphon.io.decode import FileStalled, path_text
from antiphon.library.identity import digest_of
from antiphon.library.shard_import import KEY, about_of
from antiphon.runtime.paths import why, write_atomic
from antiphon.signal.features import feature_extractor
from antiphon.signal.mel import F32
from antiphon_models.datasets.examination import fault_of
from antiphon_models.pipeline.gathering import SourceItem
from antiphon_models.pipeline.settings import PreprocessSettings

VERSION = 1
"""Of what is computed: another one computes all shards anew."""
FOLDER, DEAD = "shards", "dead"
TRIES = 3
"""Of a file from which nothing comes."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to compute; plain data, which a runner sends to another process or machine.

    Attributes:
        number: From 0.
        out: The pipeline's folder.
        source: The data set's folder.
        items: Its sounds, by name.
        settings: Settings of the spectrograms.
    """

    number: int
    out: str
    source: str
    items: tuple[SourceItem, ...]
    settings: PreprocessSettings

    @property
    def path(self) -> Path:
        """Path of the shard's file."""
        return Path(self.out) / FOLDER / f"{self.number:05}.parquet"

    @property
    def dead(self) -> Path:
        """The list of its bad sounds, a JSON object a line."""
        return Path(self.out) / DEAD / f"{self.number:05}.jsonl"

    def digest(self) -> str:
        """Digest of all that the shard's content depends on, except the sounds themselves."""
        whole = {"version": VERSION, "settings": asdict(self.settings), "items": [asdict(item) for item in self.items]}
        return hashlib.blake2b(json.dumps(whole, sort_keys=True).encode(), digest_size=20).hexdigest()


class ShardWork(Protocol):
    """What a runner computes: a shard that depends on nothing but what its digest is of."""

    @property
    def path(self) -> Path:
        """Path of the shard's file."""

    @property
    def dead(self) -> Path:
        """The list of its bad sounds."""

    def digest(self) -> str:
        """Digest of all that the shard's content depends on, except the sounds themselves."""


def is_done(task: ShardWork) -> bool:
    """Whether its file is there, and of this task, and the list of its bad sounds."""
    try:
        return task.dead.is_file() and about_of(task.path).get("digest") == task.digest()
    except FileError:
        return False


def write_shard(
    task: ShardWork,
    fields: Sequence[tuple[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
    beside: Mapping[Path, Sequence[Mapping[str, Any]]],
) -> None:
    """Writes a shard, whole or not at all.

    `about`: what its metadata says, beside the task's digest; `beside`: files of JSON lines that are written before it,
    so that a shard that is there has them.

    Raises:
        FileError: It cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    whole = json.dumps({"digest": task.digest(), **about}, sort_keys=True).encode()
    table = pyarrow.Table.from_pylist(list(rows), pyarrow.schema(list(fields), {KEY: whole}))
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd", use_dictionary=False)
    contents = {place: _lines(lines) for place, lines in beside.items()}
    for place, content in (*contents.items(), (task.path, sink.getvalue().to_pybytes())):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(place, content)
        except OSError as error:
            raise FileError(f"cannot write {place}: {why(error)}") from None


def compute(task: ShardTask) -> dict[str, Any]:
    """Computes a shard and writes it: "shard", "items" and "dead", how many, and "seconds" of sound.

    Raises:
        FileError: It cannot be written.
    """
    import pyarrow

    mel = feature_extractor(task.settings.mel)
    rows: list[dict[str, Any]] = []
    dead: list[dict[str, str]] = []
    seconds = 0.0
    for item in task.items:
        path = Path(task.source) / item.path
        try:
            digest = file_digest(path)
            sound, length = read_again(partial(excerpt, path, task.settings.seconds, task.settings.rate))
            mono = sound.samples.mean(0, dtype=np.float32)
        except FileError as error:
            dead.append({"name": item.name, "path": item.path, "reason": fault_of(path) or str(error)})
            continue
        spectrogram = mel.compute(mono)
        seconds += len(mono) / task.settings.rate
        rows.append({
            "name": item.name, "path": item.path, "digest": digest, "group": item.group, "split": item.split,
            "labels": list(item.labels), "seconds": length, "frames": len(spectrogram), "bands": task.settings.bands,
            "mel": spectrogram.astype("<f2").tobytes(),
        })  # fmt: skip
    fields = [("name", pyarrow.string()), ("path", pyarrow.string()), ("digest", pyarrow.string()),
              ("group", pyarrow.string()), ("split", pyarrow.string()), ("labels", pyarrow.list_(pyarrow.string())),
              ("seconds", pyarrow.float64()), ("frames", pyarrow.int32()), ("bands", pyarrow.int32()),
              ("mel", pyarrow.binary())]  # fmt: skip
    write_shard(task, fields, rows, {"version": VERSION, "settings": asdict(task.settings)}, {task.dead: dead})
    return {"shard": task.number, "items": len(rows), "dead": len(dead), "seconds": seconds}


def spectrograms(path: Path) -> list[tuple[str, str, tuple[str, ...], F32]]:
    """What a shard holds: name, split, labels, and the spectrogram as float32 `[frames, bands]` in dB.

    Raises:
        FileError: It is no shard.
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
    """Reads a file, up to `TRIES` times where nothing came from it: a busy machine makes no sound a bad one.

    Raises:
        FileError: It cannot be read.
    """
    for _ in range(TRIES - 1):
        with contextlib.suppress(FileStalled):
            return read()
    return read()


def file_digest(path: Path) -> str:
    """Digest of a file's bytes, as in the catalogue.

    Raises:
        FileError: It cannot be read.
    """
    try:
        str(path).encode()
        return digest_of(os.fsencode(path))
    except UnicodeEncodeError:
        raise FileError(
            f"cannot read {path_text(path)}: its name is not UTF-8, which a table needs; rename it"
        ) from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {why(error)}") from None


def excerpt(path: Path, seconds: float, rate: int | None = None) -> tuple[Sound, float]:
    """The middle of a sound, and the seconds of all of it. seconds: most of it, 0 for all; rate: None for its own."""
    sound = audiofile.read(path, rate=rate)
    length = sound.samples.shape[1]
    if length == 0:
        raise FileError(f"{path} holds no sound")
    wanted = min(length, round(seconds * sound.rate) or length)
    start = (length - wanted) // 2
    return replace(sound, samples=sound.samples[:, start : start + wanted]), length / sound.rate


def _lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
