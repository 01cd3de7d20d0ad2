"""A folder of loops, analysed once: what is known is kept in SQLite and asked again when a file has changed."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon import paths
from antiphon.errors import AntiphonError, FileError, PluginError
from antiphon_loops import rules
from antiphon_loops.record import Loop

VERSION = 1
"""Of the analysis: what another version found is found again."""
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au")
MOST_FILES = 20000
MOST_BYTES = 256 << 20
_TABLE = """CREATE TABLE IF NOT EXISTS loops (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, hash TEXT NOT NULL,
    version INTEGER NOT NULL, found TEXT NOT NULL, problem TEXT NOT NULL)"""

Progress = Callable[[int, int, str], None]
"""Files done, files there are, the one that is next."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """loops: in order of their names.  problems: a sentence for each file that is none.  fresh: how many were new."""

    folder: Path
    loops: tuple[Loop, ...]
    problems: tuple[str, ...]
    fresh: int


def folder_of(name: str) -> Path:
    """A path, or the name of a folder in the library; `PluginError` where there is none."""
    path = Path(name).expanduser()
    try:
        if not path.is_absolute():
            path = paths.inside(paths.library(), name)
    except FileError as error:
        raise PluginError(str(error)) from None
    if not path.is_dir():
        raise PluginError(f"library takes a folder of loops, and there is none at {name[:200]!r}")
    return path


def ready(folder: Path) -> tuple[tuple[Loop, ...], rules.Rules]:
    """The loops and the rules of a folder, analysed where they have not been; `PluginError` where there is no loop."""
    try:
        known, stacking = analyse(folder), rules.load(folder)
    except AntiphonError as error:
        raise PluginError(str(error)) from None
    if not known.loops:
        why = f"; {known.problems[0]}" if known.problems else f"; their names end in {', '.join(SUFFIXES)}"
        raise PluginError(f"there is no loop in {folder.name[:80]!r}{why}")
    return known.loops, stacking


def database() -> Path:
    return paths.cache() / "loops.sqlite"


def analyse(folder: Path, progress: Progress | None = None, store: Path | None = None) -> Analysed:
    """Analyses what is new in a folder and below it. Each file is stored when done: a stop costs one file.

    A file known by its size and time is not opened; one that only moved or was touched is known by its content.
    store: the database, the cache's own unless said.
    """
    from antiphon_loops.analysis import analyse_file

    files = sorted(found_in(folder))
    loops: list[Loop] = []
    problems: list[str] = []
    fresh = 0
    with closing(_open(store or database())) as base:
        for n, path in enumerate(files):
            name = path.relative_to(folder).as_posix()
            if progress is not None:
                progress(n, len(files), name)
            try:
                stat = path.stat()
                row = _known(base, path, stat)
                if row is None:
                    row = _look(path, name, analyse_file)
                    fresh += 1
                found, problem, digest = row
                _keep(base, path, stat, digest, found, problem)
            except OSError as error:
                found, problem = None, f"cannot read {name}: {paths.why(error)}"
            if found is not None:
                loops.append(Loop.from_json({**found, "file": name}))
            else:
                problems.append(problem)
        if progress is not None:
            progress(len(files), len(files), "")
    return Analysed(folder, tuple(loops), tuple(problems), fresh)


def found_in(folder: Path) -> Iterable[Path]:
    """Sound files in a folder and below it; hidden ones and links to folders are passed over."""
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                count += 1
                if count > MOST_FILES:
                    return
                yield Path(place) / name


def listing(loops: Sequence[Loop]) -> list[dict[str, Any]]:
    """What `--analysis OUT.json` writes: file, bpm, key or null, bars, instrument, and all else that is known."""
    first = ("file", "bpm", "key", "bars", "instrument")
    rows = [x.to_json() for x in loops]
    return [{**{k: row[k] for k in first}, **{k: v for k, v in row.items() if k not in first}} for row in rows]


def write_listing(loops: Sequence[Loop], path: Path) -> None:
    paths.write_atomic(path, (json.dumps(listing(loops), indent=1) + "\n").encode())


def _look(path: Path, name: str, analyse_file: Callable[[Path, str], Loop]) -> tuple[dict[str, Any] | None, str, str]:
    digest = _hash(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise FileError(f"cannot read {name}: it is larger than {MOST_BYTES >> 20} MB, which is no loop")
        return analyse_file(path, name).to_json(), "", digest
    except AntiphonError as error:
        return None, str(error), digest


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:40]


def _open(path: Path) -> sqlite3.Connection:
    """The database; one that is broken is made anew, for it can be."""
    paths.made(path.parent)
    for again in (True, False):
        base = sqlite3.connect(path, timeout=30.0, isolation_level=None)
        try:
            base.execute("PRAGMA journal_mode=WAL")
            base.execute(_TABLE)
            base.execute("CREATE INDEX IF NOT EXISTS by_hash ON loops (hash, version)")
            base.execute("SELECT path, size, mtime, hash, version, found, problem FROM loops LIMIT 1")
            return base
        except sqlite3.DatabaseError as error:
            base.close()
            if not again or isinstance(error, sqlite3.OperationalError):
                raise FileError(f"cannot use {path}: {error}; remove it") from None
            path.unlink(missing_ok=True)
    raise AssertionError


def _known(base: sqlite3.Connection, path: Path, stat: os.stat_result) -> tuple[dict[str, Any] | None, str, str] | None:
    row = base.execute(
        "SELECT found, problem, hash FROM loops WHERE path = ? AND size = ? AND mtime = ? AND version = ?",
        (str(path.absolute()), stat.st_size, stat.st_mtime_ns, VERSION),
    ).fetchone()
    if row is None:
        digest = _hash(path)
        row = base.execute(
            "SELECT found, problem, hash FROM loops WHERE hash = ? AND version = ? AND problem = ''", (digest, VERSION)
        ).fetchone()
    if row is None:
        return None
    try:
        found = json.loads(row[0])
        if found is not None:
            Loop.from_json(found)
        return found, str(row[1]), str(row[2])
    except (ValueError, TypeError, KeyError):
        return None


def _keep(
    base: sqlite3.Connection, path: Path, stat: os.stat_result, digest: str, found: dict[str, Any] | None, problem: str
) -> None:
    base.execute(
        "INSERT OR REPLACE INTO loops VALUES (?, ?, ?, ?, ?, ?, ?)",
        (str(path.absolute()), stat.st_size, stat.st_mtime_ns, digest, VERSION, json.dumps(found), problem),
    )
