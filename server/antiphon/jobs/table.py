"""Table of jobs and files: SQLite, so that they outlive a web process and a server."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.jobs.job import Job, JobState, Task
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.file_lock import lock
from antiphon.kernel.runtime.paths import PRIVATE_FOLDER, make_folder

VERSION = 1
"""Schema version of the tables below, in the file's `user_version`."""
WAIT_SECONDS = 0.1
"""Lock timeout in seconds, for another server of the same owner that writes."""
_ADVICE = "move its folder away, with the files of its jobs: a new one is made"
_TABLES = """
CREATE TABLE file (id TEXT PRIMARY KEY, name TEXT NOT NULL, suffix TEXT NOT NULL, bytes INTEGER NOT NULL,
                   created REAL NOT NULL);
CREATE TABLE job (id TEXT PRIMARY KEY, task TEXT NOT NULL, state TEXT NOT NULL, error TEXT NOT NULL,
                  summary TEXT NOT NULL, created REAL NOT NULL, ended REAL NOT NULL, results TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file."""

    id: str  # 12 hexadecimal digits
    name: str
    suffix: str  # of its name: ".wav"
    bytes: int
    created: float

    def plain(self) -> dict[str, object]:
        """The entry as clients get it."""
        return {"id": self.id, "name": self.name, "bytes": self.bytes, "created": self.created}


class JobTable:
    """Jobs and files, each written on a change. A job's progress is not stored."""

    def __init__(self, folder: Path) -> None:
        """Opens the table in a folder, made where it is missing.

        Raises FileError: another server uses it, or the file is damaged, of a newer version, or cannot be written.
        """
        make_folder(folder, PRIVATE_FOLDER)
        lock_file = lock(folder / "lock")
        if lock_file is None:  # two servers would do the same jobs twice
            raise FileError("another server of yours does the work on files; ask that one, or stop it first")
        self._lock, self._path = lock_file, folder / "jobs.sqlite"
        try:
            self._base = _opened(self._path)
        except BaseException:
            os.close(lock_file)
            raise

    def close(self) -> None:
        """Closes the file."""
        self._base.close()
        os.close(self._lock)

    def jobs(self) -> Iterator[Job]:
        """All jobs, oldest first; `FileError` for a damaged one."""
        for row in self._rows(
            "SELECT id, task, state, error, summary, created, ended, results FROM job ORDER BY created"
        ):
            key, task, state, error, summary, created, ended, results = row
            done = 1.0 if state == JobState.DONE else 0.0
            try:
                yield Job(
                    key,
                    Task.from_plain(json.loads(task)),
                    JobState(state),
                    done,
                    error,
                    summary,
                    created,
                    ended,
                    json.loads(results),
                )
            except (ValueError, KeyError, TypeError):
                raise FileError(f"the table of jobs {self._path} is damaged; {_ADVICE}") from None

    def files(self) -> Iterator[Upload]:
        """All files, oldest first."""
        for row in self._rows("SELECT id, name, suffix, bytes, created FROM file ORDER BY created"):
            yield Upload(*row)

    def put(self, job: Job) -> None:
        """Writes a job, a new one or a change."""
        self._rows(
            "INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            job.id,
            json.dumps(job.task.plain()),
            str(job.state),
            job.error,
            job.summary,
            job.created,
            job.ended,
            json.dumps(dict(job.results)),
        )

    def put_file(self, file: Upload) -> None:
        """Writes a new file."""
        self._rows("INSERT INTO file VALUES (?, ?, ?, ?, ?)", file.id, file.name, file.suffix, file.bytes, file.created)

    def remove(self, key: str) -> None:
        """Removes a job or a file."""
        self._rows("DELETE FROM job WHERE id = ?", key)
        self._rows("DELETE FROM file WHERE id = ?", key)

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._base.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise FileError(f"the table of jobs cannot be used ({error})") from None


def _opened(path: Path) -> sqlite3.Connection:
    base: sqlite3.Connection | None = None
    try:
        base = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=NORMAL")
        (version,) = base.execute("PRAGMA user_version").fetchone()
        if version == 0:
            base.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={VERSION}; COMMIT;")
        if version > VERSION:
            raise FileError(f"{path} is of a newer version of Antiphon; use that one, or {_ADVICE}")
    except BaseException as error:
        if base is not None:
            base.close()
        if not isinstance(error, sqlite3.Error):
            raise
        raise FileError(f"the table of jobs {path} cannot be used ({error}); {_ADVICE}") from None
    return base
