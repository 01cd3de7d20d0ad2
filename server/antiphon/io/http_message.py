"""An HTTP request and its answer, as a handler sees them."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import h11

from antiphon.errors import WireError


class Refusal(WireError):
    """A request that is not acted on; `status` is the HTTP status that says so.

    page: HTML to send with it instead of the sentence as JSON.
    """

    def __init__(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.page = ""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that passed the guard.

    path: decoded.  query: decoded, None without a "?".  headers: lower-case names, repeats joined
    by ", ".  peer, local: the two ends' addresses, without ports.
    """

    method: str
    path: str
    query: str | None
    headers: Mapping[str, str]
    peer: str
    local: str
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON, or a `Refusal` that says it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Refusal(400, "the request body is not JSON") from None


@dataclass(frozen=True, slots=True)
class Response:
    """What a handler answers. headers: added to ours; framing headers are the server's business."""

    status: int = 200
    body: bytes = b""
    type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def check(self) -> None:
        """Raises for what cannot be sent, before any of it is."""
        if self.status > 599:
            raise ValueError(f"{self.status} is no status of HTTP")
        h11.Response(status_code=self.status, headers=[("Content-Type", self.type), *self.headers])
        if not isinstance(self.body, bytes):
            raise TypeError(f"a response's body is bytes, not {type(self.body).__name__}")


Handler: TypeAlias = Callable[[HttpRequest], "Response | Awaitable[Response]"]
Authorise: TypeAlias = Callable[[HttpRequest, bool], None]
"""Raises `Refusal` unless the request may pass; the flag says that its route needs the token."""


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """A handler, and whether it needs the token: whatever may change something does."""

    handler: Handler
    token: bool


def answer(data: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """A JSON response; numbers JSON cannot hold (NaN, infinities) become null."""
    try:
        body = json.dumps(data, allow_nan=False)
    except ValueError:
        body = json.dumps(_finite(data))
    return Response(status, body.encode(), "application/json", headers)


def text(message: str, status: int = 200) -> Response:
    """A plain text response."""
    return Response(status, message.encode("utf-8", "backslashreplace"), "text/plain; charset=utf-8")


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data
