"""Classifier operations: their list, and the classification of an uploaded sound."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta

from antiphon.api.backends.http import (
    EXAMPLE_FILE,
    MAX_FILE,
    Asked,
    HttpRequest,
    HttpServer,
    Refusal,
    Response,
    convert,
    json_response as answer,
    list_of,
    operation,
    record,
)
from antiphon_classify.http.pool import ClassifierPool


class NamedFileBody(Asked):
    """Reference to an uploaded file."""

    file: Annotated[str, Meta(description="The identifier of a file or a job.")]


Quantity = record("Quantity", name=str, kind=str, unit=str, doc=str)
Classifier = record("Classifier", name=str, labels=list[str], shortest=float, quantities=list_of(Quantity), problem=str)
Classified = record("Classified", duration=float, labels=list[tuple[str, float]] | None)


MAX_JSON = 4096
"""Maximum bytes of a body with a file reference."""
FORM = '{"file": ID} with the identifier of a file or a job'


class ClassifyRoutes:
    """Adds the routes; no process is started before the first request."""

    def __init__(self, server: HttpServer) -> None:
        """Adds the routes."""
        self._server = server
        self._pool = ClassifierPool(server)
        server.closing.append(self._pool.close)
        server.serve(self)
        server.counts["classify_waiting"] = lambda: self._pool.waiting
        server.counts["classify_done"] = lambda: self._pool.done
        server.counts["classify_refused"] = lambda: self._pool.refused

    @operation("GET", "/api/classify", list_of(Classifier))
    async def classifiers(self, request: HttpRequest) -> Response:
        """The classifiers there are, with their labels and the seconds of sound that each needs."""
        return answer(await self._pool.classifiers())

    @operation(
        "POST",
        "/api/classify/{name}",
        Classified,
        body=NamedFileBody,
        upload=MAX_FILE,
        example={"name": "instruments", "body": {"file": EXAMPLE_FILE}},
    )
    async def classify(self, request: HttpRequest, pieces: AsyncIterator[bytes], name: str) -> Response:
        """Classify a sound: its bytes are the body, or a file that was sent is named."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            if self._server.uploads is None:
                raise Refusal(404, "no files are kept here")
            path = self._server.uploads.path(await _identifier(pieces))
            return answer(await self._pool.classify(name, path))
        if kind.startswith(("multipart/", "text/", "image/", "video/")):
            raise Refusal(415, f"send the bytes of a sound file as the body, not {kind}, or {FORM} as application/json")
        return answer(await self._pool.receive(name, pieces))


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
