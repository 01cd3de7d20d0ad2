"""Listener tables of the catalogue: signals, co-played sounds, and map positions."""

import itertools
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from sys import intern

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.runtime import composed
from antiphon_library.records import QUANTITIES, UNHEARD, findings, quantities_of
from antiphon_library.schema import Reader, explain_errors, shipped_folders, transaction
from antiphon_library.vector_file import QUANTITY

KINDS = ("like", "dislike", "skip", "play")
MAX_SIGNALS = 10000
"""Maximum rows of signals; the oldest are removed."""
_TRACKS = f"""SELECT s.id, f.path, f.tags, s.duration,
    (SELECT json_extract(r.data, '$."{QUANTITY}"') FROM results r
     WHERE r.sound = s.id AND json_extract(r.data, '$."{QUANTITY}"') IS NOT NULL),
    (SELECT json_extract(r.data, '$.genre') FROM results r
     WHERE r.sound = s.id AND json_extract(r.data, '$.genre') != 'unknown' ORDER BY r.analysis DESC LIMIT 1)
    FROM sounds s JOIN files f ON f.sound = s.id WHERE f.missing = 0 ORDER BY s.id, f.path"""
_DECIDING = f"""SELECT s.id, s.duration, r.analysis, (SELECT json_group_object(key, value) FROM json_each(r.data)
     WHERE key IN ({", ".join(f"'{name}'" for name in QUANTITIES)}))
    FROM results r JOIN sounds s ON s.id = r.sound ORDER BY s.id"""
_WITHIN = "SELECT sound FROM files WHERE sound IS NOT NULL AND substr(path, 1, ?) = ?"
_STAMP = """SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM files WHERE missing = 0),
    (SELECT coalesce(max(id), 0) FROM sounds), (SELECT count(*) FROM results), (SELECT total(version) FROM results),
    (SELECT total(mtime) FROM files), (SELECT count(*) FROM places), (SELECT count(*) FROM companions)"""


@dataclass(frozen=True, slots=True)
class TrackRow:
    """An existing sound. vector: its timbre, float32 `[d]`; None if not analysed. genre: by the classifier, or ""."""

    id: int
    path: bytes
    tags: Mapping[str, str]
    duration: float
    vector: NDArray[np.float32] | None
    genre: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """A listener's reaction to a sound. `kind`: one of `KINDS`; `time`: seconds since 1970."""

    sound: int
    kind: str
    time: float


