"""OSCQuery's LISTEN: sends WebSocket clients the changed values of the OSC addresses that they name.

The client sends `{"COMMAND": "LISTEN", "DATA": "/node/echo/wet"}`, or IGNORE to end that, and receives each change as a
binary OSC packet. Of several pending changes of an address only the last is sent, so that a client that reads slowly
costs at most one packet for each address.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from antiphon.web.changes import ValueSubscription
from antiphon.wire.osc import Arg, encode

if TYPE_CHECKING:
    from antiphon.web.control_link import ControlLink

MAX_LISTENERS = 32
MAX_ADDRESSES = 1024
"""Addresses of one client."""
MAX_ADDRESS = 256
"""Characters of an address; names of nodes and parameters have 64 at most."""
SEND_SECONDS = 5.0
"""Time after which a client that does not read is disconnected."""
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class WebListener:
    """One client.

    Attributes:
        addresses: OSC addresses it listens to.
        pending: The last packet of each address that is still to be sent.
        more: Set while there are pending packets.
    """

    def __init__(self) -> None:
        """Listens to nothing."""
        self.addresses: set[str] = set()
        self.pending: dict[str, bytes] = {}
        self.more = asyncio.Event()

    def command(self, text: str) -> str:
        """Handles a client's message.

        Args:
            text: JSON with COMMAND and DATA.

        Returns:
            Why it is refused, or "".
        """
        try:
            fields = json.loads(text)
            command, address = fields["COMMAND"], fields["DATA"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return 'a message is {"COMMAND": "LISTEN" or "IGNORE", "DATA": "/an/address"}'
        if command not in ("LISTEN", "IGNORE"):
            return "a COMMAND is LISTEN or IGNORE"
        if not isinstance(address, str) or not address.startswith("/") or len(address) > MAX_ADDRESS:
            return f"DATA is an address that begins with /, of at most {MAX_ADDRESS} characters"
        if command == "IGNORE":
            self.addresses.discard(address)
        elif len(self.addresses) >= MAX_ADDRESSES and address not in self.addresses:
            return f"a client listens to at most {MAX_ADDRESSES} addresses"
        else:
            self.addresses.add(address)
        return ""

    def change(self, address: str, packet: bytes) -> None:
        """Queues a change, where the client listens to its address."""
        if address in self.addresses:
            self.pending[address] = packet
            self.more.set()


class Listeners:
    """All clients. While there are any, this process subscribes to control's changes."""

    def __init__(self, control: ControlLink | None) -> None:
        """No clients; without `control`, in tests, there are no changes."""
        self._all: dict[WebListener, asyncio.Task[Any] | None] = {}
        self._changes = None if control is None else ValueSubscription(control.osc, self._changed)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def room(self) -> bool:
        """Whether another client may connect."""
        return len(self._all) < MAX_LISTENERS

    async def serve(self, receive: Receive, send: Send) -> None:
        """Serves one client until it disconnects; `receive` and `send` are ASGI's."""
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        listener = WebListener()
        self._all[listener] = asyncio.current_task()
        if self._changes is not None:
            self._changes.start()
        sending = asyncio.create_task(_send(listener, send))
        try:
            while not sending.done():
                message = await receive()
                if message["type"] != "websocket.receive":
                    return
                text = message.get("text")
                refused = "a message is text" if text is None else listener.command(text)
                if refused:
                    await asyncio.wait_for(
                        send({"type": "websocket.send", "text": json.dumps({"error": refused})}), SEND_SECONDS
                    )
        except (TimeoutError, OSError):
            return
        finally:
            sending.cancel()
            del self._all[listener]
            if not self._all and self._changes is not None:
                self._changes.stop()

    async def stop(self) -> None:
        """Disconnects all clients."""
        tasks = [task for task in self._all.values() if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, address: str, args: tuple[Arg, ...]) -> None:
        listeners = [listener for listener in self._all if address in listener.addresses]
        if listeners:
            packet = encode(address, *args)
            for listener in listeners:
                listener.change(address, packet)


async def _send(listener: WebListener, send: Send) -> None:
    """Sends a client's pending packets until it is cancelled, or the client does not read."""
    try:
        while True:
            await listener.more.wait()
            listener.more.clear()
            pending, listener.pending = listener.pending, {}
            for packet in pending.values():
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "websocket.send", "bytes": packet})
    except (TimeoutError, OSError):
        return
