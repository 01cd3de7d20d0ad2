"""Files of clients and results of jobs, in one folder of bounded size."""

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from pathlib import Path

from antiphon.files.scores.midifile import SUFFIXES
from antiphon.jobs.job import JobTable, Missing, StorageFull, TooManyRequests, UnsupportedFormat, Upload
from antiphon.kernel.errors import WireError
from antiphon.kernel.runtime.paths import PRIVATE, PRIVATE_FOLDER, make_folder, os_error_text
from antiphon.kernel.runtime.shortening import composed, shorten
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES

MAX_FILE = 512 * 1024 * 1024
"""Maximum bytes of a file: half an hour of stereo at 48 kHz in 24 bits."""
MAX_FOLDER = 8 * 1024 * 1024 * 1024
"""Maximum bytes of all files and results."""
MIN_FREE = 1 << 20
"""Minimum free bytes of the disk to start anything."""
MAX_FILES, MAX_UPLOADS = 200, 4
"""Maximum files, and files being received."""
MAX_NAME_LETTERS = 120
"""Maximum characters kept of a file's name."""
NOTES = SUFFIXES


class FileShelf:
    """The folders `files` and `results`; files appear atomically.

    Sizes are counted as files are added and removed: reading thousands of files' sizes for each job would stop the
    event loop on a slow disk.
    """

    def __init__(self, folder: Path, table: JobTable) -> None:
        """Removes leftovers of an interrupted upload. Missing folders are created.

        Raises FileError: the folders cannot be made.
        """
        self._table = table
        self.sent, self._results = (make_folder(folder / name, PRIVATE_FOLDER) for name in ("files", "results"))
        self.entries = {file.id: file for file in table.files() if self._path(file).exists()}
        self._sizes: dict[str, int] = {}
        self._receiving = self._arriving = 0
        for left in self.sent.glob("*.part*"):
            left.unlink(missing_ok=True)

    async def receive(
        self, name: str, pieces: AsyncIterator[bytes], check: Callable[[Path, str], Awaitable[None]]
    ) -> Upload:
        """Writes a file piece by piece, and returns its entry.

        The suffix of `name` gives its format. `check` is called with its path and name once it is complete, and raises
        `UnreadableFile` if it is no sound or MIDI. Raises JobError: the name has no supported suffix, no room is left,
        or the disk is full. Raises WireError: it is empty.
        """
        suffix = Path(name).suffix.lower()
        if suffix not in READ_SUFFIXES and suffix not in NOTES:
            raise UnsupportedFormat(
                f"a file's name ends in {', '.join(READ_SUFFIXES)}, .mid or .midi, not {shorten(name)!r}"
            )
        if len(self.entries) >= MAX_FILES:
            raise StorageFull(f"{MAX_FILES} files are here; remove some first (DELETE /api/files/ID)")
        if self._receiving >= MAX_UPLOADS:
            raise TooManyRequests(f"{MAX_UPLOADS} files are being received already; try again", 5)
        key = secrets.token_hex(6)
        part = self.sent / f"{key}.part{suffix}"  # readers go by the ending
        self._receiving += 1
        try:
            size = await self._write(part, pieces)
            if not size:
                raise WireError("the file is empty; send its bytes as the body")
            plain = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in composed(name))
            entry = Upload(key, shorten(plain, MAX_NAME_LETTERS), suffix, size, time.time())
            await check(part, entry.name)
            self._table.put_file(entry)  # first: a file without a row would never be removed
            part.replace(self._path(entry))
        except OSError as error:
            raise StorageFull(f"the file could not be written: {os_error_text(error)}") from None
        finally:
            self._receiving -= 1
            part.unlink(missing_ok=True)
        self.entries[key] = entry
        return entry

    def path(self, key: str) -> Path:
        """Path of a file. Raises `Missing` if no file has that identifier."""
        entry = self.entries.get(key)
        if entry is None:
            raise Missing(f"there is no file {shorten(key)!r}; POST /api/files gives one its identifier")
        return self._path(entry)

    def remove(self, key: str) -> None:
        """Removes a file. Raises the errors of `path`."""
        self.path(key).unlink(missing_ok=True)
        self._table.remove(key)
        del self.entries[key]

    def results(self, job: str) -> Path:
        """The folder of a job's results, which may not exist."""
        return self._results / job

    def count_results(self, job: str, size: int) -> None:
        """Counts a job's results, in bytes, towards the folder's size until they are removed."""
        self._sizes[job] = size

    def remove_results(self, job: str) -> None:
        """Removes a job's results."""
        self._sizes.pop(job, None)
        with contextlib.suppress(OSError):
            shutil.rmtree(self.results(job))

    def remove_others(self, jobs: Container[str]) -> None:
        """Removes results of jobs that were deleted shortly before the process ended."""
        for folder in self._results.iterdir():
            if folder.name not in jobs:
                self.remove_results(folder.name)

    @property
    def size(self) -> int:
        """Bytes of all files and results, including uploads in progress."""
        return sum(entry.bytes for entry in self.entries.values()) + sum(self._sizes.values()) + self._arriving

    @property
    def room(self) -> int:
        """Maximum bytes of a job's result file: the rest of the folder's limit, at most half of the free disk."""
        return max(0, min(MAX_FOLDER - self.size, shutil.disk_usage(self._results).free // 2))

    def check_room(self) -> None:
        """Raises `StorageFull` if the folder or its disk is full."""
        if shutil.disk_usage(self._results).free < MIN_FREE:
            raise StorageFull("the server's disk is full; free some space, then ask again")
        if self.size > MAX_FOLDER:
            raise StorageFull(
                f"files and results take more than {MAX_FOLDER >> 30} GiB; remove some first "
                "(DELETE /api/files/ID, DELETE /api/jobs/ID)"
            )

    def _path(self, entry: Upload) -> Path:
        return self.sent / f"{entry.id}{entry.suffix}"

    async def _write(self, path: Path, pieces: AsyncIterator[bytes]) -> int:
        """Writes the pieces while there is space; returns their bytes."""
        self.check_room()
        size = 0

        def count(more: int) -> None:
            nonlocal size
            size += more
            self._arriving += more
            self.check_room()

        try:
            await write_pieces(path, pieces, count)
        finally:
            self._arriving -= size
        return size


BUFFER = 256 * 1024
"""Bytes buffered before a write."""


async def write_pieces(path: Path, pieces: AsyncIterator[bytes], count: Callable[[int], None]) -> None:
    """Writes pieces to a new file, buffered, in a thread: a slow disk delays no other request.

    `count` is called with the bytes of each piece before it is written; it may raise. Raises OSError: the disk is full,
    or fails.
    """
    buffer = bytearray()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    try:
        async for piece in pieces:
            count(len(piece))
            buffer += piece
            if len(buffer) >= BUFFER:
                await asyncio.to_thread(_write_all, descriptor, bytes(buffer))
                buffer.clear()
        await asyncio.to_thread(_write_all, descriptor, bytes(buffer))
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
