"""Classifiers for clients: their list, a sound sent or streamed, and the queue of the processes that classify it.

The web process loads neither numpy nor decoders; a failing sound or network must end neither it nor the audio.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from antiphon.api import AntiphonError
from antiphon.api.backends.http import HttpRequest, HttpServer, Refusal, Response, list_of, operation, record
from antiphon.api.backends.runtime import Child, Request, spawn
from antiphon.api.backends.transports import WireError
from antiphon.jobs.files import MAX_FILE, write_pieces
from antiphon.kernel.runtime.platform import cores
from antiphon.web.api.jobs import FILE as EXAMPLE_FILE
from antiphon.web.operations import convert

START_SECONDS = 60.0
"""Maximum seconds for a process to import its plugins, on a busy machine too."""
ANSWER_SECONDS = 300.0
"""Maximum seconds for an answer: an hour of sound takes half a minute of a free core."""


@dataclass(slots=True, eq=False)
class ClassifierProcess:
    """Child process that classifies sounds; created by `start`.

    `classifiers`: the list that the process sent; empty for a process that reads a stream.
    """

    child: Child
    classifiers: list[dict[str, Any]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    ready: bool = True

    @staticmethod
    async def start(*words: str) -> ClassifierProcess:
        """Starts a process for requests, or, with a classifier and seconds as words, one that reads a stream.

        Raises Refusal: the process does not start.
        """
        try:
            child = spawn("antiphon_classify.http_worker:main", *words)
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
        """Ends the process. Returns its exit status, negative for a signal."""
        return await asyncio.to_thread(self.child.close) or 0

    async def ask(self, name: str, path: str) -> dict[str, Any]:
        """Classifies a file in the process; raises a Refusal with the reason on failure."""
        self.ready = False
        with contextlib.suppress(OSError):  # it has ended, which its answer tells
            await asyncio.to_thread(self.child.send, {"name": name, "path": path})
        found = await self.receive(ANSWER_SECONDS)
        self.ready = True
        return read_process_answer(found)

    async def receive(self, seconds: float | None) -> dict[str, Any]:
        """Next message; raises `Refusal` where the process has ended, or on a timeout of `seconds`."""
        try:
            return await self.child.await_answer(seconds)
        except TimeoutError:
            raise Refusal(503, f"it took longer than {seconds:g} s; try again, or send a shorter sound") from None
        except ValueError:
            raise Refusal(503, "the classifier gave no valid answer: it was empty or too long") from None
        except EOFError:
            text = f"the process that classifies ended with status {await self.end()}; another one is started"
            raise Refusal(503, text) from None


def read_process_answer(message: dict[str, Any]) -> dict[str, Any]:
    """Answer in a message; raises `Refusal` with the reason of a failure."""
    if "error" in message:
        raise Refusal(message["status"], message["error"])
    found: dict[str, Any] = message["answer"]
    return found


MAX_REQUESTS = 64
"""Maximum number of sounds being received, queued or classified; a further one is refused."""
MAX_BYTES = 1024 * 1024 * 1024
"""Maximum total size of these sounds in bytes."""
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
        """Classifies a file in turn, in the classifiers' process. Raises Refusal, 429, if too many wait."""
        with self._place():
            return await self._ask(name, str(path))

    async def receive(self, name: str, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        """Does what `classify` does for an uploaded sound: stores it in a file, and removes the file afterwards."""
        with self._place():
            size = 0

            def count(more: int) -> None:
                nonlocal size
                size += more
                self._bytes += more
                if self._bytes > MAX_BYTES:
                    raise self.make_counted_refusal(f"{MAX_BYTES >> 20} MiB of sound wait already")

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

    def make_counted_refusal(self, reason: str, seconds: int = RETRY_SECONDS) -> Refusal:
        """Returns, and counts, a refusal of a request that may succeed after some seconds."""
        self.refused += 1
        return Refusal(429, f"{reason}; try again", (("Retry-After", str(seconds)),))

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self.waiting >= MAX_REQUESTS:
            raise self.make_counted_refusal(f"{MAX_REQUESTS} sounds are classified or wait already")
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
                    self._end_idle_processes()
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
        self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end_idle_processes)

    def _end_idle_processes(self) -> None:
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


MAX_STREAMS = 4


