"""The end of an HTTP server that drains: it takes no new requests, and those that run have time to finish."""

from __future__ import annotations

import asyncio

from antiphon.web.server import HttpServer

TURN_SECONDS = 0.05
"""Between two looks at what still runs."""


async def drain(server: HttpServer, seconds: float) -> bool:
    """Closes the port, and returns once every request is answered and every job done, or after so many seconds.

    A connection without a request is closed at once, one with a request after its answer. WebSockets are not waited
    for. Returns whether nothing was left.
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
