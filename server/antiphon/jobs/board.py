"""Job board: accepts requests, runs a few jobs at a time, and reports changes."""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from antiphon.files.own_files import copy_into
from antiphon.jobs.files import FileShelf
from antiphon.jobs.job import (
    FileInUse,
    Job,
    JobError,
    JobState,
    JobTable,
    Missing,
    StorageFull,
    Task,
    TooManyRequests,
    UnreadableFile,
    Upload,
)
from antiphon.jobs.live_sets import folders
from antiphon.jobs.overview import HEADER
from antiphon.jobs.process import CommandEnd, perform
from antiphon.jobs.request import make_request
from antiphon.kernel.errors import AntiphonError, FileError
from antiphon.kernel.runtime.paths import PRIVATE_FOLDER, make_folder, path_inside
from antiphon.kernel.runtime.platform import cores
from antiphon.kernel.runtime.shortening import shorten
from antiphon.kernel.runtime.suggestion import instead

MODULE = "antiphon.jobs.overview"
WAITED_FOR = 0
"""Increment of the web process's nice value for short work whose result a page waits for."""


class Overviews:
    """Cache folder of overviews, a JSON file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = make_folder(folder, PRIVATE_FOLDER)
        self._turn = asyncio.Lock()

    async def get(self, key: str, path: Path) -> dict[str, Any]:
        """Result of `overview` for the file of that key, computed if missing.

        Raises Unreadable: the file cannot be read; the message is the reader's.
        """
        async with self._turn:
            kept = self._kept(key)
            if kept is not None:
                return kept
            printed = await self._read(path)
            found: dict[str, Any] = json.loads(printed)
            # one not written, because of a full disk, is computed again
            with contextlib.suppress(OSError):
                self._path(key).write_text(printed)
            return found

    async def check(self, path: Path, name: str) -> None:
        """Checks the header of an uploaded file, by the suffix of `name`.

        Raises Unreadable: it is neither sound nor MIDI; the message is the reader's.
        """
        try:
            await self._read(path, HEADER)
        except UnreadableFile as error:
            raise UnreadableFile(str(error).replace(str(path), name).replace(path.name, name)) from None

    async def _read(self, path: Path, *words: str) -> str:
        outcome = await perform((str(path), *words), module=MODULE, nice=WAITED_FOR)
        if outcome.status:
            raise UnreadableFile((outcome.complaint.splitlines() or [f"{path} cannot be read"])[-1])
        return outcome.printed

    def remove(self, key: str) -> None:
        """Removes an overview, if there is one."""
        with contextlib.suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _kept(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._path(key).read_text())
        except (OSError, ValueError):
            return None  # there is none, or it was written in part
        return found

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


log = logging.getLogger("antiphon.jobs")
MAX_JOBS = 200
"""Maximum jobs remembered; a new job replaces the oldest ended one, with its results."""
MAX_WAITING = 32
MAX_SENTENCE_LETTERS = 400
"""Maximum characters of an error or a summary."""
RETRY_SECONDS = 1.0
"""Retry interval in seconds after a failed table write: its disk is full, or another program has locked it."""


def places() -> int:
    """Maximum number of running jobs: half of the cores, at least one; the others remain for audio."""
    return max(1, cores() // 2)


class JobBoard:
    """Jobs of one server. A job that runs when its web process ends is restarted by the next."""

    def __init__(
        self,
        folder: Path,
        changed: Callable[[Job], None] = lambda job: None,
        listed: Callable[[], None] = lambda: None,
        *,
        own_scripts: bool = False,
    ) -> None:
        """Opens the table; `start` runs the queued jobs.

        `changed` is called with a job whenever it changes, `listed` when a file was added or removed, or a job was
        deleted. With `own_scripts`, scripts in the performer's folder, where HTTP writes, are rendered too. Raises
        FileError: the folder or the table cannot be used.
        """
        self._table = JobTable(folder)
        with contextlib.ExitStack() as undone:
            undone.callback(self._table.close)
            self.files = FileShelf(folder, self._table)
            jobs = list(self._table.jobs())
            undone.pop_all()
        self.jobs: dict[str, Job] = {}
        self._changed, self._listed, self._own_scripts = changed, listed, own_scripts
        self._overviews = Overviews(folder / "overviews")
        self._running: dict[str, asyncio.Task[None]] = {}
        self._open = True
        self._unwritten: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._failing = False
        for job in jobs:
            again = job if job.state.over else replace(job, state=JobState.WAITING)
            self.jobs[job.id] = again
            self.files.count_results(job.id, sum(job.results.values()))
        self.files.remove_others(self.jobs)

    def drain(self) -> int:
        """Stops starting jobs, which wait for the next server; returns the number of running ones."""
        self._open = False
        return len(self._running)

    async def close(self) -> None:
        """Ends running jobs, which wait for the next server."""
        self._open = False
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
            self._write_again()  # the last try
            if self._timer is not None:
                self._timer.cancel()
        self._table.close()

    async def receive(self, name: str, pieces: AsyncIterator[bytes]) -> Upload:
        """Stores a client's file; see `FileShelf.receive`."""
        entry = await self.files.receive(name, pieces, self._overviews.check)
        self._listed()
        return entry

    def keep(self, key: str, folder: Path) -> str:
        """Copies a file, or a job's first result, into a folder; returns its name there.

        Raises the errors of `path`; FileError: the folder does not accept the name; StorageFull: it cannot be written.
        """
        path, name = self.path(key), self.name(key)
        path_inside(folder, name)
        try:
            return copy_into(folder, path, name)
        except FileError as error:
            raise StorageFull(str(error)) from None

    def remove_file(self, key: str) -> None:
        """Removes a file. Raises `JobError` if a job still needs it, or it does not exist."""
        self._check_file_unused(key)
        self.files.remove(key)
        self._overviews.remove(key)
        self._listed()

    def path(self, key: str) -> Path:
        """Path of a file, or of a job's first result; `Missing` if there is neither."""
        return self.result(key, "") if key in self.jobs else self.files.path(key)

    def name(self, key: str) -> str:
        """Display name of a file, or of a job's first result: "take.wav", and of a job on it "take denoise.wav"."""
        if key in self.files.entries:
            return self.files.entries[key].name
        job = self.jobs.get(key)
        if job is None:
            return ""
        before = Path(self.name(job.task.file)).stem
        return f"{before} {job.task.name}".strip() + job.task.suffix

    async def overview(self, key: str) -> dict[str, Any]:
        """Length and waveform of a file or a job's first result; raises `JobError` without one."""
        path = self.path(key)
        try:
            return await self._overviews.get(key, path)
        except UnreadableFile as error:
            raise UnreadableFile(str(error).replace(str(path), self.name(key))) from None

    def repeat(self, key: str) -> Job:
        """Adds the task of a job again. Raises the errors of `job`, `path` and `add`."""
        task = self.job(key).task
        if task.file:
            self.path(task.file)
        return self.add(task)

    def add(self, task: Task) -> Job:
        """Adds a job, run as soon as a slot is free.

        Raises TooMany: too many jobs wait. Raises StorageFull: there is no room for results.
        """
        if sum(job.state is JobState.WAITING for job in self.jobs.values()) >= MAX_WAITING:
            raise TooManyRequests(f"{MAX_WAITING} jobs wait already; try again when some are done", 30)
        self.files.check_room()
        needed = {job.task.file for job in self.jobs.values() if not job.state.over} | {task.file}
        over = [job for job in self.jobs.values() if job.state.over and job.id not in needed]
        for old in over[: max(0, len(self.jobs) - MAX_JOBS + 1)]:
            self._forget(old)
        job = Job(secrets.token_hex(6), task, created=time.time())
        self._table.put(job)  # one that is not written would be lost without a word
        self.jobs[job.id] = job
        self._changed(job)
        self.start()
        if job.id not in self._running and not task.later:
            self._requeue_running_job()
        return self.jobs[job.id]

    def _requeue_running_job(self) -> None:
        """Ends a running job, so that it waits and runs later."""
        for key, running in self._running.items():
            if self.jobs[key].task.later and not self.jobs[key].state.over:
                self._set(replace(self.jobs[key], state=JobState.WAITING, progress=0.0, started=0.0, stage=""))
                running.cancel()
                return

    def job(self, key: str) -> Job:
        """Job with an identifier. Raises `Missing` if there is none."""
        job = self.jobs.get(key)
        if job is None:
            raise Missing(f"there is no job {shorten(key)!r}; GET /api/jobs lists them")
        return job

    def result(self, key: str, name: str) -> Path:
        """Path of a job's result; "" for the first. `Missing` if there is no such job or result."""
        job = self.job(key)
        names = list(job.results)
        if not names:
            raise Missing(f"the job {key} has no results; it is {job.state}")
        if name and name not in names:
            raise Missing(f"the job {key} has no result {shorten(name)!r}{instead(name, names, 'it has')}")
        path = self.files.results(key) / (name or names[0])
        if not path.is_file():
            raise Missing(f"the result {path.name} of the job {key} was removed")
        return path

    def cancel(self, key: str) -> Job:
        """Ends a waiting or running job; deletes an ended one, with its results."""
        job = self.job(key)
        if job.state.over:
            self._check_file_unused(key)
            self._forget(job)
            return job
        ended = replace(job, state=JobState.CANCELLED, ended=time.time())
        self._set(ended)
        running = self._running.get(key)
        if running is not None:
            running.cancel()
        return ended

    def start(self) -> None:
        """Runs queued jobs in free slots."""
        for job in sorted(self.jobs.values(), key=lambda job: job.task.later):
            if not self._open or len(self._running) >= places():
                return
            if job.state is JobState.WAITING and job.id not in self._running:
                task = self._running[job.id] = asyncio.get_running_loop().create_task(self._perform(job.id))
                # not by the task itself: one that is cancelled before its first step does none
                task.add_done_callback(partial(self._leave, job.id))

    def _leave(self, key: str, _task: asyncio.Task[None]) -> None:
        self._running.pop(key, None)
        self.start()

    async def _perform(self, key: str) -> None:
        try:
            self._set(replace(self.jobs[key], state=JobState.RUNNING, progress=0.0, started=time.time()))
            ended = await self._outcome(self.jobs[key])
            if key in self.jobs and not self.jobs[key].state.over:
                self._set(replace(ended, ended=time.time()))
        except asyncio.CancelledError:
            self.files.remove_results(key)
        except Exception as error:
            log.error("the job %s failed: %s: %s", key, type(error).__name__, error)
            if key in self.jobs:
                failed = replace(self.jobs[key], state=JobState.FAILED, error="it failed; see the server's log")
                self._set(replace(failed, ended=time.time()))

    async def _outcome(self, job: Job) -> Job:
        """Runs a job; returns a copy with its end state."""
        folder = self.files.results(job.id)
        self.files.remove_results(job.id)  # of a run that was cut off
        try:
            self.files.check_room()
            source = self.path(job.task.file) if job.task.file else None
            request = make_request(job.task, source, folder, own_scripts=self._own_scripts)
            make_folder(folder, PRIVATE_FOLDER)
        except AntiphonError as error:
            return replace(job, state=JobState.FAILED, error=str(error))
        words = ("run" if job.task.command == "run" else "render", json.dumps(request))
        outcome = await perform(
            words, lambda share, stage: self._record_job_progress(job.id, share, stage), most=self.files.room
        )
        if outcome.status:
            self.files.remove_results(job.id)
            return replace(job, state=JobState.FAILED, error=self._plain(_reason(outcome), job))
        results = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        results = {name: results[name] for name in sorted(results, key=lambda name: not name.startswith("out."))}
        self.files.count_results(job.id, sum(results.values()))
        said = [*outcome.printed.splitlines(), *outcome.complaint.replace("antiphon: ", "").splitlines()]
        summary = self._plain("; ".join(filter(str.strip, said)), job)
        return replace(job, state=JobState.DONE, progress=1.0, summary=summary, results=results)

    def _plain(self, text: str, job: Job) -> str:
        """Removes this machine's paths from a command's output."""
        if job.task.file:
            with contextlib.suppress(JobError):
                source, name = self.path(job.task.file), self.name(job.task.file)
                # a result has the name that every other has, so its path is looked for alone
                text = text.replace(str(source), name)
                text = text if job.task.file in self.jobs else text.replace(source.name, name)
        for folder in (self.files.results(job.id), self.files.sent, *folders()):
            text = text.replace(f"{folder}/", "")
        return shorten(" ".join(text.split()), MAX_SENTENCE_LETTERS)

    def _record_job_progress(self, key: str, share: float, stage: str) -> None:
        job = self.jobs.get(key)
        if job is not None and job.state is JobState.RUNNING:
            self.jobs[key] = replace(job, progress=share, stage=stage)
            self._changed(self.jobs[key])

    def _set(self, job: Job) -> None:
        self.jobs[job.id] = job
        self._unwritten[job.id] = None
        self._write()
        self._changed(job)

    def _write(self) -> None:
        """Writes changed jobs; after a failure, all of them again after a pause."""
        if self._timer is not None:
            return
        try:
            for key in list(self._unwritten):
                if key in self.jobs:
                    self._table.put(self.jobs[key])
                else:
                    self._table.remove(key)
                del self._unwritten[key]
        except FileError as error:
            if not self._failing:
                self._failing = True
                log.error("changes of jobs are kept in memory until they can be written: %s", error)
            self._timer = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._write_again)
        else:
            if self._failing:
                self._failing = False
                log.warning("changes of jobs are written again")

    def _write_again(self) -> None:
        self._timer = None
        self._write()

    def _check_file_unused(self, key: str) -> None:
        needed = next((job for job in self.jobs.values() if job.task.file == key and not job.state.over), None)
        if needed is not None:
            raise FileInUse(f"the job {needed.id} works on this; cancel it first (DELETE /api/jobs/{needed.id})")

    def _forget(self, job: Job) -> None:
        self.files.remove_results(job.id)
        self._overviews.remove(job.id)
        del self.jobs[job.id]
        self._unwritten[job.id] = None
        self._write()
        self._listed()


def _reason(outcome: CommandEnd) -> str:
    """Failure reason of a command: its last line on standard error."""
    lines = [line for line in outcome.complaint.splitlines() if line.strip()]
    reason = lines[-1].removeprefix("antiphon: ") if lines else ""
    if outcome.status < 0:
        return f"it was ended by signal {-outcome.status}"
    return reason or f"it ended with status {outcome.status}"
