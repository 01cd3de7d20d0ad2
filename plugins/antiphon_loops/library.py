"""A folder of loops and its analysis, which is cached in SQLite and repeated for files that have changed."""

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
    folder_in_library,
    make_folder,
    printable_path,
    reason_of_os_error,
    write_atomic,
)
from antiphon_loops.analysis.labels import TempoLabel, number_in, tempo_in
from antiphon_loops.analysis.reading import MOST_BYTES
from antiphon_loops.analysis.tempo import NEAR_NUMBER, bars_at
from antiphon_loops.arrangement import rules
from antiphon_loops.record import Loop

VERSION = 3
"""Version of the analysis: results of another version are discarded."""
MOST_FILES = 20000
AT_ONCE = 2
_MOST_NAMES = 4
"""Loops named in a sentence."""
_TABLE = """CREATE TABLE IF NOT EXISTS loops (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, hash TEXT NOT NULL,
    version INTEGER NOT NULL, found TEXT NOT NULL, problem TEXT NOT NULL)"""

_Found = tuple[dict[str, Any] | None, str]
"""The fields of a `Loop`, or None; and why the file is not a loop."""
Progress = Callable[[int, int, str], None]
"""Called with the number of files done, the number of files, and the name of the next."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """The analysis of a folder.

    Attributes:
        folder: The folder.
        loops: In order of their names.
        problems: A sentence for each file that is not a loop.
        fresh: Number of files analysed and not read from the cache.
    """

    folder: Path
    loops: tuple[Loop, ...]
    problems: tuple[str, ...]
    fresh: int

    @property
    def doubts(self) -> tuple[str, ...]:
        """A sentence for each loop without a detectable tempo."""
        return tuple(
            f"{x.file} has no beat from which to find a tempo; it is treated as {x.bars} bars at {x.bpm:.4g} bpm"
            for x in self.loops
            if x.tempo_sure == 0.0
        )

    def uncertain(self, stacking: rules.Rules) -> tuple[Loop, ...]:
        """The loops that the rules leave out because their tempo is uncertain."""
        return tuple(x for x in self.loops if stacking.leaves_out(x))


def left_out(loops: Sequence[Loop]) -> str:
    """A sentence on loops of uncertain tempo."""
    names = [f"{printable_path(x.file)} ({x.bpm:.4g} or {x.other_bpm:.4g} bpm)" for x in loops[:_MOST_NAMES]]
    more = f" and {len(loops) - len(names)} more" if len(loops) > len(names) else ""
    which = "1 loop is" if len(loops) == 1 else f"{len(loops)} loops are"
    return (
        f"{which} left out, for the tempo is uncertain: {', '.join(names)}{more}; write it into the name, as "
        f"{printable_path(_with_tempo(loops[0]))}"
    )


def _with_tempo(loop: Loop) -> str:
    """An example of a loop's name with its tempo."""
    stem, dot, ending = loop.file.rsplit("/", 1)[-1].rpartition(".")
    return f"{stem}-{loop.bpm:.0f}bpm{dot}{ending}"


def folder_of(name: str) -> Path:
    """The folder of a path, or of a name in the library of loops.

    Raises:
        PluginError: There is no such folder.
    """
    return folder_in_library(name, "loops", PluginError)


def ready(folder: Path, progress: Progress | None = None) -> tuple[tuple[Loop, ...], rules.Rules]:
    """The loops and the rules of a folder, analysed where they have not been; without those of uncertain tempo.

    Raises:
        PluginError: There is no loop in it that can be used, or its rules are invalid.
    """
    try:
        known, stacking = analyse(folder, progress), rules.load(folder)
    except AntiphonError as error:
        raise PluginError(str(error)) from None
    uncertain = known.uncertain(stacking)
    if len(uncertain) == len(known.loops):
        raise nothing_in(folder, (left_out(uncertain),) if uncertain else known.problems)
    return tuple(x for x in known.loops if x not in uncertain), stacking


def nothing_in(folder: Path, problems: Sequence[str] = ()) -> PluginError:
    """The error for a folder without loops, with the first of the problems as the reason."""
    why = problems[0] if problems else f"their names end in {', '.join(SOUND_FORMATS)}"
    return PluginError(f"there is no loop in {folder.name[:80]!r}; {why}")


def database() -> Path:
    """The path of the cache."""
    return cache_folder() / "loops.sqlite"


