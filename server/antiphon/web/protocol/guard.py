"""Checks of an HTTP request before it is handled, and the requests' shared state; no sockets.

A browser on this machine can be made to send requests to 127.0.0.1 under a foreign host name (DNS rebinding) or from a
foreign page. Both are visible in the headers Host, Origin and Sec-Fetch-Site.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from antiphon.kernel.runtime.shortening import shorten
from antiphon.web.http_message import Authorise, HttpRefusal, HttpRequest, Response, answer


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one client's requests, and of all clients together."""

    header: int = 16 * 1024  # bytes of a request's target and header
    fields: int = 100
    target: int = 4096  # bytes of a request target
    body: int = 1024 * 1024  # bytes of a request body
    chunks: int = 1024
    bodies: int = 16 * 1024 * 1024  # bytes of all request bodies that are being received
    request_seconds: float = 5.0
    idle_seconds: float = 5.0
    handler_seconds: float = 30.0
    connections: int = 512
    requests: int = 100


@dataclass(slots=True)
class HttpCounters:
    """Counters since the start."""

    requests: int = 0
    refused: int = 0  # requests answered 4xx, and failed TLS handshakes
    errors: int = 0
    timeouts: int = 0
    dropped: int = 0


Headers = Sequence[tuple[bytes, bytes]]
"""Header fields in order: lower-case name, value."""

