"""The routes of classifiers: what there is, a sound that is sent, and one that is sent as it is made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs

from antiphon.io.http_message import HttpRequest, Refusal, Response, answer
from antiphon.jobs.classifying.pool import ClassifierPool
from antiphon.jobs.classifying.streams import ClassifierStreams
from antiphon.jobs.files import MAX_FILE
from antiphon.web.server import HttpServer

LINES = "application/x-ndjson"
MAX_JSON = 4096
"""Bytes of a body that names a file."""
EVERY, SHORTEST_EVERY, LONGEST_EVERY = 5.0, 1.0, 60.0
"""Seconds of a stream that an answer is for: by default, at the least and at the most."""
FORM = '{"file": ID} with the identifier of a file or a job'


class ClassifyRoutes:
    """Adds the routes; no process is started before the first request."""

    def __init__(self, server: HttpServer, path: Callable[[str], Path], folder: Path) -> None:
        """Adds the routes.

        Args:
            server: To add them to.
            path: The path of the file of an identifier; raises `Refusal` where there is none.
            folder: For sounds that wait.
        """
        self._path = path
        self._pool, self._streams = ClassifierPool(folder), ClassifierStreams()
        server.add("GET", "/api/classify", self._list)
        server.add_stream("/api/classify/*", self._classify, MAX_FILE, live=True)
        server.counts["classify_waiting"] = lambda: self._pool.waiting
        server.counts["classify_streams"] = lambda: self._streams.count
        server.counts["classify_done"] = lambda: self._pool.done
        server.counts["classify_refused"] = lambda: self._pool.refused + self._streams.refused

    async def close(self) -> None:
        """Ends the processes."""
        await self._pool.close()

    async def _list(self, request: HttpRequest) -> Response:
        return answer(await self._pool.classifiers())

    async def _classify(self, request: HttpRequest, pieces: AsyncIterator[bytes]) -> Response:
        name = request.path.removeprefix("/api/classify/")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            return answer(await self._pool.classify(name, self._path(await _identifier(pieces))))
        if kind.startswith(("multipart/", "text/", "image/", "video/")):
            raise Refusal(415, f"send the bytes of a sound file as the body, not {kind}, or {FORM} as application/json")
        if LINES in request.headers.get("accept", ""):
            lines = await self._streams.begin(name, _every(request), pieces)
            return Response(200, type=LINES, pieces=lines)
        return answer(await self._pool.receive(name, pieces))


async def _identifier(pieces: AsyncIterator[bytes]) -> str:
    """The identifier that a body of JSON names."""
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > MAX_JSON:
            raise Refusal(413, f"a body of JSON is {FORM}: {MAX_JSON} bytes at most")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the request body is not JSON") from None
    if not isinstance(data, dict) or set(data) != {"file"} or not isinstance(data["file"], str):
        raise Refusal(400, f"a body of JSON is {FORM}")
    return data["file"]


def _every(request: HttpRequest) -> float:
    text = parse_qs(request.query or "").get("every", [str(EVERY)])[0]
    try:
        every = float(text)
    except ValueError:
        every = 0.0
    if not SHORTEST_EVERY <= every <= LONGEST_EVERY:
        raise Refusal(400, f"every is {SHORTEST_EVERY:g} to {LONGEST_EVERY:g} seconds of sound")
    return every
