"""Classifier operations: their list, an uploaded sound, and a streamed one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from antiphon.api.backends.http import (
    EXAMPLE_FILE,
    MAX_FILE,
    HttpRequest,
    HttpServer,
    Refusal,
    Response,
    convert,
    json_response as answer,
    list_of,
    operation,
)
from antiphon_classify.http import types
from antiphon_classify.http.pool import ClassifierPool
from antiphon_classify.http.streams import ClassifierStreams

LINES = "application/x-ndjson"
MAX_JSON = 4096
"""Maximum bytes of a body that names a file."""
FORM = '{"file": ID} with the identifier of a file or a job'


class ClassifyRoutes:
    """Adds the routes; no process is started before the first request."""

    def __init__(self, server: HttpServer) -> None:
        """Adds the routes."""
        self._server = server
        self._pool, self._streams = ClassifierPool(server), ClassifierStreams()
        server.closing.append(self._pool.close)
        server.serve(self)
        server.counts["classify_waiting"] = lambda: self._pool.waiting
        server.counts["classify_streams"] = lambda: self._streams.count
        server.counts["classify_done"] = lambda: self._pool.done
        server.counts["classify_refused"] = lambda: self._pool.refused + self._streams.refused

    @operation("GET", "/api/classify", list_of(types.Classifier))
    async def classifiers(self, request: HttpRequest) -> Response:
        """The classifiers there are, with their labels and the seconds of sound that each needs."""
        return answer(await self._pool.classifiers())

    @operation(
        "POST",
        "/api/classify/{name}",
        types.Classified,
        body=types.NamedFileBody,
        query=types.StreamQuery,
        upload=MAX_FILE,
        live=True,
        lines=True,
        example={"name": "instruments", "every": "5", "body": {"file": EXAMPLE_FILE}},
    )
    async def classify(
        self, request: HttpRequest, pieces: AsyncIterator[bytes], name: str, query: types.StreamQuery
    ) -> Response:
        """Classify a sound: its bytes are the body, or a file that was sent is named."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            if self._server.uploads is None:
                raise Refusal(404, "no files are kept here")
            path = self._server.uploads.path(await _identifier(pieces))
            return answer(await self._pool.classify(name, path))
        if kind.startswith(("multipart/", "text/", "image/", "video/")):
            raise Refusal(415, f"send the bytes of a sound file as the body, not {kind}, or {FORM} as application/json")
        if LINES in request.headers.get("accept", ""):
            lines = await self._streams.begin(name, query.every, pieces)
            return Response(200, type=LINES, pieces=lines)
        return answer(await self._pool.receive(name, pieces))


async def _identifier(pieces: AsyncIterator[bytes]) -> str:
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > MAX_JSON:
            raise Refusal(413, f"a body of JSON is {FORM}: {MAX_JSON} bytes at most")
    try:
        return str(convert(json.loads(body), types.NamedFileBody).file)
    except (ValueError, RecursionError):
        raise Refusal(400, "the request body is not JSON") from None
