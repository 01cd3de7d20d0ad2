"""Graceful shutdown of an HTTP server: it takes no new requests, and running ones may finish."""

from __future__ import annotations

import asyncio

from antiphon.web.server import HttpServer

TURN_SECONDS = 0.05
"""Poll interval in seconds of running requests."""


async def drain(server: HttpServer, seconds: float) -> bool:
    """Closes the port, and returns once all requests and jobs are finished, or after `seconds`.

    Idle connections are closed at once, others after their answer. WebSockets are not waited for. Returns True if
    nothing was left.
    """
    connections = server.connections
    connections.close_port()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        for connection in list(connections.waiting):
            if connection.idle:
                connection.drop()
        left = connections.count + sum(hold() for hold in server.draining)
        if left == 0:
            return True
        if loop.time() >= end:
            return False
        await asyncio.sleep(TURN_SECONDS)