def analyse(folder: Path, progress: Progress | None = None, store: Path | None = None) -> Analysed:
    """Analyses the new files in a folder and below it, two at a time. Each result is stored at once.

    A file with known size and time is not opened; one that was only moved or touched is recognised by its content.

    Args:
        folder: The folder.
        progress: Called before each file and at the end.
        store: The database; None for the cache's own.

    Raises:
        FileError: The database cannot be used.
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
            record, problem = file.known
            if file.work is not None:
                record, problem = file.work.result()
                fresh += 1
            if file.stat is not None:
                _keep(base, path, file.stat, file.digest, record, problem)
            if record is not None:
                loops.append(Loop.from_json({**record, "file": file.name}))
            else:
                problems.append(problem)
        if progress is not None:
            progress(len(files), len(files), "")
    return Analysed(folder, tuple(loops), tuple(problems), fresh)


class _Pool(ThreadPoolExecutor):
    """A thread pool that cancels what has not begun when it is closed."""

    def __exit__(self, *error: object) -> None:
        self.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _File:
    """A file under analysis.

    Attributes:
        name: Its name, relative to the folder.
        stat: Its size and time; None where it cannot be read.
        digest: Of its content, "" where that was not read.
        known: Its cached result, or why it is not a loop.
        work: The pending analysis of a new file.
    """

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
        known, digest = _known(base, path, name, state)
    except OSError as error:
        return _File(name, None, "", (None, f"cannot read {name}: {reason_of_os_error(error)}"), None)
    if known is not None:
        return _File(name, state, digest, known, None)
    return _File(name, state, digest, (None, ""), pool.submit(_analyse_one, path, name))


def found_in(folder: Path) -> Iterable[Path]:
    """Sound files in a folder and below it; hidden files and links to folders are skipped."""
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


def settle(folder: Path, loop: Loop, bpm: float) -> bool:
    """Analyses a loop anew with the tempo that a person has given, and stores it.

    Args:
        folder: The library's folder.
        loop: The loop.
        bpm: Its tempo.

    Returns:
        Whether the loop makes whole bars of four at that tempo; if not, nothing is stored.

    Raises:
        FileError: The file or the database cannot be used.
    """
    from antiphon_loops.analysis.analyse import analyse_file

    path = folder / loop.file
    with closing(_open(database())) as base:
        again = analyse_file(path, loop.file, TempoLabel(bpm, True, "user"))
        if again.tempo_from != "user":
            return False
        state = path.stat()
        _keep(base, path, state, _digest(path, loop.file), again.to_json(), "")
    return True


def _analyse_one(path: Path, name: str) -> _Found:
    from antiphon_loops.analysis.analyse import analyse_file

    try:
        return analyse_file(path, name).to_json(), ""
    except AntiphonError as error:
        return None, str(error)


def _digest(path: Path, name: str) -> str:
    """A digest of what the analysis of a file depends on: its content, and the tempo in its name."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "blake2b").hexdigest()[:40]
    bpm = tempo_in(name)
    return content if bpm is None else f"{content} {bpm:g} bpm"


def _open(path: Path) -> sqlite3.Connection:
    """Opens the database; a corrupt one is deleted and created again, since it is a cache."""
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


def _known(base: sqlite3.Connection, path: Path, name: str, state: os.stat_result) -> tuple[_Found | None, str]:
    """The cached result of a file, None without one; and the digest of its content."""
    row = base.execute(
        "SELECT found, problem, hash FROM loops WHERE path = ? AND size = ? AND mtime = ? AND version = ?",
        (_text(path), state.st_size, state.st_mtime_ns, VERSION),
    ).fetchone()
    moved = row is None
    digest = "" if moved else str(row[2])
    if moved and state.st_size <= MOST_BYTES:
        digest = _digest(path, name)
        row = base.execute(
            "SELECT found, problem, hash FROM loops WHERE hash = ? AND version = ? AND problem = ''", (digest, VERSION)
        ).fetchone()
    if row is None:
        return None, digest
    try:
        data = json.loads(row[0])
        if data is not None:
            loop, number = Loop.from_json(data), number_in(name)
            if moved and number and rules.Rules().leaves_out(loop) and bars_at(number, loop.seconds, NEAR_NUMBER):
                return None, digest
        return (data, str(row[1])), digest
    except (ValueError, TypeError, KeyError):
        return None, digest


def _keep(
    base: sqlite3.Connection, path: Path, state: os.stat_result, digest: str, data: dict[str, Any] | None, problem: str
) -> None:
    if data is not None and data["tempo_from"] == "number":
        digest = ""  # the same sound under another name has another tempo
    base.execute(
        "INSERT OR REPLACE INTO loops VALUES (?, ?, ?, ?, ?, ?, ?)",
        (_text(path), state.st_size, state.st_mtime_ns, digest, VERSION, json.dumps(data), problem),
    )


def _text(path: Path) -> str:
    """A path as text; bytes that are not UTF-8 are escaped."""
    return os.fsencode(path.absolute()).decode(errors="backslashreplace")
