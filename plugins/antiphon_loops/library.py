"""A folder of loops, analysed once: what is known is kept in SQLite and asked again when a file has changed."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.api import AntiphonError, FileError, PluginError
from antiphon.api.files import (
    SOUND_FORMATS,
    cache_folder,
    library_folder,
    make_folder,
    path_inside,
    reason_of_os_error,
    write_atomic,
)
from antiphon_loops.analysis.reading import MOST_BYTES
from antiphon_loops.arrangement import rules
from antiphon_loops.record import Loop

VERSION = 2
"""Of the analysis: what another version found is found again."""
MOST_FILES = 20000
AT_ONCE = 2
_TABLE = """CREATE TABLE IF NOT EXISTS loops (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, hash TEXT NOT NULL,
    version INTEGER NOT NULL, found TEXT NOT NULL, problem TEXT NOT NULL)"""

_Found = tuple[dict[str, Any] | None, str]
"""What `Loop` says of a file, or why it is none."""
Progress = Callable[[int, int, str], None]
"""Files done, files there are, the one that is next."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """loops: in order of their names.  problems: a sentence for each file that is none.  fresh: how many were new."""

    folder: Path
    loops: tuple[Loop, ...]
    problems: tuple[str, ...]
    fresh: int

    @property
    def doubts(self) -> tuple[str, ...]:
        """A sentence for each loop that has no tempo."""
        return tuple(
            f"{x.file} has no beat to tell a tempo by; it is taken for {x.bars} bars at {x.bpm:.4g} bpm"
            for x in self.loops
            if x.tempo_sure == 0.0
        )


def folder_of(name: str) -> Path:
    """A path, or the name of a folder in the library; `PluginError` where there is none."""
    path = Path(name).expanduser()
    try:
        if not path.is_absolute():
            path = path_inside(library_folder(), name)
    except FileError as error:
        raise PluginError(str(error)) from None
    if not path.is_dir():
        raise PluginError(f"library takes a folder of loops, and there is none at {name[:200]!r}")
    return path


def ready(folder: Path, progress: Progress | None = None) -> tuple[tuple[Loop, ...], rules.Rules]:
    """The loops and the rules of a folder, analysed where they have not been; `PluginError` where there is no loop."""
    try:
        known, stacking = analyse(folder, progress), rules.load(folder)
    except AntiphonError as error:
        raise PluginError(str(error)) from None
    if not known.loops:
        raise nothing_in(folder, known.problems)
    return known.loops, stacking


def nothing_in(folder: Path, problems: Sequence[str] = ()) -> PluginError:
    why = problems[0] if problems else f"their names end in {', '.join(SOUND_FORMATS)}"
    return PluginError(f"there is no loop in {folder.name[:80]!r}; {why}")


def database() -> Path:
    return cache_folder() / "loops.sqlite"


def analyse(folder: Path, progress: Progress | None = None, store: Path | None = None) -> Analysed:
    """Analyses what is new in a folder and below it, two files at a time. Each is stored when done: a stop costs two.

    A file known by its size and time is not opened; one that only moved or was touched is known by its content.
    store: the database, the cache's own unless said.
    """
    files = sorted(found_in(folder))
    loops: list[Loop] = []
    problems: list[str] = []
    fresh = 0
    ahead: deque[_File] = deque()
    with closing(_open(store or database())) as base, _Pool(AT_ONCE) as pool:
        for n, path in enumerate(files):
            for later in files[n + len(ahead) : n + AT_ONCE]:
                ahead.append(_begin(base, later, later.relative_to(folder).as_posix(), pool))
            file = ahead.popleft()
            if progress is not None:
                progress(n, len(files), file.name)
            found, problem = file.known
            if file.work is not None:
                found, problem = file.work.result()
                fresh += 1
            if file.stat is not None:
                _keep(base, path, file.stat, file.digest, found, problem)
            if found is not None:
                loops.append(Loop.from_json({**found, "file": file.name}))
            else:
                problems.append(problem)
        if progress is not None:
            progress(len(files), len(files), "")
    return Analysed(folder, tuple(loops), tuple(problems), fresh)


class _Pool(ThreadPoolExecutor):
    """Begins nothing more once it is left."""

    def __exit__(self, *error: object) -> None:
        self.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _File:
    """One that is on its way. known: what is kept of it, or why it is no loop.  work: of one that is new."""

    name: str
    stat: os.stat_result | None
    digest: str
    known: _Found
    work: Future[_Found] | None


def _begin(base: sqlite3.Connection, path: Path, name: str, pool: ThreadPoolExecutor) -> _File:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            return _File(name, None, "", (None, f"cannot read {name}: it is no ordinary file"), None)
        known, digest = _known(base, path, state)
    except OSError as error:
        return _File(name, None, "", (None, f"cannot read {name}: {reason_of_os_error(error)}"), None)
    if known is not None:
        return _File(name, state, digest, known, None)
    return _File(name, state, digest, (None, ""), pool.submit(_look, path, name))


def found_in(folder: Path) -> Iterable[Path]:
    """Sound files in a folder and below it; hidden ones and links to folders are passed over."""
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(tuple(SOUND_FORMATS)) and not name.startswith("."):
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
    write_atomic(path, (json.dumps(listing(loops), indent=1) + "\n").encode())


def _look(path: Path, name: str) -> _Found:
    from antiphon_loops.analysis.analyse import analyse_file

    try:
        return analyse_file(path, name).to_json(), ""
    except AntiphonError as error:
        return None, str(error)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:40]


def _open(path: Path) -> sqlite3.Connection:
    """The database; one that is broken is made anew, for it can be."""
    make_folder(path.parent)
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


def _known(base: sqlite3.Connection, path: Path, state: os.stat_result) -> tuple[_Found | None, str]:
    """What is kept of a file, None where nothing is; and the digest of its content."""
    row = base.execute(
        "SELECT found, problem, hash FROM loops WHERE path = ? AND size = ? AND mtime = ? AND version = ?",
        (_text(path), state.st_size, state.st_mtime_ns, VERSION),
    ).fetchone()
    digest = str(row[2]) if row is not None else ""
    if row is None and state.st_size <= MOST_BYTES:
        digest = _hash(path)
        row = base.execute(
            "SELECT found, problem, hash FROM loops WHERE hash = ? AND version = ? AND problem = ''", (digest, VERSION)
        ).fetchone()
    if row is None:
        return None, digest
    try:
        found = json.loads(row[0])
        if found is not None:
            Loop.from_json(found)
        return (found, str(row[1])), digest
    except (ValueError, TypeError, KeyError):
        return None, digest


def _keep(
    base: sqlite3.Connection, path: Path, state: os.stat_result, digest: str, found: dict[str, Any] | None, problem: str
) -> None:
    base.execute(
        "INSERT OR REPLACE INTO loops VALUES (?, ?, ?, ?, ?, ?, ?)",
        (_text(path), state.st_size, state.st_mtime_ns, digest, VERSION, json.dumps(found), problem),
    )


def _text(path: Path) -> str:
    """A path as the database can hold it: names need not be text."""
    return os.fsencode(path.absolute()).decode(errors="backslashreplace")
