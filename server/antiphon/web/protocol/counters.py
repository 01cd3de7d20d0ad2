"""The counters of the HTTP server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class HttpCounters:
    """Counters since the start.

    Attributes:
        requests: Requests whose head was received.
        refused: Requests answered 4xx, and failed TLS handshakes.
        errors: Handlers that raised or timed out, and failed connections.
        timeouts: Clients that were too slow.
        dropped: Connections closed to make room for others, or for want of it.
    """

    requests: int = 0
    refused: int = 0
    errors: int = 0
    timeouts: int = 0
    dropped: int = 0
