"""OSCQuery's LISTEN: a WebSocket on any address of ours, which is sent the values of the addresses it names.

The client sends `{"COMMAND": "LISTEN", "DATA": "/node/echo/wet"}`, or IGNORE to end that, and is sent each change as an
OSC packet, in binary. Of several changes of an address that wait to be sent, the last goes out: a client that reads
slowly costs one packet for each address it listens to.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from antiphon.web.changes import ValueSubscription

if TYPE_CHECKING:
    from antiphon.web.control_link import ControlLink

MAX_LISTENERS = 32
MAX_ADDRESSES = 1024
"""For each listener."""
MAX_ADDRESS = 256
"""Characters: a node's name and a parameter's have 64 at most."""
SEND_SECONDS = 5.0
"""A client that reads nothing for so long is closed."""
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class WebListener:
    """One client: the addresses it listens to, and what is to be sent."""

    def __init__(self) -> None:
        self.addresses: set[str] = set()
        self.pending: dict[str, bytes] = {}
        self.more = asyncio.Event()

    def command(self, text: str) -> str:
        """Does what a client says; a sentence where it is refused, else ""."""
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
        """Takes a change, where it is listened to."""
        if address in self.addresses:
            self.pending[address] = packet
            self.more.set()


class Listeners:
    """All of them. While there are any, this process is one of control's subscribers."""

    def __init__(self, control: ControlLink | None) -> None:
        """control: None where nothing changes."""
        self._all: dict[WebListener, asyncio.Task[Any] | None] = {}
        self._changes = None if control is None else ValueSubscription(control.osc, self._changed)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def room(self) -> bool:
        """Whether another may come."""
        return len(self._all) < MAX_LISTENERS

    async def serve(self, receive: Receive, send: Send) -> None:
        """Serves one client until it leaves."""
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
        """Ends all of them."""
        tasks = [task for task in self._all.values() if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, address: str, packet: bytes) -> None:
        for listener in self._all:
            listener.change(address, packet)


async def _send(listener: WebListener, send: Send) -> None:
    """Sends what is pending, address by address."""
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