@dataclass(slots=True)
class ClassifierStreams:
    """Streams being classified, each in a separate process. `count`: their number."""

    pool: ClassifierPool
    count: int = 0

    async def begin(self, name: str, every: float, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Classifies a stream: an answer for each `every` seconds of sound, as a line of JSON.

        After a failure in the middle, the last line is {"error": "…"}. Raises AntiphonError: before the first answer,
        as `ClassifierPool.receive`.
        """
        if self.count >= MAX_STREAMS:
            raise self.pool.make_counted_refusal(f"{MAX_STREAMS} streams are classified already", 30)
        self.count += 1
        lines = self._lines(name, every, pieces)
        first = await anext(lines)

        async def encode_result_lines() -> AsyncIterator[bytes]:
            try:
                yield _line(first)
                async for found in lines:
                    yield _line(found)
            except AntiphonError as error:
                yield _line({"error": str(error)})
            finally:
                await lines.aclose()

        return encode_result_lines()

    async def _lines(
        self, name: str, every: float, pieces: AsyncIterator[bytes]
    ) -> AsyncGenerator[dict[str, Any], None]:
        feeding: asyncio.Task[None] | None = None
        process: ClassifierProcess | None = None
        try:
            process = await ClassifierProcess.start(name, str(every))
            feeding = asyncio.get_running_loop().create_task(_feed(process, pieces))
            last = False
            while not last:
                found = await _next(process, feeding)
                last = "duration" in found
                yield found
        finally:
            if process is not None:
                await process.end()
            if feeding is not None:
                feeding.cancel()
                with contextlib.suppress(BaseException):
                    await feeding
            self.count -= 1


async def _feed(process: ClassifierProcess, pieces: AsyncIterator[bytes]) -> None:
    begun = False
    async for piece in pieces:
        if not begun and piece.startswith(b"fLaC"):
            raise Refusal(415, "flac is no format of a stream; send wav, ogg or mp3, or ask for application/json")
        begun = True
        await asyncio.to_thread(process.child.feed, piece)
    if not begun:
        raise WireError("the body is empty; send the bytes of a sound file")
    process.child.finish()


async def _next(process: ClassifierProcess, feeding: asyncio.Task[None]) -> dict[str, Any]:
    """The next answer; raises the exception that ended the input."""
    answer = asyncio.get_running_loop().create_task(process.receive(None))
    try:
        await asyncio.wait({answer, feeding}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            with contextlib.suppress(OSError):  # it reads no more, and says why in its answer
                feeding.result()
            await asyncio.wait({answer}, timeout=ANSWER_SECONDS)
        if not answer.done():
            raise Refusal(503, f"the classifier did not answer within {ANSWER_SECONDS:g} s")
        return read_process_answer(answer.result())
    finally:
        answer.cancel()


def _line(found: dict[str, Any]) -> bytes:
    return json.dumps(found).encode() + b"\n"


class NamedFileBody(Request):
    """Reference to an uploaded file."""

    file: Annotated[str, Meta(description="The identifier of a file or a job.")]


class StreamQuery(Request):
    """Query of a stream's classification."""

    every: Annotated[float, Meta(ge=1, le=60, description="Seconds of sound for each line, 1 to 60.")] = 5.0


Quantity = record("Quantity", name=str, kind=str, unit=str, doc=str)
Classifier = record("Classifier", name=str, labels=list[str], shortest=float, quantities=list_of(Quantity), problem=str)
Classified = record("Classified", duration=float, labels=list[tuple[str, float]] | None)


LINES = "application/x-ndjson"
MAX_JSON = 4096
"""Maximum bytes of a body with a file reference."""
FORM = '{"file": ID} with the identifier of a file or a job'


class ClassifyRoutes:
    """Adds the routes; no process is started before the first request."""

    def __init__(self, server: HttpServer) -> None:
        """Adds the routes."""
        self._server, self._pool = server, ClassifierPool(server)
        self._streams = ClassifierStreams(self._pool)
        server.closing.append(self._pool.close)
        server.serve(self)
        server.counts["classify_waiting"] = lambda: self._pool.waiting
        server.counts["classify_streams"] = lambda: self._streams.count
        server.counts["classify_done"] = lambda: self._pool.done
        server.counts["classify_refused"] = lambda: self._pool.refused

    @operation("GET", "/api/classify", list_of(Classifier))
    async def classifiers(self, request: HttpRequest) -> object:
        """The classifiers, with their labels and the seconds that each needs."""
        return await self._pool.classifiers()

    @operation(
        "POST",
        "/api/classify/{name}",
        Classified,
        body=NamedFileBody,
        upload=MAX_FILE,
        live=True,
        lines=True,
        example={"name": "instruments", "every": "5", "body": {"file": EXAMPLE_FILE}},
    )
    async def classify(
        self, request: HttpRequest, pieces: AsyncIterator[bytes], name: str, query: StreamQuery
    ) -> object:
        """Classify a sound: the body, or a file that was sent."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            if self._server.uploads is None:
                raise Refusal(404, "no files are kept here")
            path = self._server.uploads.path(await _identifier(pieces))
            return await self._pool.classify(name, path)
        if kind.startswith(("multipart/", "text/", "image/", "video/")):
            raise Refusal(415, f"send the bytes of a sound file as the body, not {kind}, or {FORM} as application/json")
        if LINES in request.headers.get("accept", ""):
            lines = await self._streams.begin(name, query.every, pieces)
            return Response(200, type=LINES, pieces=lines)
        return await self._pool.receive(name, pieces)


async def _identifier(pieces: AsyncIterator[bytes]) -> str:
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > MAX_JSON:
            raise Refusal(413, f"a body of JSON is {FORM}: {MAX_JSON} bytes at most")
    try:
        return str(convert(json.loads(body), NamedFileBody).file)
    except (ValueError, RecursionError):
        raise Refusal(400, "the request body is not JSON") from None
