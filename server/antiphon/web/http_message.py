"""HTTP requests and responses for handlers."""

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import h11
import msgspec

from antiphon.kernel.errors import WireError
from antiphon.kernel.runtime.typed import HalfCharacter, parse_json


class HttpRefusal(WireError):
    """A refused request. `page`: HTML to send instead of the message as JSON; "" for none."""

    def __init__(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Makes a refusal to be raised by a handler. `status`: the HTTP status of the answer, 400 to 599."""
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.page = ""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that passed the guard.

    Attributes:
        query: As sent, in percent-encoded UTF-8; None without a "?".
        headers: By lower-case name; repeats are joined by ", ".
        peer: The client's address, without its port.
        local: This end's address, without its port.
        body: Body, of limited length.
    """

    method: str
    path: str
    query: str | None
    headers: Mapping[str, str]
    peer: str
    local: str
    body: bytes = b""
    parts: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Parses the body as JSON. Raises HttpRefusal: it is not JSON (status 400)."""
        try:
            return parse_json(self.body)
        except HalfCharacter as error:
            raise HttpRefusal(400, f"the request body {error}") from None
        except ValueError:
            raise HttpRefusal(400, "the request body is not JSON") from None


@dataclass(frozen=True, slots=True)
class Response:
    """Answer of a handler: status, headers, body.

    `status`: of HTTP, up to 599. `body`: bytes of the type `type`. `file`: a file sent in pieces instead of `body`;
    None for `body`. `head`: bytes sent in place of the file's first. `length`: maximum bytes of it that are sent, as it
    may grow; -1 for its length at the request. `pieces`: pieces sent instead of `body` as they arrive, of unknown
    length; None for `body`. It may begin before the request's body is complete.
    """

    status: int = 200
    body: bytes = b""
    type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    file: Path | None = None
    head: bytes = b""
    length: int = -1
    pieces: AsyncIterator[bytes] | None = None

    def check(self) -> None:
        """Checks that the response can be sent, before its first byte.

        Raises ValueError: the status is not an HTTP status, or a header is invalid. Raises TypeError: the body is not
        bytes.
        """
        if self.status > 599:
            raise ValueError(f"{self.status} is no status of HTTP")
        h11.Response(status_code=self.status, headers=[("Content-Type", self.type), *self.headers])
        if not isinstance(self.body, bytes):
            raise TypeError(f"a response's body is bytes, not {type(self.body).__name__}")


Handler: TypeAlias = Callable[[HttpRequest], "Response | Awaitable[Response]"]
Authorise: TypeAlias = Callable[[HttpRequest, bool], None]
"""Function that raises `HttpRefusal` unless the request may pass; the flag says whether its route needs the token."""


def answer(data: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Makes a response of JSON; numbers that JSON cannot hold (NaN, infinities) become null.

    `data`: anything that `json.dumps` takes, also with Structs.
    """
    try:
        body = json.dumps(data, allow_nan=False, default=_plain)
    except ValueError:
        body = json.dumps(_finite(data), default=_plain)
    return Response(status, body.encode(), "application/json", headers)


def text(message: str, status: int = 200) -> Response:
    """Makes a response of plain text."""
    return Response(status, message.encode("utf-8", "backslashreplace"), "text/plain; charset=utf-8")


def _plain(data: Any) -> Any:
    return _finite(msgspec.to_builtins(data))


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data
