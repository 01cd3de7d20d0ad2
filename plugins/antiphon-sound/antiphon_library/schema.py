"""The catalogue's database: its tables, its errors as sentences, and the shipped sounds of a new catalogue.

`library/analysed.json.gz` has analysis results and map place of each shipped sound, from `tools/shipped_sounds.py`.
"""

import contextlib
import gzip
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from antiphon.api import FileError
from antiphon.api.backends.files import built_in_folder, library_folder, make_folder
from antiphon.api.jobs import spell
from antiphon_library.records import to_compact_json, words_of

SHIPPED_FILE = "analysed.json.gz"
FOLDERS = ("library", "demo")
"""Folders of the shipped sounds; each name in the file begins with one of them."""


def shipped_folders() -> list[bytes]:
    """Returns the path prefixes of all shipped sounds."""
    return [os.fsencode(built_in_folder(name)) + os.fsencode(os.sep) for name in FOLDERS]


class ShippedSounds:
    """Adds the shipped sounds to a database, and refreshes them if an update has changed or moved them.

    The database stores a number for their content and folder as its `application_id`, so forgotten sounds stay
    out.
    """

    def __init__(self) -> None:
        folder = built_in_folder("library")
        self._data = (folder / SHIPPED_FILE).read_bytes()
        self._number = zlib.crc32(self._data, zlib.crc32(os.fsencode(folder))) & 0x7FFFFFFF or 1

    def already_added(self, base: sqlite3.Connection) -> bool:
        """Whether the present shipped sounds have been added already."""
        return _number_of(base) == self._number

    def add_to(self, base: sqlite3.Connection) -> None:
        """Adds the sounds with their results, within a transaction; later updates only known sounds and moved ones."""
        sounds = json.loads(gzip.decompress(self._data))
        first = not _number_of(base)
        base.execute(f"PRAGMA application_id={self._number}")
        known: dict[str, list[bytes]] = {}
        for digest, at in base.execute("SELECT sounds.digest, path FROM sounds JOIN files ON files.sound = sounds.id"):
            known.setdefault(digest, []).append(at)
        paths = {at for each in known.values() for at in each}
        for sound in sounds:
            folder, _, name = sound["name"].partition("/")
            path = built_in_folder(folder) / name
            held = known.get(sound["sound"][0], [])
            # those of another installation stay as they are
            moved = bool(held) and not any(map(os.path.lexists, held))
            if path.is_file() and (first or moved or os.fsencode(path) in paths):
                _add(base, sound, os.fsencode(path), path.stat())


def _number_of(base: sqlite3.Connection) -> int:
    return int(base.execute("PRAGMA application_id").fetchone()[0])


def _add(base: sqlite3.Connection, sound: dict[str, Any], path: bytes, state: os.stat_result) -> None:
    base.execute("INSERT OR IGNORE INTO sounds (digest, duration, rate, channels) VALUES (?, ?, ?, ?)", sound["sound"])
    ((number,),) = base.execute("SELECT id FROM sounds WHERE digest = ?", sound["sound"][:1])
    for (other,) in base.execute("SELECT path FROM files WHERE sound = ?", (number,)).fetchall():
        if not os.path.lexists(other):
            base.execute("DELETE FROM files WHERE path = ?", (other,))
    base.execute(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, '', 0)",
        (path, state.st_size, state.st_mtime_ns, sound["digest"], number, to_compact_json(sound["tags"]),
         words_of(path, sound["tags"])),
    )  # fmt: skip
    base.executemany(
        "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?)",  # what was analysed here is kept
        [
            (number, name, version, to_compact_json(data), why)
            for name, (version, data, why) in sound["results"].items()
        ],
    )
    if sound["place"]:
        base.execute("INSERT OR IGNORE INTO places VALUES (?, ?, ?)", (number, *sound["place"]))


FILE = "library.sqlite"
TIMEOUT_SECONDS = 5.0
"""Maximum seconds to wait for another process's transaction, which takes milliseconds."""
VERSION = 3
"""Schema version of the tables; no release had an earlier one."""
TABLES = """
CREATE TABLE sounds (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE,
    duration REAL NOT NULL, rate INTEGER NOT NULL, channels INTEGER NOT NULL);
CREATE TABLE files (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, digest TEXT NOT NULL,
    sound INTEGER REFERENCES sounds (id), tags TEXT NOT NULL, words TEXT NOT NULL, problem TEXT NOT NULL,
    missing INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX files_by_digest ON files (digest);
CREATE INDEX files_by_sound ON files (sound);
CREATE TABLE results (
    sound INTEGER NOT NULL REFERENCES sounds (id) ON DELETE CASCADE, analysis TEXT NOT NULL,
    version INTEGER NOT NULL, data TEXT NOT NULL, problem TEXT NOT NULL,
    PRIMARY KEY (sound, analysis)) WITHOUT ROWID;
CREATE TABLE landmarks (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    sound INTEGER NOT NULL UNIQUE REFERENCES sounds (id) ON DELETE CASCADE, data BLOB NOT NULL);
CREATE TABLE signals (
    id INTEGER PRIMARY KEY, sound INTEGER NOT NULL REFERENCES sounds (id) ON DELETE CASCADE,
    kind TEXT NOT NULL, time REAL NOT NULL);
CREATE INDEX signals_by_sound ON signals (sound);
CREATE TABLE companions (
    sound INTEGER NOT NULL REFERENCES sounds (id) ON DELETE CASCADE,
    other INTEGER NOT NULL REFERENCES sounds (id) ON DELETE CASCADE,
    weight REAL NOT NULL, PRIMARY KEY (sound, other)) WITHOUT ROWID;
CREATE INDEX companions_by_other ON companions (other);
CREATE TABLE places (
    sound INTEGER PRIMARY KEY REFERENCES sounds (id) ON DELETE CASCADE, x REAL NOT NULL, y REAL NOT NULL);
"""
"""`sounds` holds content, keyed by a digest of its samples; `files` locations and tags; `results` the output of an
analysis version for a sound; `landmarks` the fingerprint points, whose serial is never reused, so that an index entry
stays valid. `signals` has the listener's likes, dislikes, skips and plays, `companions` sounds played together by
others, and `places` map positions."""


