"""`GET /api/health`, which a load balancer asks: whether control answers and the engine plays.

It needs no token, whatever the server's options are, and is answered under any Host, since what checks a container
asks it by an address of its own choice. It says nothing else.
"""

from __future__ import annotations

import asyncio

from antiphon.io.http_message import HttpRequest, Refusal, Response, answer
from antiphon.web.control_link import ControlLink
from antiphon.web.protocol.guard import HEALTH
from antiphon.web.server import HttpServer

PATIENCE = 3.0
"""Seconds that control has to answer; load balancers wait for 5 or more."""


def install(server: HttpServer, control: ControlLink) -> None:
    """Adds the route."""

    async def health(request: HttpRequest) -> Response:
        try:
            async with asyncio.timeout(PATIENCE):
                engine = (await control.status()).get("engine", {})
        except (TimeoutError, Refusal):
            raise Refusal(503, "control does not answer; it is restarted if that lasts") from None
        if engine.get("state") != "running":
            raise Refusal(503, f"the engine is {engine.get('state', 'not there')}; it is restarted if that lasts")
        return answer({"health": "ok"})

    server.add("GET", HEALTH, health)
