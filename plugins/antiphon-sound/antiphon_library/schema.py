"""The catalogue's database: its tables, and its errors as sentences."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from antiphon.api import FileError
from antiphon.api.backends.files import library_folder, make_folder
from antiphon_library.shipped import ShippedSounds

FILE = "library.sqlite"
TIMEOUT_SECONDS = 5.0
"""Seconds to wait for another process's transaction; one takes milliseconds."""
VERSION = 3
"""Schema version of the tables; earlier ones were in no release."""
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
stays valid. `signals` is what a listener liked, disliked, skipped and played, `companions` sounds played together by
others, and `places` map positions."""


def open_database(root: Path, *, make: bool = True) -> sqlite3.Connection:
    """Opens the database in a folder, creating it if missing. WAL, each statement a transaction unless one is begun.

    Without `make`, where there is none, one in memory. The performer's own has the sounds that ship. Raises
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
            f"{'update Antiphon' if found > VERSION else older}, or name another folder by --root"
        )


def _add_shipped(base: sqlite3.Connection, root: Path) -> None:
    if root != library_folder():
        return
    shipped = ShippedSounds()
    if not shipped.are_in(base):
        with transaction(base):
            if not shipped.are_in(base):  # another process may have been first
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
    """Context that converts sqlite errors about the database at `path` to a one-sentence `FileError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise FileError(f"cannot use the library {path}: {_reason(error)}") from None


class Reader:
    """Reads rows of the database at `path`, which its errors name."""

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
        return f"{text}; name a folder you may write to by --root"
    if "disk i/o" in text:
        return "its disk reports an error; is it connected, and is there space on it?"
    if isinstance(error, sqlite3.OperationalError):
        return text
    return (
        f"it is damaged ({text}); move it elsewhere and add the sound files again, which are not touched, "
        "or bring back a copy of it"
    )
