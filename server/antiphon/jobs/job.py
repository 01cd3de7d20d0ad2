"""A job: one plugin, patch or live set over one file; and the errors of jobs, each with its own status."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from antiphon.files.own_files import lock
from antiphon.kernel.errors import AntiphonError, FileError
from antiphon.kernel.runtime.paths import PRIVATE_FOLDER, make_folder


class JobError(AntiphonError):
    """A refused request about files, jobs or classifiers."""


class Missing(JobError):
    """No file, job, result, patch, live set or classifier of that name."""


class FileInUse(JobError):
    """A file is in use by a job."""


class UnsupportedFormat(JobError):
    """A file format that cannot be read."""


class UnreadableFile(JobError):
    """A file that is damaged, or not of the format of its suffix."""


class TooManyRequests(JobError):
    """Too many requests are waiting or running. `retry_seconds`: delay after which another try may succeed."""

    def __init__(self, message: str, retry_seconds: int) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class Unavailable(JobError):
    """A process does not start, does not answer in time, or failed."""


class StorageFull(JobError):
    """The storage for files and results is full."""


class JobState(StrEnum):
    """State of a job: waiting, running, or one of three ends."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether the job has ended: done, failed or cancelled."""
        return self not in (JobState.WAITING, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Task:
    """A request for a job."""

    command: str  # "run" (a plugin), "render" (a patch) or "live" (a live set)
    name: str
    file: str  # the identifier of what it works on, a file or a job with a result; "" for what plays by itself
    suffix: str  # ending of the result's name: ".wav"
    params: Mapping[str, Any]
    request: Mapping[str, Any] = field(default_factory=dict)  # fields of its run or rendering, without files
    beside: Mapping[str, str] = field(default_factory=dict)  # other results, by argument: {"midi_out": "notes.mid"}
    later: bool = False  # it runs behind all that are not, and begins anew where one of these comes

    def plain(self) -> dict[str, Any]:
        """The task as data for JSON."""
        return asdict(self)

    @staticmethod
    def from_plain(data: Mapping[str, Any]) -> Task:
        """Restores a task from the data of `plain`."""
        return Task(**{name: value for name, value in data.items() if name in Task.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class Job:
    """A task with its state and progress.

    `created`, `ended`: unix time in seconds; `ended` is 0 while it has not ended.
    """

    id: str  # 12 hexadecimal digits
    task: Task
    state: JobState = JobState.WAITING
    progress: float = 0.0  # share that is done, 0 to 1
    error: str = ""  # why it failed, one sentence; "" where it did not
    summary: str = ""
    created: float = 0.0
    ended: float = 0.0
    results: Mapping[str, int] = field(default_factory=dict)  # names and bytes of its result files
    started: float = 0.0  # unix time at which it began to run; 0 while it waits, and not kept over a restart
    stage: str = ""  # what it does while no share of it is known; not kept over a restart

    def plain(self) -> dict[str, Any]:
        """The job as data for clients."""
        task = {name: getattr(self.task, name) for name in ("command", "name", "file", "params")}
        told = ("stage", "error", "summary", "created", "started", "ended")
        return {
            "id": self.id,
            **task,
            "state": str(self.state),
            "progress": round(self.progress, 4),
            **{name: getattr(self, name) for name in told},
            "results": [{"name": name, "bytes": size} for name, size in self.results.items()],
        }


VERSION = 1
"""Schema version of the tables below, in the file's `user_version`."""
WAIT_SECONDS = 0.1
"""Timeout in seconds for a lock held by another server of the same owner."""
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


class JobTable:
    """Jobs and files in a database; each change is written at once, except a job's progress."""

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
        """Yields all jobs, oldest first. Raises `FileError` for a damaged one."""
        for row in self._rows(
            "SELECT id, task, state, error, summary, created, ended, results FROM job ORDER BY created"
        ):
            key, task, state, error, summary, created, ended, results = row
            done = 1.0 if state == JobState.DONE else 0.0
            try:
                asked = Task.from_plain(json.loads(task))
                yield Job(key, asked, JobState(state), done, error, summary, created, ended, json.loads(results))
            except (ValueError, KeyError, TypeError):
                raise FileError(f"the table of jobs {self._path} is damaged; {_ADVICE}") from None

    def files(self) -> Iterator[Upload]:
        """Yields all files, oldest first."""
        for row in self._rows("SELECT id, name, suffix, bytes, created FROM file ORDER BY created"):
            yield Upload(*row)

    def put(self, job: Job) -> None:
        """Writes a new or changed job."""
        task, results = json.dumps(job.task.plain()), json.dumps(dict(job.results))
        values = (job.id, task, str(job.state), job.error, job.summary, job.created, job.ended, results)
        self._rows("INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *values)

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
