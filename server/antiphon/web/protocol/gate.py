"""Request checks before handling, and the requests' shared state. No sockets."""

import logging
from dataclasses import dataclass, field
from email.utils import formatdate

from starlette.types import Scope

from antiphon.web.http_message import Authorise, HttpRequest, Refusal, Response, answer
from antiphon.web.protocol.guard import Headers, HttpCounters, Limits, Site, asks_health, check_framing, check_size

log = logging.getLogger("antiphon.http")
COMMON_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)
"""Header fields of every response."""


@dataclass(slots=True)
class RequestGate:
    """Admission of requests: guard, limits and counters."""

    limits: Limits
    site: Site = field(default_factory=lambda: Site("http", 0))
    counters: HttpCounters = field(default_factory=HttpCounters)
    authorise: Authorise | None = None  # called with every request before its body is read; raises `Refusal`
    body_bytes: int = 0  # bytes of all request bodies that are being received

    def admitted(self, scope: Scope) -> HttpRequest:
        """Checks a request's head, and returns the request without its body.

        Raises Refusal: it is malformed, too large, for another server, or from another site.
        """
        headers: Headers = scope["headers"]
        version, method = scope["http_version"], scope.get("method", "GET")
        query = scope["query_string"]
        raw_target = scope["raw_path"] + (b"?" + query if query else b"")
        check_size(raw_target, headers, self.limits)
        if version not in ("1.0", "1.1"):
            raise Refusal(505, "this server speaks HTTP/1.1")
        length = check_framing(headers, version.encode())
        local, peer = _address(scope["server"]), _address(scope["client"])
        health = asks_health(method, raw_target)
        if not health:
            self.site.check(headers, local)
        target = self.site.target(raw_target, self.limits.target, local)
        joined: dict[str, str] = {}
        for name, value in headers:
            key, shown = name.decode("latin-1"), value.decode("latin-1")
            joined[key] = f"{joined[key]}, {shown}" if key in joined else shown
        scope["state"].update(health=health, length=length)
        return HttpRequest(method, target.path, target.query, joined, peer, local)

    def check(self, request: HttpRequest, scope: Scope, token: bool, most: int = 0) -> None:
        """Checks an admitted request for its route; raises `Refusal`.

        `most`: bytes of a body that is read in pieces, 0 for one in memory.
        """
        state = scope["state"]
        if self.authorise is not None and not state["health"]:
            self.authorise(request, token)
        self._check_length(state["length"], most or self.limits.body)
        if not most:
            self._check_room(state["length"])

    def hold(self, request: HttpRequest, received: int, size: int) -> None:
        """Counts a piece of a body, after `received` bytes; raises `Refusal` beyond the limit."""
        if request.method in ("GET", "HEAD"):
            raise Refusal(413, "a GET must not have a body")
        self._check_length(received + size, self.limits.body)
        self._check_room(size)
        self.body_bytes += size

    def refused(self, refusal: Refusal) -> Response:
        """The response to a refused request: its page, or JSON with the reason."""
        self.counters.refused += 1
        if refusal.page:
            return Response(refusal.status, refusal.page.encode(), "text/html; charset=utf-8", refusal.headers)
        return answer({"error": str(refusal)}, refusal.status, refusal.headers)

    def _check_length(self, length: int, most: int) -> None:
        if length > most:
            raise Refusal(413, f"a request body has at most {most} bytes")

    def _check_room(self, size: int) -> None:
        if self.body_bytes + size > self.limits.bodies:
            raise Refusal(429, "too much is being sent at once; try again", (("Retry-After", "1"),))


def count_failure(counters: HttpCounters, what: str, why: object) -> None:
    """Counts an error of our own code, and logs it in one line."""
    counters.errors += 1
    shown = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why)
    log.error("%s failed: %s", what, " ".join(shown.split())[:500])


def common_headers(last: bool) -> list[tuple[bytes, bytes]]:
    """The header fields of every response; with `last`, "Connection: close"."""
    shown = [("Date", formatdate(usegmt=True)), *COMMON_HEADERS, *([("Connection", "close")] if last else [])]
    return [(name.encode(), value.encode()) for name, value in shown]


def _address(end: tuple[str, int | None] | None) -> str:
    return end[0].removeprefix("::ffff:") if end else ""
