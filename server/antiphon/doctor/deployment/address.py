"""The address of a running server, as `antiphon deploy check` takes it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.shortening import shorten


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server answers.

    Attributes:
        scheme: "http" or "https".
        host: A name or an IP address, an IPv6 one without brackets.
        authority: As the Host header has it.
    """

    scheme: str
    host: str
    port: int
    authority: str

    @property
    def local(self) -> bool:
        """Whether it is this machine's loopback, which no other machine can read."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def private(self) -> bool:
        """Whether no machine on the way can read what is sent."""
        return self.scheme == "https" or self.local

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_address(url: str) -> ServerAddress:
    """Reads "https://HOST" or "http://HOST:PORT", without a path; a UsageError for any other URL."""
    shown = shorten(url)
    wrong = UsageError(f"URL is https://HOST or http://HOST:PORT, without a path, a user or a query, not {shown!r}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/"):
        raise wrong
    if "@" in parts.netloc or parts.query or parts.fragment or not host.isascii() or not host.isprintable():
        raise wrong
    if any(c in host for c in " \\%") or port == 0:
        raise wrong
    return ServerAddress(parts.scheme, host, port or {"http": 80, "https": 443}[parts.scheme], parts.netloc)
