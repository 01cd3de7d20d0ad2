"""Limits of the HTTP server, and its counters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one client's requests, and of all clients together.

    Attributes:
        header: Bytes of a request's target and header.
        target: Bytes of a request target.
        body: Bytes of a request body.
        bodies: Bytes of all request bodies that are being received.
    """

    header: int = 16 * 1024
    fields: int = 100
    target: int = 4096
    body: int = 1024 * 1024
    chunks: int = 1024
    bodies: int = 16 * 1024 * 1024
    request_seconds: float = 5.0
    idle_seconds: float = 5.0
    handler_seconds: float = 30.0
    connections: int = 512
    requests: int = 100


@dataclass(slots=True)
class HttpCounters:
    """Counters since the start.

    Attributes:
        refused: Requests answered 4xx, and failed TLS handshakes.
    """

    requests: int = 0
    refused: int = 0
    errors: int = 0
    timeouts: int = 0
    dropped: int = 0
