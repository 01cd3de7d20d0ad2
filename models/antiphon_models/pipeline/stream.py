"""Sounds arriving in a folder and over MQTT: they are analysed, two at a time, from one bounded queue.

If the queue is full, files stay in the folder and are counted; MQTT requests are refused. Results go to a journal, so
that an interrupted run can resume: a file's line is written once, and a file without one is analysed again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from antiphon.api import FileError
from antiphon.api.backends.files import lock_file, printable_path, reason_of_os_error
from antiphon.api.backends.runtime import shorten
from antiphon.api.backends.transports import WireError
from antiphon_library.scanning import identify_and_analyse
from antiphon_models.datasets.examination import SOUND
from antiphon_models.datasets.layouts.rules import files_below, relative
from antiphon_models.pipeline.analysing import prediction_as_json
from antiphon_models.pipeline.settings import WatchSettings
from antiphon_models.pipeline.shards import file_digest

# ---- Journal of results, one JSON object per line, from which the next run resumes


class ResultJournal:
    """A file of JSON lines to which results are appended; a context manager.

    An incomplete last line of an interrupted run is removed. `put` returns after the whole line is passed to the
    system, or writes none of it. Only one process at a time may use the file.

    `path`: the file; created if missing. `echo`: called with each line as well. `done`: (size, time) of the files in
    it, by name. Raises `FileError`: it cannot be written, is in use by another process, or has other content.
    """

    def __init__(self, path: Path, echo: Callable[[str], None] = lambda _: None) -> None:
        self.done: dict[str, tuple[int, int]] = {}
        self._path, self._echo = path, echo
        descriptor = lock_file(path, 0o666)
        if descriptor is None:
            raise FileError(f"another `pipeline watch` writes {path}: end it, or name another file by --into")
        self._file = open(descriptor, "a+b", buffering=0)  # noqa: SIM115
        try:
            self._resume()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ResultJournal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def put(self, row: Mapping[str, Any]) -> None:
        """Appends a line. Raises `FileError`: the disk is full or gone."""
        line = json.dumps(row, allow_nan=False)
        left, whole = memoryview(line.encode() + b"\n"), os.fstat(self._file.fileno()).st_size
        try:
            while left:  # the last bytes of a disk take part of a line
                left = left[self._file.write(left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), whole)
            raise FileError(f"cannot write {self._path}: {reason_of_os_error(error)}") from None
        self._echo(line)

    def _resume(self) -> None:
        whole = 0
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    row = json.loads(line)
                    size, mtime = row.get("size"), row.get("mtime")
                    name = row["name"]
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise FileError(
                        f"line {number} of {self._path} is no result: move the file elsewhere, or name another one"
                    ) from None
                if isinstance(size, int) and isinstance(mtime, int):
                    self.done[str(name)] = (size, mtime)
        os.ftruncate(self._file.fileno(), whole)


# ---- Detection of new files in a folder: by polling, reported once, when complete

SETTLE_SECONDS = 0.4
"""Seconds for which a file's size and time must be stable."""
MAX_NAMES = 200_000
"""Maximum remembered files of the folder."""


@dataclass(frozen=True, slots=True)
class WaitingSound:
    """A waiting sound.

    `name`: the path of its file in the folder, with "/". `mtime`: the file's last change, ns since 1970; None for a
    sound from MQTT, which is not kept. `begun`: clock time of its arrival in seconds. `answer`: called with the result,
    in the stream's thread.
    """

    name: str
    path: Path
    size: int
    mtime: int | None
    begun: float = 0.0
    answer: Callable[[dict[str, Any]], None] = lambda _: None


class FolderWatch:
    """Polls a folder for new files.

    A file has arrived when its size and time are unchanged for `SETTLE_SECONDS` and, if the system can tell, no program
    has it open for writing. Links, hidden files and the names in `done` are skipped.

    `folder`: the watched folder; `done`: (size, time) of files already reported, by name.
    """

    def __init__(self, folder: Path, done: Mapping[str, tuple[int, int]]) -> None:
        self._folder = folder
        self._done = dict(done)
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def look(self, now: float, take: Callable[[WaitingSound], bool]) -> int:
        """Polls once; returns the number of remaining files. `take` gets each new file, returning False to leave it."""
        seen: dict[str, tuple[tuple[int, int], float]] = {}
        left = 0
        for path in files_below(self._folder, *sorted(SOUND)):
            try:
                about = os.lstat(path)
            except OSError:
                continue
            name, state = relative(path, self._folder), (about.st_size, about.st_mtime_ns)
            if not stat.S_ISREG(about.st_mode) or self._done.get(name) == state or len(seen) >= MAX_NAMES:
                continue
            before = self._seen.get(name)
            since = before[1] if before is not None and before[0] == state else now
            seen[name] = (state, since)
            if now - since < SETTLE_SECONDS or is_written(path):
                continue
            if take(WaitingSound(name, path, *state, now)):
                self._done[name] = state
                del seen[name]
            else:
                left += 1
        self._seen = seen
        return left


