"""Ranges of a file that is sent: `Range`, `If-Range`, and the statuses 206 and 416 (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from antiphon.io.http_message import Refusal, Response

_ONE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


def with_range(response: Response, headers: Mapping[str, str]) -> Response:
    """A response with a file, cut to the part that a request asks for.

    Of several ranges, and of what is no range of bytes, the whole file is the answer, as the RFC allows: no client of
    sound files asks for several.

    Args:
        response: With a file, of status 200.
        headers: The request's, by lower-case name.

    Returns:
        The response with `Accept-Ranges` and an `ETag`; for a range 206 with its part of the file.

    Raises:
        Refusal: 416, the range begins behind the end of the file.
    """
    assert response.file is not None
    status = response.file.stat()
    tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    whole = replace(response, headers=(*response.headers, ("Accept-Ranges", "bytes"), ("ETag", tag)))
    asked = _ONE.fullmatch(headers.get("range", "").replace(" ", ""))
    if asked is None or headers.get("if-range", tag) != tag:
        return whole
    part = _part(asked[1], asked[2], status.st_size)
    if part is None:
        return whole
    if not part:
        raise Refusal(416, f"the file has {status.st_size} bytes", (("Content-Range", f"bytes */{status.st_size}"),))
    shown = f"bytes {part.start}-{part.stop - 1}/{status.st_size}"
    return replace(whole, status=206, headers=(*whole.headers, ("Content-Range", shown)), part=part)


def _part(first: str, last: str, size: int) -> range | None:
    """The bytes of a range, none where it lies behind the end; None for what is no range."""
    if not first:
        return range(max(0, size - int(last)), size) if last else None
    start = int(first)
    if last and int(last) < start:
        return None
    return range(start, min(size, int(last) + 1 if last else size))