class TasteTables:
    """Access to the tables; every method raises `FileError` where the database cannot be used.

    `base`: the catalogue's connection; `path`: its file, for messages.
    """

    def __init__(self, base: sqlite3.Connection, path: Path) -> None:
        self._base, self._path, self._read = base, path, Reader(base, path)

    def stamp(self) -> tuple[float, ...]:
        """Version stamp of `tracks`, `companions` and `places`."""
        return tuple(*self._read(_STAMP))

    def tracks(self) -> list[TrackRow]:
        """Existing sounds, each once, in order of their numbers."""
        found: dict[int, TrackRow] = {}
        same: dict[str, str] = {}  # an artist has many tracks: the text is kept once
        with explain_errors(self._path):
            for sound, path, tags, duration, vector, genre in self._base.execute(_TRACKS):
                if sound not in found:
                    values = None if vector is None else np.array(json.loads(vector), np.float32)
                    named = {intern(tag): same.setdefault(text, text) for tag, text in json.loads(tags).items()}
                    found[sound] = TrackRow(sound, path, named, duration, values, genre or "")
        return list(found.values())

    def kinds(self) -> dict[int, str]:
        """Known kinds by sound, one of `KINDS` of the records; what the plugin `loops` alone has analysed is a loop."""
        found = {}
        for sound, rows in itertools.groupby(self._read(_DECIDING), key=lambda row: row[0]):
            each = [(duration, analysis, json.loads(data)) for _, duration, analysis, data in rows]
            values = quantities_of({analysis: values for _, analysis, values in each})
            kind = findings(each[0][0], {**UNHEARD, **values})["kind"]
            if all(f"{analysis} ".startswith("loop ") for _, analysis, _ in each):
                kind = "loop"
            if kind is not None:
                found[sound] = kind
        return found

    def shipped_sounds(self) -> frozenset[int]:
        """The sounds that ship with Antiphon."""
        rows = (row for folder in shipped_folders() for row in self._read(_WITHIN, len(folder), folder))
        return frozenset(sound for (sound,) in rows)

    def has_own(self) -> bool:
        """Whether the catalogue has present sounds beside those that ship."""
        present = self._read("SELECT DISTINCT sound FROM files WHERE sound IS NOT NULL AND missing = 0")
        return not {sound for (sound,) in present} <= self.shipped_sounds()

    def sounds_without_vector(self) -> frozenset[int]:
        """Sounds whose analysis gave no vector: they are silent, or too short."""
        found = self._read(f"SELECT sound FROM results WHERE json_type(data, '$.\"{QUANTITY}\"') = 'null'")
        return frozenset(sound for (sound,) in found)

    def sound_of_file(self, path: bytes) -> int | None:
        """Sound of a good file; None without one."""
        return next((sound for (sound,) in self._read("SELECT sound FROM files WHERE path = ?", path)), None)

    def path_of(self, path: bytes) -> bytes:
        """Returns the path as spelled in the catalogue, whatever the form of its accents; unchanged if it has none."""
        if path.isascii() or self.sound_of_file(path) is not None:
            return path
        name = composed(os.fsdecode(path))
        paths = self._read("SELECT path FROM files ORDER BY path")
        return next((found for (found,) in paths if composed(os.fsdecode(found)) == name), path)

    def file_of_sound(self, sound: int) -> bytes | None:
        """Present file of a sound; None without one."""
        if not 0 <= sound < 2**63:
            return None
        rows = self._read("SELECT path FROM files WHERE sound = ? AND missing = 0 ORDER BY path LIMIT 1", sound)
        return next((path for (path,) in rows), None)

    def put_signals(self, signals: Iterable[tuple[int, str]]) -> None:
        """Adds signals (sound, kind), in order."""
        now = time.time()
        with explain_errors(self._path), transaction(self._base):
            rows = [(sound, kind, now) for sound, kind in signals]
            self._base.executemany("INSERT INTO signals (sound, kind, time) VALUES (?, ?, ?)", rows)
            self._base.execute("DELETE FROM signals WHERE id <= (SELECT max(id) FROM signals) - ?", (MAX_SIGNALS,))

    def signals(self) -> list[Signal]:
        """All signals, the oldest first."""
        return [Signal(*row) for row in self._read("SELECT sound, kind, time FROM signals ORDER BY id")]

    def delete_signals(self) -> int:
        """Removes all signals; returns their number."""
        with explain_errors(self._path), transaction(self._base):
            return self._base.execute("DELETE FROM signals").rowcount

    def companions(self) -> list[tuple[int, int, float]]:
        """(sound, other, weight) of co-played sounds, each pair in both directions."""
        return self._read("SELECT sound, other, weight FROM companions")

    def put_companions(self, rows: Iterable[tuple[int, int, float]]) -> None:
        """Replaces all companions."""
        with explain_errors(self._path), transaction(self._base):
            self._base.execute("DELETE FROM companions")
            self._base.executemany("INSERT INTO companions VALUES (?, ?, ?)", rows)

    def places(self) -> dict[int, tuple[float, float]]:
        """Map positions by sound."""
        return {sound: (x, y) for sound, x, y in self._read("SELECT sound, x, y FROM places")}

    def put_places(self, places: Mapping[int, tuple[float, float]], *, all_anew: bool) -> None:
        """Writes positions, replacing all with `all_anew`. Deleted sounds are skipped."""
        with explain_errors(self._path), transaction(self._base):
            if all_anew:
                self._base.execute("DELETE FROM places")
            self._base.executemany(
                "INSERT OR REPLACE INTO places SELECT id, ?, ? FROM sounds WHERE id = ?",
                [(x, y, sound) for sound, (x, y) in places.items()],
            )
