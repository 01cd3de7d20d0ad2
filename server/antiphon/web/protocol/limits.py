"""Limits of the HTTP server, and its counters."""

from __future__ import annotations

from dataclasses import dataclass


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