def open_database(root: Path, *, make: bool = True) -> sqlite3.Connection:
    """Opens the database in a folder, creating it if missing. WAL, each statement a transaction unless one is begun.

    Without `make`, a missing database is replaced by one in memory. The performer's own has the shipped sounds. Raises
    `FileError`: the folder cannot be made, or the file is damaged, in use, or of another version.
    """
    if not make and not os.path.lexists(root / FILE):
        base = sqlite3.connect(":memory:", isolation_level=None)
        _make_tables(base, root / FILE)
        _add_shipped(base, root)
        return base
    path = make_folder(root) / FILE
    with explain_errors(path):
        # for the owner alone, as its log will be: it says what one plays and likes. Only where it is new: to close a
        # file of this process ends all its locks on it, those of an open database too
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with contextlib.suppress(OSError):  # that of an earlier version; it fails for another's, which stays as it is
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
        base = sqlite3.connect(path, timeout=TIMEOUT_SECONDS, isolation_level=None)
        try:
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=NORMAL")  # with WAL a power cut costs transactions, never the file
            base.execute("PRAGMA foreign_keys=ON")
            _make_tables(base, path)
            _add_shipped(base, root)
        except BaseException:
            base.close()
            raise
    return base


def _make_tables(base: sqlite3.Connection, path: Path) -> None:
    if _version(base) == 0:
        with transaction(base):
            if _version(base) == 0:  # another process may have been first
                for statement in TABLES.split(";"):
                    base.execute(statement)
                base.execute(f"PRAGMA user_version={VERSION}")
    if (found := _version(base)) != VERSION:
        older = "move it elsewhere and add the sound files again, which are not touched"
        what = "which a newer Antiphon wrote" if found > VERSION else "which a trial version of Antiphon wrote"
        raise FileError(
            f"{path} is of version {found}, {what}; this one reads {VERSION}: "
            f"{'update Antiphon' if found > VERSION else older}, or name another folder by {spell('root')}"
        )


def _add_shipped(base: sqlite3.Connection, root: Path) -> None:
    if root != library_folder():
        return
    shipped = ShippedSounds()
    if not shipped.already_added(base):
        with transaction(base):
            if not shipped.already_added(base):  # another process may have been first
                shipped.add_to(base)


def _version(base: sqlite3.Connection) -> int:
    return int(base.execute("PRAGMA user_version").fetchone()[0])


@contextlib.contextmanager
def transaction(base: sqlite3.Connection) -> Iterator[None]:
    """Context of an atomic transaction."""
    base.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if base.in_transaction:  # a full disk has rolled it back already
            base.execute("ROLLBACK")
        raise
    base.execute("COMMIT")


@contextlib.contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Converts sqlite errors about the database at `path`, within a context, to a one-sentence `FileError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise FileError(f"cannot use the library {path}: {_reason(error)}") from None


class Reader:
    """Reads rows of the database at `path`, which is named in errors."""

    def __init__(self, base: sqlite3.Connection, path: Path) -> None:
        self._base, self._path = base, path

    def __call__(self, statement: str, *given: Any) -> list[Any]:
        """All rows of a statement. Raises `FileError` as `explain_errors`."""
        with explain_errors(self._path):
            return self._base.execute(statement, given).fetchall()


def _reason(error: sqlite3.Error) -> str:
    text = str(error).lower()
    if "locked" in text or "busy" in text:
        return "another program is writing to it; try again when that is done"
    if "full" in text:
        return "the disk is full; free some space and repeat the command, what was finished is kept"
    if "readonly" in text or "unable to open" in text:
        return f"{text}; name a folder you may write to by {spell('root')}"
    if "disk i/o" in text:
        return "its disk reports an error; is it connected, and is there space on it?"
    if isinstance(error, sqlite3.OperationalError):
        return text
    return (
        f"it is damaged ({text}); move it elsewhere and add the sound files again, which are not touched, "
        "or bring back a copy of it"
    )