def within(folder: Path, name: str, largest: int) -> WaitingSound:
    """A file of at most `largest` bytes, possibly incomplete, that a client named by its path below the folder.

    Raises `WireError`: it is missing, not below the folder, a link, not a sound, or too large.
    """
    said = printable_path(name[:120])
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:  # half of a character, which JSON can write
        encoded = b"\0"
    if b"\0" in encoded or len(name) > 1000:
        raise WireError(f"{said} is no name of a file")
    root = os.path.realpath(folder)
    path = os.path.normpath(os.path.join(root, name))
    if os.path.realpath(path) != path or not path.startswith(os.path.join(root, "")):
        raise WireError(f"{said} is not below the folder that is watched; name a file by its path in it")
    if os.path.splitext(path)[1].lower() not in SOUND:
        raise WireError(f"{said} has no ending of a sound file: {', '.join(sorted(SOUND))}")
    try:
        about = os.lstat(path)
    except OSError:
        raise WireError(f"there is no {said} in the folder that is watched") from None
    if not stat.S_ISREG(about.st_mode):
        raise WireError(f"{said} is no ordinary file")
    check_size(about.st_size, largest)
    return WaitingSound(os.path.relpath(path, root).replace(os.sep, "/"), Path(path), about.st_size, about.st_mtime_ns)


def check_size(size: int, largest: int) -> None:
    """Checks a size limit. Raises `WireError`: it is exceeded."""
    if size > largest:
        raise WireError(f"it has {size:,} bytes; watch.largest allows {largest:,}")


def is_written(path: Path) -> bool:
    """Whether a program has a file open for writing, as far as known: on Linux, for the user's own files."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # a lease for reading is refused while a program has the file open for writing
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # a file of another user, or on a network
        return False
    finally:
        os.close(fd)
    return False


CONCURRENCY = 2
POLL_SECONDS = 0.1
"""Polling interval of the folder in seconds, or ten times the duration of a poll if that is longer."""


@dataclass(slots=True)
class StreamCounts:
    """Counts of sounds by outcome.

    Attributes:
        bad: Sounds that could not be read.
        lost: Answers that could not be published, because the broker was away too long; they are in the journal.
    """

    analysed: int = 0
    bad: int = 0
    left: int = 0
    refused: int = 0
    lost: int = 0


class SoundSource(Protocol):
    """Source of sounds besides the folder."""

    async def run(self, stream: SoundStream) -> None:
        """Feeds sounds to the stream until it is cancelled."""

    async def flush(self) -> None:
        """Waits until its answers are sent, at most two seconds."""


class SoundStream:
    """Queue of sounds, with its producer and its workers.

    `settings`: settings of the table [watch]. `journal`: where results go. `clock`: seconds.
    """

    def __init__(
        self,
        settings: WatchSettings,
        names: Sequence[str],
        journal: ResultJournal,
        counts: StreamCounts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings, self.counts, self.clock = settings, counts, clock
        self._names, self._journal = tuple(names), journal
        self._queue: asyncio.Queue[WaitingSound] = asyncio.Queue(settings.queue)
        self._folder = FolderWatch(settings.path, journal.done)

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def offer(self, sound: WaitingSound) -> bool:
        """Enqueues a sound; False if the queue is full."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(sound)
            return True
        return False

    def look(self) -> None:
        """Polls the folder once."""
        self.counts.left = self._folder.look(self.clock(), self.offer)

    async def watch(self) -> None:
        """Polls the folder until it is cancelled."""
        while True:
            begun = time.monotonic()
            self.look()
            await asyncio.sleep(max(POLL_SECONDS, 10.0 * (time.monotonic() - begun)))

    async def work(self) -> None:
        """Analyses queued sounds until it is cancelled."""
        while True:
            sound = await self._queue.get()
            task = asyncio.ensure_future(asyncio.to_thread(self.result, sound))
            try:
                row = await asyncio.shield(task)
            except asyncio.CancelledError:  # a thread cannot be: what it has begun is kept
                self._keep(sound, await task)
                raise
            self._keep(sound, row)

    def _keep(self, sound: WaitingSound, row: dict[str, Any]) -> None:
        self._journal.put(row)
        if "reason" in row:
            self.counts.bad += 1
        else:
            self.counts.analysed += 1
        sound.answer(row)

    def result(self, sound: WaitingSound) -> dict[str, Any]:
        """Journal line of a sound: its prediction, or "reason" if it cannot be read.

        Also has "after", seconds since its arrival, and "size" and "mtime" of a file in the folder.
        """
        where = {} if sound.mtime is None else {"size": sound.size, "mtime": sound.mtime}
        try:
            check_size(sound.size, self.settings.largest)
            digest = file_digest(sound.path)
            identity, _, results = identify_and_analyse(os.fsencode(sound.path), self._names)
        except (FileError, WireError) as error:  # a client knows no path of this machine
            said = {
                "name": sound.name,
                "reason": str(error).replace(printable_path(sound.path), printable_path(sound.name)),
            }
        except Exception as error:  # a fault of ours costs one sound, and not those that follow
            reason = shorten(" ".join(f"Antiphon failed at this: {type(error).__name__}: {error}".split()), 300)
            said = {"name": sound.name, "reason": reason}
        else:
            said = prediction_as_json(sound.name, digest, identity.duration, results)
        return {**said, "after": round(self.clock() - sound.begun, 3), **where}


async def run(stream: SoundStream, sources: Sequence[SoundSource]) -> None:
    """Runs until SIGINT or SIGTERM. Sounds under analysis are finished, queued ones are left to the next run.

    Raises `FileError`: the journal cannot be written.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if hasattr(signal, "SIGIO"):
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # sent when a lease for reading is broken (`arrivals.is_written`)
    tasks = [asyncio.ensure_future(task) for task in (stream.watch(), *(stream.work() for _ in range(CONCURRENCY)))]
    others = [asyncio.ensure_future(source.run(stream)) for source in sources]
    end = asyncio.ensure_future(ended.wait())
    try:
        done, _ = await asyncio.wait([end, *tasks, *others], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {end}:
            task.result()
    finally:
        await _cancel(end, *tasks)
        await asyncio.gather(*(source.flush() for source in sources))
        await _cancel(*others)


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