HEALTH = "/api/health"
"""Path of load balancers' health checks."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?", re.IGNORECASE)
_ABSOLUTE = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """Request target: the decoded path, which begins with "/", and the checked query as sent; None without a query."""

    path: str
    query: str | None


@dataclass(frozen=True, slots=True)
class Site:
    """Origin of this server.

    `proxied`: authorities, "host" or "host:port", under which a reverse proxy forwards requests.
    """

    scheme: str  # "http" or "https"
    port: int
    hosts: frozenset[str] = LOOPBACK
    proxied: frozenset[str] = frozenset()

    def names_this_server(self, authority: str, local: str = "") -> bool:
        """True if `authority`, "host:port", names this server; `local` is the connection's local address."""
        match = _AUTHORITY.fullmatch(authority)
        if match is None:
            return False
        if authority.lower() in self.proxied:
            return True
        host = match[1].lower().strip("[]")
        port = int(match[2][1:]) if match[2] else _DEFAULT_PORTS[self.scheme]
        if ("[" in match[1]) != (":" in host):
            return False
        return port == self.port and (host in self.hosts or (local != "" and host == local.lower()))

    def check(self, headers: Headers, local: str = "") -> None:
        """Raises `HttpRefusal` unless there is exactly one Host, which is this server's, and no foreign Origin."""
        hosts = fields(headers, b"host")
        if len(hosts) != 1 or not hosts[0]:
            raise HttpRefusal(400, "a request needs exactly one Host header")
        if not self.names_this_server(hosts[0], local):
            raise HttpRefusal(421, f"this server is not {_short(hosts[0])}; ask it as {self.name}")
        origins = fields(headers, b"origin")
        if origins and (len(origins) > 1 or not self._own_origin(origins[0], local)):
            raise HttpRefusal(403, "requests from other sites' pages are not answered")
        site, mode = fields(headers, b"sec-fetch-site"), fields(headers, b"sec-fetch-mode")
        if "cross-site" in site and mode != ["navigate"]:
            raise HttpRefusal(403, "requests from other sites' pages are not answered")

    @property
    def name(self) -> str:
        """The URL of this server on loopback."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def target(self, raw: bytes, limit: int, local: str = "") -> Target:
        """Decodes a request target of at most `limit` bytes, as it was sent: a path, or a URL of this server.

        Raises HttpRefusal: it is too long, malformed or for another server.
        """
        if len(raw) > limit:
            raise HttpRefusal(414, f"a request target has at most {limit} bytes")
        text = raw.decode("latin-1")
        absolute = _ABSOLUTE.fullmatch(text)
        if absolute is not None:
            scheme, authority, text = absolute.groups()
            if scheme.lower() != self.scheme or not self.names_this_server(authority, local):
                raise HttpRefusal(421, f"this server is not {_short(f'{scheme}://{authority}')}; ask it as {self.name}")
            text = text if text.startswith("/") else "/" + text
        if not text.startswith("/") or "#" in text:
            raise HttpRefusal(400, "a request target is a path that begins with /")
        path, mark, query = text.partition("?")
        decode(query)  # its handler decodes it, once its fields are apart
        return Target(decode_path(path), query if mark else None)

    def _own_origin(self, origin: str, local: str) -> bool:
        scheme, mark, authority = origin.partition("://")
        if authority.lower() in self.proxied:
            return scheme.lower() == "https"  # the proxy has the TLS
        return bool(mark) and scheme.lower() == self.scheme and self.names_this_server(authority, local)


def decode(text: str) -> str:
    """Percent-decodes UTF-8; `HttpRefusal` if it is malformed or has control characters."""
    raw = text.encode("latin-1")
    if _BAD_ESCAPE.search(raw):
        raise HttpRefusal(400, "a % in an address is followed by two hexadecimal digits")
    try:
        decoded = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise HttpRefusal(400, "an address must be UTF-8") from None
    if any(ord(c) < 32 or ord(c) == 127 for c in decoded):
        raise HttpRefusal(400, "an address must not hold control characters")
    return decoded


def decode_path(path: str) -> str:
    """Decodes a path; `HttpRefusal` for an encoded slash, a backslash, or a segment "." or ".."."""
    segments = [decode(part) for part in path.split("/")]
    for segment in segments:
        if segment in (".", "..") or "/" in segment or "\\" in segment:
            raise HttpRefusal(400, "an address must not hold .. or encoded slashes")
    return "/".join(segments)


def check_framing(headers: Headers, version: bytes) -> int:
    """Returns the length of the body by the header, 0 for none or chunked.

    Raises HttpRefusal: the framing would allow smuggling.
    """
    lengths, codings = fields(headers, b"content-length"), fields(headers, b"transfer-encoding")
    if codings and (lengths or version == b"1.0"):
        raise HttpRefusal(400, "a request has either Content-Length or Transfer-Encoding")
    return int(lengths[0]) if lengths else 0


def check_size(target: bytes, headers: Headers, limits: Limits) -> None:
    """Raises `HttpRefusal` if the headers exceed the limits."""
    size = len(target) + sum(len(name) + len(value) + 4 for name, value in headers)
    if size > limits.header or len(headers) > limits.fields:
        raise HttpRefusal(431, f"a request header has at most {limits.header} bytes in {limits.fields} fields")


def fields(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """Every value of a header field, in order."""
    return [value.decode("latin-1") for key, value in headers if key == name]


def _short(text: str) -> str:
    return shorten("".join(c if c.isprintable() else "?" for c in text), 60)


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
    authorise: Authorise | None = None  # called with every request before its body is read; raises `HttpRefusal`
    body_bytes: int = 0  # bytes of all request bodies that are being received

    def checked_request(self, scope: Scope) -> HttpRequest:
        """Checks a request's head, and returns the request without its body.

        Raises HttpRefusal: it is malformed, too large, for another server, or from another site.
        """
        headers: Headers = scope["headers"]
        version, method = scope["http_version"], scope.get("method", "GET")
        query = scope["query_string"]
        raw_target = scope["raw_path"] + (b"?" + query if query else b"")
        check_size(raw_target, headers, self.limits)
        if version not in ("1.0", "1.1"):
            raise HttpRefusal(505, "this server speaks HTTP/1.1")
        length = check_framing(headers, version.encode())
        local, peer = _address(scope["server"]), _address(scope["client"])
        health = method in ("GET", "HEAD") and raw_target == HEALTH.encode()
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
        """Checks an admitted request for its route; raises `HttpRefusal`.

        `most`: bytes of a body that is read in pieces, 0 for one in memory.
        """
        state = scope["state"]
        if self.authorise is not None and not state["health"]:
            self.authorise(request, token)
        self._check_length(state["length"], most or self.limits.body)
        if not most:
            self._check_room(state["length"])

    def hold(self, request: HttpRequest, received: int, size: int) -> None:
        """Counts a piece of a body, after `received` bytes; raises `HttpRefusal` beyond the limit."""
        if request.method in ("GET", "HEAD"):
            raise HttpRefusal(413, "a GET must not have a body")
        self._check_length(received + size, self.limits.body)
        self._check_room(size)
        self.body_bytes += size

    def refuse(self, refusal: HttpRefusal) -> Response:
        """The response to a refused request: its page, or JSON with the reason."""
        self.counters.refused += 1
        if refusal.page:
            return Response(refusal.status, refusal.page.encode(), "text/html; charset=utf-8", refusal.headers)
        return answer({"error": str(refusal)}, refusal.status, refusal.headers)

    def _check_length(self, length: int, most: int) -> None:
        if length > most:
            raise HttpRefusal(413, f"a request body has at most {most} bytes")

    def _check_room(self, size: int) -> None:
        if self.body_bytes + size > self.limits.bodies:
            raise HttpRefusal(429, "too much is being sent at once; try again", (("Retry-After", "1"),))


def count_failure(counters: HttpCounters, what: str, why: object) -> None:
    """Counts an internal error, and logs it in one line."""
    counters.errors += 1
    shown = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why)
    log.error("%s failed: %s", what, " ".join(shown.split())[:500])


def common_headers(last: bool) -> list[tuple[bytes, bytes]]:
    """The header fields of every response; with `last`, "Connection: close"."""
    shown = [("Date", formatdate(usegmt=True)), *COMMON_HEADERS, *([("Connection", "close")] if last else [])]
    return [(name.encode(), value.encode()) for name, value in shown]


def _address(end: tuple[str, int | None] | None) -> str:
    return end[0].removeprefix("::ffff:") if end else ""
