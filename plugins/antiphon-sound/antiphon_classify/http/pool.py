"""Queue of the classifier processes, few at a time, with lower priority than audio."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from antiphon.api.backends.http import HttpServer, Refusal, write_pieces
from antiphon.api.backends.runtime import Child, cores, spawn
from antiphon.api.backends.transports import WireError

START_SECONDS = 60.0
"""Maximum seconds to import its plugins, also on a busy machine."""
ANSWER_SECONDS = 300.0
"""Maximum seconds for an answer: an hour of sound takes half a minute of a free core."""


@dataclass(slots=True, eq=False)
class ClassifierProcess:
    """Child process that classifies sounds; created by `start`.

    `classifiers`: what it has said that there is; empty for one that reads a stream.
    """

    child: Child
    classifiers: list[dict[str, Any]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    ready: bool = True

    @staticmethod
    async def start(*words: str) -> ClassifierProcess:
        """Starts a query process, or with words, a classifier and seconds, one that reads a stream.

        Raises Refusal: it does not start.
        """
        try:
            child = spawn("antiphon_classify.http.worker:main", *words)
        except OSError as error:
            raise Refusal(503, f"no process can be started: {error.strerror}") from None
        started = ClassifierProcess(child)
        if not words:
            try:
                started.classifiers = (await started.receive(START_SECONDS))["classifiers"]
            except BaseException:
                await started.end()
                raise
        return started

    async def end(self) -> int:
        """Ends it. Returns its exit status, negative for a signal."""
        return await asyncio.to_thread(self.child.close) or 0

    async def ask(self, name: str, path: str) -> dict[str, Any]:
        """Classifies a file in the process; a Refusal with the reason on failure."""
        self.ready = False
        with contextlib.suppress(OSError):  # it has ended, which its answer tells
            await asyncio.to_thread(self.child.send, {"name": name, "path": path})
        found = await self.receive(ANSWER_SECONDS)
        self.ready = True
        return answer_of(found)

    async def receive(self, seconds: float | None) -> dict[str, Any]:
        """Next message; raises `Refusal` where the process has ended, or on a timeout of `seconds`."""
        try:
            return await self.child.heard(seconds)
        except TimeoutError:
            raise Refusal(503, f"it took longer than {seconds:g} s; try again, or send a shorter sound") from None
        except ValueError:
            raise Refusal(503, "the classifier's answer is too long or none") from None
        except EOFError:
            text = f"the process that classifies ended with status {await self.end()}; another one is started"
            raise Refusal(503, text) from None


def answer_of(message: dict[str, Any]) -> dict[str, Any]:
    """Answer in a message; raises `Refusal` with the reason of a failure."""
    if "error" in message:
        raise Refusal(message["status"], message["error"])
    found: dict[str, Any] = message["answer"]
    return found


MAX_REQUESTS = 64
"""Maximum sounds being received, queued or classified; a further one is refused."""
MAX_BYTES = 1024 * 1024 * 1024
"""Maximum bytes of all of them together."""
IDLE_SECONDS = 60.0
"""Seconds after which an idle process ends."""
STALE_SECONDS = 5.0
"""Process age in seconds above which an unknown name is retried in a new one: a plugin may have been added."""
RETRY_SECONDS = 5


class ClassifierPool:
    """Pool of classifier processes, started on demand, and the queue of sounds."""

    def __init__(self, server: HttpServer) -> None:
        """Sets up an empty pool. Leftovers in its folder are removed before the first sound."""
        self._server = server
        # half of the cores, one at least, so that what plays keeps the others
        self._turn = asyncio.Semaphore(max(1, cores() // 2))
        self._idle: list[ClassifierProcess] = []
        self._busy: set[ClassifierProcess] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[int]] = set()
        self._bytes = 0
        self.waiting = self.done = self.refused = 0

    async def close(self) -> None:
        """Ends all processes."""
        if self._sweep is not None:
            self._sweep.cancel()
        for process in [*self._idle, *self._busy]:
            await process.end()
        self._idle.clear()
        await asyncio.gather(*self._ending)

    async def classifiers(self) -> list[dict[str, Any]]:
        """The available classifiers; `Refusal` where no process starts."""
        async with self._turn, self._process() as process:
            return process.classifiers

    async def classify(self, name: str, path: Path) -> dict[str, Any]:
        """Classifies a file in turn, as `library.classification.classify`. Raises Refusal: 429 where too many wait."""
        with self._place():
            return await self._ask(name, str(path))

    async def receive(self, name: str, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        """`classify` for an uploaded sound: it is stored in a file, which is removed afterwards."""
        with self._place():
            size = 0

            def count(more: int) -> None:
                nonlocal size
                size += more
                self._bytes += more
                if self._bytes > MAX_BYTES:
                    raise self.too_many(f"{MAX_BYTES >> 20} MiB of sound wait already")

            path = self._folder / secrets.token_hex(8)
            try:
                await write_pieces(path, pieces, count)
                if not size:
                    raise WireError("the body is empty; send the bytes of a sound file")
                return await self._ask(name, str(path))
            except OSError as error:
                from antiphon.api.backends.files import reason_of_os_error

                raise Refusal(507, f"the sound could not be written: {reason_of_os_error(error)}") from None
            finally:
                self._bytes -= size
                path.unlink(missing_ok=True)

    def too_many(self, reason: str, seconds: int = RETRY_SECONDS) -> Refusal:
        """Refusal of a request that may succeed after some seconds, counted."""
        self.refused += 1
        return Refusal(429, f"{reason}; try again", (("Retry-After", str(seconds)),))

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self.waiting >= MAX_REQUESTS:
            raise self.too_many(f"{MAX_REQUESTS} sounds are classified or wait already")
        self.waiting += 1
        try:
            yield
            self.done += 1
        finally:
            self.waiting -= 1

    async def _ask(self, name: str, path: str) -> dict[str, Any]:
        async with self._turn:
            async with self._process() as process:
                try:
                    return await process.ask(name, path)
                except Refusal as error:
                    if error.status != 404 or time.monotonic() - process.began < STALE_SECONDS:
                        raise
                    process.ready = False
                    self._end_idle()
            async with self._process() as process:
                return await process.ask(name, path)

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[ClassifierProcess]:
        """An idle process, ended if the context exits during a sound."""
        self._idle = [process for process in self._idle if not process.child.ended]
        process = self._idle.pop() if self._idle else await ClassifierProcess.start()
        self._busy.add(process)
        try:
            yield process
        finally:
            self._busy.discard(process)
            if process.ready and not process.child.ended:
                self._idle.append(process)
                self._rest()
            else:
                self._end(process)

    def _rest(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end_idle)

    def _end_idle(self) -> None:
        for process in self._idle:
            self._end(process)
        self._idle.clear()

    def _end(self, process: ClassifierProcess) -> None:
        task = asyncio.get_running_loop().create_task(process.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    @cached_property
    def _folder(self) -> Path:
        if self._server.uploads is None:
            raise Refusal(507, "no files are kept here")
        folder = self._server.uploads.folder / "classify"
        from antiphon.api.backends.files import PRIVATE_FOLDER, make_folder  # with numpy, so not as it is imported

        make_folder(folder, PRIVATE_FOLDER)
        for left in folder.iterdir():  # of a web process that was killed
            with contextlib.suppress(OSError):
                left.unlink()
        return folder
