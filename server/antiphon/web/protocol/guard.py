"""Checks of an HTTP request before it is handled; pure functions, no sockets.

A browser on this machine can be made to send requests to 127.0.0.1 under a foreign host name (DNS rebinding) or from a
foreign page. Both are visible in the headers Host, Origin and Sec-Fetch-Site.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from antiphon.kernel.runtime.shortening import shorten
from antiphon.web.http_message import Refusal


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
    """Request target: the decoded path, which begins with "/", and the checked query, as it was sent; None without."""

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

    def is_ours(self, authority: str, local: str = "") -> bool:
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
        """Raises `Refusal` unless there is one Host, one of ours, and no foreign Origin."""
        hosts = fields(headers, b"host")
        if len(hosts) != 1 or not hosts[0]:
            raise Refusal(400, "a request needs exactly one Host header")
        if not self.is_ours(hosts[0], local):
            raise Refusal(421, f"this server is not {_short(hosts[0])}; ask it as {self.name}")
        origins = fields(headers, b"origin")
        if origins and (len(origins) > 1 or not self._own_origin(origins[0], local)):
            raise Refusal(403, "requests from other sites' pages are not answered")
        site, mode = fields(headers, b"sec-fetch-site"), fields(headers, b"sec-fetch-mode")
        if "cross-site" in site and mode != ["navigate"]:
            raise Refusal(403, "requests from other sites' pages are not answered")

    @property
    def name(self) -> str:
        """The URL of this server on loopback."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def target(self, raw: bytes, limit: int, local: str = "") -> Target:
        """Decodes a request target of at most `limit` bytes, as it was sent: a path, or a URL of this server.

        Raises Refusal: it is too long, malformed or for another server.
        """
        if len(raw) > limit:
            raise Refusal(414, f"a request target has at most {limit} bytes")
        text = raw.decode("latin-1")
        absolute = _ABSOLUTE.fullmatch(text)
        if absolute is not None:
            scheme, authority, text = absolute.groups()
            if scheme.lower() != self.scheme or not self.is_ours(authority, local):
                raise Refusal(421, f"this server is not {_short(f'{scheme}://{authority}')}; ask it as {self.name}")
            text = text if text.startswith("/") else "/" + text
        if not text.startswith("/") or "#" in text:
            raise Refusal(400, "a request target is a path that begins with /")
        path, mark, query = text.partition("?")
        decode(query)  # its handler decodes it, once its fields are apart
        return Target(decode_path(path), query if mark else None)

    def _own_origin(self, origin: str, local: str) -> bool:
        scheme, mark, authority = origin.partition("://")
        if authority.lower() in self.proxied:
            return scheme.lower() == "https"  # the proxy has the TLS
        return bool(mark) and scheme.lower() == self.scheme and self.is_ours(authority, local)


def asks_health(method: str, target: bytes) -> bool:
    """True if a request is a health check, by its method and raw target."""
    return method in ("GET", "HEAD") and target == HEALTH.encode()


def decode(text: str) -> str:
    """Percent-decodes UTF-8; `Refusal` if it is malformed or has control characters."""
    raw = text.encode("latin-1")
    if _BAD_ESCAPE.search(raw):
        raise Refusal(400, "a % in an address is followed by two hexadecimal digits")
    try:
        decoded = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(400, "an address must be UTF-8") from None
    if any(ord(c) < 32 or ord(c) == 127 for c in decoded):
        raise Refusal(400, "an address must not hold control characters")
    return decoded


def decode_path(path: str) -> str:
    """Decodes a path; `Refusal` for an encoded slash, a backslash, or a segment "." or ".."."""
    segments = [decode(part) for part in path.split("/")]
    for segment in segments:
        if segment in (".", "..") or "/" in segment or "\\" in segment:
            raise Refusal(400, "an address must not hold .. or encoded slashes")
    return "/".join(segments)


def check_framing(headers: Headers, version: bytes) -> int:
    """The body's length by its header, 0 for none or chunked; `Refusal` for framing that allows request smuggling."""
    lengths, codings = fields(headers, b"content-length"), fields(headers, b"transfer-encoding")
    if codings and (lengths or version == b"1.0"):
        raise Refusal(400, "a request has either Content-Length or Transfer-Encoding")
    return int(lengths[0]) if lengths else 0


def check_size(target: bytes, headers: Headers, limits: Limits) -> None:
    """Raises `Refusal` for a header block over the limits."""
    size = len(target) + sum(len(name) + len(value) + 4 for name, value in headers)
    if size > limits.header or len(headers) > limits.fields:
        raise Refusal(431, f"a request header has at most {limits.header} bytes in {limits.fields} fields")


def fields(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """Every value of a header field, in order."""
    return [value.decode("latin-1") for key, value in headers if key == name]


def _short(text: str) -> str:
    return shorten("".join(c if c.isprintable() else "?" for c in text), 60)
