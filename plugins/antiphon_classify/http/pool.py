"""Queue of the classifier processes, few at a time, with lower priority than audio."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from antiphon.api.backends.files import PRIVATE_FOLDER, make_folder, reason_of_os_error as why
from antiphon.api.backends.http import HttpServer, Refusal, write_pieces
from antiphon.api.backends.runtime import HelperTask, cores
from antiphon.api.backends.transports import WireError

MODULE = "antiphon_classify.http.worker"
ANSWER_SECONDS = 300.0
"""Maximum seconds for an answer: an hour of sound takes half a minute of a free core."""
MAX_REQUESTS = 64
"""Maximum sounds being received, queued or classified; a further one is refused."""
MAX_BYTES = 1024 * 1024 * 1024
"""Maximum bytes of all of them together."""
IDLE_SECONDS = 60.0
"""Seconds after which an idle process ends."""
STALE_SECONDS = 5.0
"""Process age in seconds above which an unknown name is retried in a new one: a plugin may have been added."""
RETRY = (("Retry-After", "5"),)


class ClassifierPool:
    """Queue of sounds and its processes, which end after a minute without work.

    `waiting`: sounds being received, queued or classified; `done`, `refused`: counts.
    """

    def __init__(self, server: HttpServer) -> None:
        """Sets up an empty pool. Leftovers in its folder are removed before the first sound."""
        self._server = server
        # half of the cores, one at least, so that what plays keeps the others
        self._turn = asyncio.Semaphore(max(1, cores() // 2))
        self._idle: dict[HelperTask, float] = {}  # when each was started, on the monotonic clock
        self._busy: set[HelperTask] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[int]] = set()
        self._bytes = 0
        self._made = False
        self.waiting = self.done = self.refused = 0

    async def close(self) -> None:
        """Ends all processes."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._end_idle()
        for process in [*self._busy]:
            await process.end()
        await asyncio.gather(*self._ending)

    async def classifiers(self) -> list[dict[str, Any]]:
        """The available classifiers; `Refusal` where no process starts."""
        async with self._turn:
            found: list[dict[str, Any]] = _answer_of(await self._asked({}, None))
        return found

    async def classify(self, name: str, path: Path) -> dict[str, Any]:
        """Classifies a file when its turn comes; the answer is that of `worker.classify`.

        Raises Refusal: with the reason; 429 where too many wait.
        """
        with self._place():
            return await self._ask(name, path)

    async def receive(self, name: str, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        """`classify` for an uploaded sound: it is stored in a file, which is removed afterwards."""
        with self._place():
            size = 0

            def count(more: int) -> None:
                nonlocal size
                size += more
                self._bytes += more
                if self._bytes > MAX_BYTES:
                    self.refused += 1
                    raise Refusal(429, f"{MAX_BYTES >> 20} MiB of sound wait already; try again", RETRY)

            path = self._folder_made() / secrets.token_hex(8)
            try:
                await write_pieces(path, pieces, count)
                if not size:
                    raise WireError("the body is empty; send the bytes of a sound file")
                return await self._ask(name, path)
            except OSError as error:
                raise Refusal(507, f"the sound could not be written: {why(error)}") from None
            finally:
                self._bytes -= size
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self.waiting >= MAX_REQUESTS:
            self.refused += 1
            raise Refusal(429, f"{MAX_REQUESTS} sounds are classified or wait already; try again", RETRY)
        self.waiting += 1
        try:
            yield
            self.done += 1
        finally:
            self.waiting -= 1

    async def _ask(self, name: str, path: Path) -> dict[str, Any]:
        asked = {"name": name, "path": str(path)}
        async with self._turn:
            kept = next(iter(self._idle), None)
            found = await self._asked(asked, kept)
            if found.get("status") == 404 and kept and time.monotonic() - self._idle.get(kept, 0.0) > STALE_SECONDS:
                self._end_idle()
                found = await self._asked(asked, None)
        answer: dict[str, Any] = _answer_of(found)
        return answer

    async def _asked(self, request: dict[str, Any], kept: HelperTask | None) -> dict[str, Any]:
        """The answer of an idle process, or of a new one; it is kept if it answers."""
        began, process = self._idle.pop(kept) if kept else 0.0, kept
        try:
            if process is None or process.ended:
                began, process = time.monotonic(), await HelperTask.start(MODULE)
        except OSError as error:
            raise Refusal(503, f"no process can be started: {error.strerror}") from None
        self._busy.add(process)
        try:
            await process.send(request)
            found = await process.receive(ANSWER_SECONDS)
            self._idle[process] = began
            self._rest()
            return found
        except TimeoutError:
            text = f"it took longer than {ANSWER_SECONDS:g} s; try again, or send a shorter sound"
        except ValueError:
            text = "the classifier's answer is too long or none"
        except EOFError:
            text = f"the process that classifies ended with status {await process.end()}; another one is started"
        finally:
            self._busy.discard(process)
            if process not in self._idle:
                self._end(process)
        raise Refusal(503, text)

    def _rest(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end_idle)

    def _end_idle(self) -> None:
        while self._idle:
            self._end(self._idle.popitem()[0])

    def _end(self, process: HelperTask) -> None:
        task = asyncio.get_running_loop().create_task(process.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _folder_made(self) -> Path:
        if self._server.uploads is None:
            raise Refusal(507, "no files are kept here")
        folder = self._server.uploads.folder / "classify"
        if not self._made:
            make_folder(folder, PRIVATE_FOLDER)
            for left in folder.iterdir():  # of a web process that was killed
                with contextlib.suppress(OSError):
                    left.unlink()
            self._made = True
        return folder


def _answer_of(message: dict[str, Any]) -> Any:
    """Answer in a message; raises `Refusal` with the reason of a failure."""
    if "error" in message:
        raise Refusal(message["status"], message["error"])
    return message["answer"]
