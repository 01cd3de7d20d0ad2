"""The catalogue: reads and writes its rows. One connection, used by one thread."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from antiphon.signal.analysis import FolderSound
from antiphon_library.records import CatalogueRow, FileEntry, FileState, SoundIdentity, to_compact_json, words_of
from antiphon_library.schema import FILE, Reader, explain_errors, open_database, transaction
from antiphon_library.taste_tables import TasteTables

_ROWS = """SELECT f.path, s.duration, s.rate, s.channels, f.tags, f.problem, f.missing, s.id
    FROM files f LEFT JOIN sounds s ON s.id = f.sound"""


class Catalogue:
    """The catalogue in a folder; a context manager. Every method raises `FileError` if the database cannot be used.

    Without `make`, rows written to a missing catalogue are lost. A new catalogue is empty, except the performer's own,
    which has the shipped sounds. `taste`: the tables of signals, companions and places on the map.
    """

    def __init__(self, root: Path, *, make: bool = True) -> None:
        self.path = root / FILE
        self._base = open_database(root, make=make)
        self._read = Reader(self._base, self.path)
        self.taste = TasteTables(self._base, self.path)

    @staticmethod
    def exists(root: Path) -> bool:
        """Whether the folder `root` has a database, which may still be damaged."""
        return (root / FILE).is_file()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database."""
        self._base.close()

    def states(self) -> dict[bytes, FileState | None]:
        """File states by path as of their last read; None for one missing since."""
        rows = self._read("SELECT path, size, mtime, missing FROM files")
        return {path: None if missing else FileState(size, mtime) for path, size, mtime, missing in rows}

    def digests(self) -> frozenset[str]:
        """Digests of the bytes of all good files."""
        return frozenset(d for (d,) in self._read("SELECT digest FROM files WHERE sound IS NOT NULL"))

    def sound_of(self, digest: str) -> tuple[SoundIdentity, dict[str, str]]:
        """Sound and tags of a good file whose bytes have this digest."""
        row, *_ = self._read(
            "SELECT s.digest, s.duration, s.rate, s.channels, f.tags FROM files f JOIN sounds s ON s.id = f.sound "
            "WHERE f.digest = ? LIMIT 1",
            digest,
        )
        return SoundIdentity(*row[:4]), json.loads(row[4])

    def put(self, entry: FileEntry) -> None:
        """Writes a file's row. Removes rows of its sound for missing files, since it was moved from there."""
        with explain_errors(self.path), transaction(self._base):
            sound = None if entry.sound is None else self._sound_id(entry.sound)
            previous = self._base.execute("SELECT sound FROM files WHERE path = ?", (entry.path,)).fetchone()
            self._base.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (entry.path, entry.state.size, entry.state.mtime, entry.digest, sound,
                 to_compact_json(dict(entry.tags)), words_of(entry.path, entry.tags), entry.problem),
            )  # fmt: skip
            if sound is not None:
                others = self._base.execute("SELECT path FROM files WHERE sound = ? AND path != ?", (sound, entry.path))
                gone = [(path,) for (path,) in others.fetchall() if not os.path.lexists(path)]
                self._base.executemany("DELETE FROM files WHERE path = ?", gone)
            if previous is not None and previous[0] not in (None, sound):
                self._drop_unused()

    def mark(self, paths: Collection[bytes], *, missing: bool) -> None:
        """Marks files as missing, or present again."""
        with explain_errors(self.path), transaction(self._base):
            rows = [(int(missing), path) for path in paths]
            self._base.executemany("UPDATE files SET missing = ? WHERE path = ?", rows)

    def forget(self, paths: Collection[bytes]) -> int:
        """Removes rows, and the results of sounds without any other file; returns the number of rows."""
        with explain_errors(self.path), transaction(self._base):
            rows = [(path,) for path in paths]
            count = self._base.executemany("DELETE FROM files WHERE path = ?", rows).rowcount
            self._drop_unused()
        return max(0, count)

    def sounds(self) -> list[tuple[str, bytes, float, dict[str, int]]]:
        """Digest, path, seconds and analysis versions of each good present file, by path."""
        files = self._read(
            "SELECT s.id, s.digest, f.path, s.duration FROM files f JOIN sounds s ON s.id = f.sound "
            "WHERE f.missing = 0 ORDER BY f.path"
        )
        versions: dict[int, dict[str, int]] = {}
        for sound, analysis, version in self._read("SELECT sound, analysis, version FROM results"):
            versions.setdefault(sound, {})[analysis] = version
        return [(digest, path, duration, versions.get(sound, {})) for sound, digest, path, duration in files]

    def versions(self, digest: str) -> dict[str, int]:
        """Result versions of a sound, by analysis."""
        of_sound = "SELECT id FROM sounds WHERE digest = ?"
        return dict(self._read(f"SELECT analysis, version FROM results WHERE sound = ({of_sound})", digest))

    def folder_sounds(self, folder: bytes, analysis: str) -> dict[bytes, FolderSound]:
        """Files of a folder by path, with results of one analysis and of its variants (`name variant`)."""
        within, variants = folder.rstrip(b"/") + b"/", f"{analysis} "
        found: dict[bytes, FolderSound] = {}
        rows = self._read(
            "SELECT f.path, f.problem, s.digest, r.analysis, r.version, r.data, r.problem FROM files f "
            "LEFT JOIN sounds s ON s.id = f.sound LEFT JOIN results r ON r.sound = s.id "
            "AND (r.analysis = ? OR substr(r.analysis, 1, ?) = ?) "
            "WHERE f.missing = 0 AND substr(f.path, 1, ?) = ? ORDER BY f.path",
            *(analysis, len(variants), variants, len(within), within),
        )
        for path, bad, digest, name, version, data, problem in rows:
            file = found.setdefault(path, FolderSound(digest or "", bad, {}))
            if name is not None:
                file.results[name] = (version, json.loads(data), problem)
        return found

    def put_results(self, digest: str, results: Mapping[str, tuple[int, Mapping[str, Any] | None, str]]) -> None:
        """Writes results of a sound: by analysis its version, its values or None, and the reason for None.

        A sound that was forgotten meanwhile is left out. Only one of the values may be bytes: the landmarks.
        """
        with explain_errors(self.path), transaction(self._base):
            row = self._base.execute("SELECT id FROM sounds WHERE digest = ?", (digest,)).fetchone()
            for name, (version, values, problem) in results.items() if row is not None else ():
                plain = {key: value for key, value in (values or {}).items() if not isinstance(value, bytes)}
                self._base.execute(
                    "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)",
                    (row[0], name, version, to_compact_json(None if values is None else plain), problem),
                )
                for data in (values or {}).values():
                    if isinstance(data, bytes):
                        self._base.execute(
                            "INSERT OR REPLACE INTO landmarks (sound, data) VALUES (?, ?)", (row[0], data)
                        )

    def landmark_serials(self) -> frozenset[int]:
        """Serial numbers of all landmarks; a number is never used again."""
        return frozenset(serial for (serial,) in self._read("SELECT serial FROM landmarks"))

    def landmarks(self, serials: Collection[int]) -> Iterator[tuple[int, bytes]]:
        """(serial number, packed landmarks) of each of `serials` that is stored."""
        for serial in serials:
            for (data,) in self._read("SELECT data FROM landmarks WHERE serial = ?", serial):
                yield serial, data

    def files_of(self, serial: int) -> tuple[int, list[bytes]]:
        """Number of the sound with these landmarks, 0 for none, and the paths of its present files."""
        rows = self._read(
            "SELECT l.sound, f.path FROM landmarks l JOIN files f ON f.sound = l.sound "
            "WHERE l.serial = ? AND f.missing = 0 ORDER BY f.path",
            serial,
        )
        return (rows[0][0] if rows else 0), [path for _, path in rows]

    def files_of_sound(self, sound: int) -> list[bytes]:
        """The paths of the files of a sound, in order."""
        return [path for (path,) in self._read("SELECT path FROM files WHERE sound = ? ORDER BY path", sound)]

    def rows(
        self, words: Collection[str] = (), path: bytes | None = None, only: Sequence[str] = ()
    ) -> Iterator[CatalogueRow]:
        """Files in order of their paths.

        `path`: this file, or the files in this folder; None for all. `only`: quantities that are read; none for all, of
        which beats and chords are long.
        """
        conditions: list[str] = ["1"]
        given: list[str | bytes | int] = []
        for word in words:
            # decomposed in what was added by an earlier version
            conditions.append("(instr(f.words, ?) OR instr(f.words, ?))")
            given += [unicodedata.normalize(form, word.casefold()) for form in ("NFC", "NFD")]
        if path is not None:
            within = path.rstrip(b"/") + b"/"
            conditions.append("(f.path = ? OR substr(f.path, 1, ?) = ?)")
            given += [path, len(within), within]
        found = self._read(f"{_ROWS} WHERE {' AND '.join(conditions)} ORDER BY f.path", *given)
        for where, duration, rate, channels, tags, problem, missing, sound in found:
            results = self._results(sound, only)
            yield CatalogueRow(where, duration, rate, channels, json.loads(tags), problem, bool(missing), results)

    def _results(self, sound: int | None, only: Sequence[str]) -> dict[str, tuple[int, Mapping[str, Any] | None, str]]:
        # what was analysed and not found is null, what was not analysed is not there
        these = f"SELECT json_group_object(key, value) FROM json_each(data) WHERE key IN ({', '.join('?' * len(only))})"
        data = f"({these})" if only else "data"
        rows = self._read(f"SELECT analysis, version, {data}, problem FROM results WHERE sound = ?", *only, sound)
        return {name: (version, json.loads(values), problem) for name, version, values, problem in rows}

    def _sound_id(self, sound: SoundIdentity) -> int:
        self._base.execute(
            "INSERT OR IGNORE INTO sounds (digest, duration, rate, channels) VALUES (?, ?, ?, ?)",
            (sound.digest, sound.duration, sound.rate, sound.channels),
        )
        row = self._base.execute("SELECT id FROM sounds WHERE digest = ?", (sound.digest,)).fetchone()
        return int(row[0])

    def _drop_unused(self) -> None:
        self._base.execute("DELETE FROM sounds WHERE id NOT IN (SELECT sound FROM files WHERE sound IS NOT NULL)")
