"""Vector index of a catalogue in one file: finding the nearest of 50,000 takes one matrix product.

The file is a cache. It holds the state of the database that it was made from; for another state it is made again.
"""

import contextlib
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError
from antiphon.api.backends.files import write_atomic
from antiphon_library.records import CatalogueRow

QUANTITY = "tag_embedding"
"""Vector quantity used for comparison."""
OTHER_KIND, WEIGHED = 0.2, 4
"""Similarity penalty of a sound of another kind, and factor on the number of neighbours fetched to apply it."""


def sound_feature_vector(row: CatalogueRow) -> NDArray[np.float64] | None:
    """The vector of a sound, `[n]`; None without one."""
    value = row.values.get(QUANTITY)
    return None if value is None else np.asarray(value, np.float64)


FILE = "vectors.npz"
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VectorTable:
    """Sounds with their vectors."""

    rows: F32  # float32 `[n, d]`, each dimension standardised over all, each row of length 1
    names: bytes  # the paths, each after a zero byte, and one more zero byte
    places: NDArray[np.int64]  # int64 `[n]`, where in `names` each path's zero byte is

    def path(self, row: int) -> bytes:
        """Path of a row."""
        start = int(self.places[row]) + 1
        return self.names[start : self.names.index(b"\0", start)]

    def row(self, path: bytes) -> int | None:
        """Row of a path; None for one without a vector."""
        place = self.names.find(b"\0" + path + b"\0")
        return None if place < 0 else int(np.searchsorted(self.places, place))

    def nearest(self, row: int, count: int) -> list[tuple[bytes, float]]:
        """Paths of the `count` nearest rows, with cosines, -1 to 1, descending, then by path."""
        scores = self.rows @ self.rows[row]
        scores[row] = -2.0
        count = min(count, len(scores) - 1)
        if count < 1:
            return []
        least = -np.partition(-scores, count - 1)[count - 1]
        among = np.flatnonzero(scores >= least)
        order = among[np.argsort(-scores[among], kind="stable")][:count]
        return [(self.path(int(n)), float(scores[n])) for n in order]


def make_vector_table(rows: Iterable[CatalogueRow]) -> VectorTable:
    """Makes the table of the present files, of those whose vector has the most frequent length."""
    paths, vectors = [], []
    for row in rows:
        vector = sound_feature_vector(row)
        if vector is not None and len(vector) and not row.missing:
            paths.append(row.path)
            vectors.append(vector)
    lengths = [len(vector) for vector in vectors]
    length = max(set(lengths), key=lengths.count, default=0)
    keep = [n for n in range(len(vectors)) if lengths[n] == length]
    table = np.array([vectors[n] for n in keep]).reshape(len(keep), length)
    if len(table):
        table -= table.mean(axis=0)
        table /= table.std(axis=0) + 1e-9
        table /= np.linalg.norm(table, axis=1, keepdims=True) + 1e-9
    return _named(table.astype(np.float32), b"".join(b"\0" + paths[n] for n in keep) + b"\0")


def state_of(database: Path) -> list[int]:
    """Version of a database: size and time of its file and of its log."""
    state = []
    for path in (database, database.with_name(f"{database.name}-wal")):
        try:
            found = path.stat()
            state += [found.st_size, found.st_mtime_ns if found.st_size else 0]
        except OSError:
            state += [0, 0]
    return state


def load(root: Path, state: list[int]) -> VectorTable | None:
    """Loads the table of a folder; None if it is missing or damaged, or belongs to another state of the catalogue."""
    try:
        with np.load(root / FILE) as file:
            if file["state"].tolist() != state:
                return None
            table = _named(file["rows"], file["names"].tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return table if len(table.places) == len(table.rows) else None


def save(root: Path, state: list[int], table: VectorTable) -> None:
    """Writes a table; in a read-only folder each call recomputes it."""
    data = io.BytesIO()
    np.savez(data, state=np.array(state, np.int64), rows=table.rows, names=np.frombuffer(table.names, np.uint8))
    with contextlib.suppress(FileError):
        write_atomic(root / FILE, data.getvalue())


def _named(rows: F32, names: bytes) -> VectorTable:
    return VectorTable(rows, names, np.flatnonzero(np.frombuffer(names, np.uint8) == 0)[:-1])
