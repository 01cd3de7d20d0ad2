"""Both directions of a WebSocket whose messages wait in a queue of its own, so that a slow client delays no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from antiphon.web.protocol.limits import SEND_SECONDS


async def exchange(
    socket: WebSocket,
    more: asyncio.Event,
    take: Callable[[], Iterable[str | bytes]],
    handle: Callable[[MutableMapping[str, Any]], str] | None = None,
) -> None:
    """Sends what `take` gives whenever `more` is set, until the client disconnects or does not read for `SEND_SECONDS`.

    `handle` is called with each message of the client and gives an answer, "" for none.
    """
    sending = asyncio.create_task(_send(socket, more, take))
    try:
        while not sending.done():
            message = await socket.receive()
            if message["type"] != "websocket.receive":
                return
            if handle is not None and (answer := handle(message)):
                async with asyncio.timeout(SEND_SECONDS):
                    await socket.send_text(answer)
    finally:
        sending.cancel()


async def _send(socket: WebSocket, more: asyncio.Event, take: Callable[[], Iterable[str | bytes]]) -> None:
    with contextlib.suppress(TimeoutError, WebSocketDisconnect):
        while True:
            await more.wait()
            more.clear()
            for data in take():
                async with asyncio.timeout(SEND_SECONDS):
                    await socket.send({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})
