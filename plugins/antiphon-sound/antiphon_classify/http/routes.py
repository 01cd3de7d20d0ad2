"""Classifier operations: their list, and the classification of an uploaded or streamed sound."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from antiphon.api import AntiphonError
from antiphon.api.backends.http import (
    EXAMPLE_FILE,
    MAX_FILE,
    HttpRequest,
    HttpServer,
    Refusal,
    Response,
    convert,
    list_of,
    operation,
    record,
)
from antiphon.api.backends.runtime import Request
from antiphon.api.backends.transports import WireError
from antiphon_classify.http.pool import ANSWER_SECONDS, ClassifierPool, ClassifierProcess, answer_of

MAX_STREAMS = 4


@dataclass(slots=True)
class ClassifierStreams:
    """Streams being classified, in processes of their own. `count`: of those that there are."""

    pool: ClassifierPool
    count: int = 0

    async def begin(self, name: str, every: float, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Classifies a stream: an answer for each `every` seconds of sound, as a line of JSON.

        After a failure in the middle, the last line is {"error": "…"}. Raises AntiphonError: before the first answer,
        as `ClassifierPool.receive`.
        """
        if self.count >= MAX_STREAMS:
            raise self.pool.too_many(f"{MAX_STREAMS} streams are classified already", 30)
        self.count += 1
        lines = self._lines(name, every, pieces)
        first = await anext(lines)

        async def all_lines() -> AsyncIterator[bytes]:
            try:
                yield _line(first)
                async for found in lines:
                    yield _line(found)
            except AntiphonError as error:
                yield _line({"error": str(error)})
            finally:
                await lines.aclose()

        return all_lines()

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
        return answer_of(answer.result())
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
        """The classifiers there are, with their labels and the seconds of sound that each needs."""
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
        """Classify a sound: its bytes are the body, or a file that was sent is named."""
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
