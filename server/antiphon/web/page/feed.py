"""Page feed: a WebSocket per browser, in both directions.

Every `PERIOD` seconds each page gets a JSON object with the changes: the same text for all, encoded once. A page sends
OSC messages as JSON arrays, `["/node/echo/wet", 0.5]`; each page has its own socket to control, so that control's
answers return to it only. If a page reads too slowly, its queue is dropped, and it is sent `again`, after which it
reads the whole state. With `again`, and on connection, a page gets the last value of each field.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from antiphon.kernel.errors import WireError
from antiphon.kernel.runtime.typed import parse_json
from antiphon.kernel.wire.osc import Arg, Message, encode
from antiphon.web.control_link import ControlLink
from antiphon.web.http_message import HttpRefusal
from antiphon.web.osc_socket import OscSocket, ValueSubscription, check_message
from antiphon.web.protocol.websocket import WebSocket

PERIOD = 1 / 30
"""Interval in seconds between two objects."""
STATUS_SECONDS = 1.0
"""Interval in seconds between status queries, one for all pages."""
PAGES = 32
QUEUE = 32
"""Maximum queued texts of one page: about a second."""
EVENTS = 256
"""Maximum notes, and other events, of one object; further ones are dropped, and the object counts them."""
ARGUMENTS = 32
ADDRESS = 256
"""Maximum arguments of a message, and characters of its address."""


class PageLink:
    """Connection of one browser."""

    def __init__(self, osc: tuple[str, int], fields: dict[str, Any]) -> None:
        """Creates a page whose messages go to control's OSC socket `osc`, host and port; it begins with `fields`."""
        self._fields = fields
        self.queue: deque[str] = deque()
        self.more = asyncio.Event()
        self.dropped = 0
        self._socket = OscSocket(osc, self._answer)
        self.close = self._socket.close

    def take(self) -> Iterator[str]:
        """Removes and yields the queued messages, oldest first."""
        while self.queue:
            yield self.queue.popleft()

    def handle(self, message: str | bytes) -> str:
        """Sends a page's message to control; returns the answer to an invalid one."""
        try:
            self.command(message if isinstance(message, str) else "")
        except WireError as error:
            self.offer(json.dumps({"reply": ["/fail", "", str(error)]}))
        return ""

    def offer(self, text: str) -> None:
        """Queues a text; if the queue is full, it is replaced by the request to reread everything."""
        if len(self.queue) >= QUEUE:
            self.dropped += len(self.queue)
            self.queue.clear()
            text = json.dumps({"again": True, "dropped": self.dropped, **self._fields})
        self.queue.append(text)
        self.more.set()

    def command(self, text: str) -> None:
        """Sends control the OSC message of a JSON array: address, then numbers, booleans and strings.

        Raises WireError: it is invalid, or cannot be sent.
        """
        try:
            fields = parse_json(text)
        except ValueError:
            fields = None
        if not isinstance(fields, list) or not fields or not isinstance(fields[0], str) or len(fields) > ARGUMENTS + 1:
            raise WireError('a message is ["/an/address", argument, …]')
        address, args = check_message(fields[0], fields[1:])
        if len(address) > ADDRESS:
            raise WireError(f"an address has at most {ADDRESS} characters")
        try:
            self._socket.send(encode(address, *args))
        except (OSError, ValueError, TypeError) as error:
            raise WireError(f"{address} was not sent ({error}); try again") from None

    def _answer(self, message: Message) -> None:
        self.offer(json.dumps({"reply": [message.address.decode(errors="replace"), *map(_plain, message.args)]}))


class PageFeed:
    """All pages. While there are any, this process subscribes to control's changes."""

    def __init__(self, control: ControlLink, status: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        """Starts without pages. `control`: the link to control; `status`: returns the object of `GET /api/status`."""
        self._control, self._status = control, status
        self._pages: dict[PageLink, None] = {}
        self._changes = ValueSubscription(control.osc, self._changed, notes=True)
        self._tasks: list[asyncio.Task[None]] = []
        self._values: dict[str, Any] = {}
        self._meters: dict[str, list[float]] = {}
        self._events: list[list[Any]] = []
        self._notes: list[list[Any]] = []
        self._parts: dict[str, Any] = {}
        self._fields: dict[str, Any] = {}
        self._lost = self._dropped = 0

    @property
    def drop_count(self) -> int:
        """Number of texts lost by slow pages, including closed ones."""
        return self._dropped + sum(page.dropped for page in self._pages)

    def __len__(self) -> int:
        return len(self._pages)

    async def serve(self, socket: WebSocket) -> None:
        """Serves one page until it disconnects."""
        if len(self._pages) >= PAGES:
            socket.close(4029, f"{PAGES} pages are open; close one")
            return
        page = PageLink(self._control.osc, self._fields)
        if self._fields:
            page.offer(json.dumps(self._fields))
        self._pages[page] = None
        if len(self._pages) == 1:
            self._start()
        try:
            await socket.exchange(page.more, page.take, page.handle)
        finally:
            del self._pages[page]
            self._dropped += page.dropped
            page.close()
            if not self._pages:
                self._end()

    def put(self, name: str, value: Any) -> None:
        """Sets a field of the next object for every page; the last value of a name counts."""
        self._fields[name] = value
        if self._pages:
            self._parts[name] = value

    def add(self, name: str, values: list[Any]) -> int:
        """Adds to a list in the next object, of at most `EVENTS`; returns the number dropped."""
        if not self._pages:
            return 0
        held: list[Any] = self._parts.setdefault(name, [])
        taken = values[: EVENTS - len(held)]
        held += taken
        return len(values) - len(taken)

    async def stop(self) -> None:
        """Ends the subscription; the server closes the pages' connections."""
        self._end()
        await asyncio.sleep(0)

    def _start(self) -> None:
        self._changes.start()
        self._tasks = [asyncio.create_task(self._flush()), asyncio.create_task(self._send_status_repeatedly())]

    def _end(self) -> None:
        self._changes.stop()
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def _changed(self, address: str, args: tuple[Arg, ...]) -> None:
        if address == "/meter" and len(args) == 3:
            self._meters[str(args[0])] = [_plain(args[1]), _plain(args[2])]
        elif address.startswith("/node/") and address != "/node/state":
            self._values[address] = _plain(args[0]) if args else None
        elif address == "/note/event":
            self._add(self._notes, [*map(_plain, args)])
        elif address == "/refused":
            port = str(args[2]).rpartition(":")[2]
            if not (port.isdigit() and int(port) in OscSocket.ports):  # the page's own are answered
                self._add(self._events, [address, *map(_plain, args)])
        elif address not in ("/ping", "/done") and not address.startswith("/macro/"):  # `/node/macro` says it too
            self._add(self._events, [address, *map(_plain, args)])

    def _add(self, items: list[list[Any]], item: list[Any]) -> None:
        if len(items) < EVENTS:
            items.append(item)
        else:
            self._lost += 1

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            parts = {
                "values": self._values,
                "meters": self._meters,
                "events": self._events,
                "notes": self._notes,
                "lost": self._lost,
            }
            parts = {**{name: part for name, part in parts.items() if part}, **self._parts}
            if parts:
                self._values, self._meters, self._events, self._notes, self._lost = {}, {}, [], [], 0
                self._parts = {}
                self._send_to_pages(parts)

    async def _send_status_repeatedly(self) -> None:
        while True:
            with contextlib.suppress(HttpRefusal):  # control is being restarted
                self._send_to_pages({"status": await self._status()})
            await asyncio.sleep(STATUS_SECONDS)

    def _send_to_pages(self, data: dict[str, Any]) -> None:
        text = json.dumps(data)
        for page in self._pages:
            page.offer(text)


def _plain(arg: Any) -> Any:
    """Converts an OSC argument for JSON; None for a number or value without JSON form."""
    if isinstance(arg, float):
        return round(float(arg), 6) if abs(arg) < 1e300 else None
    return arg if isinstance(arg, bool | int | str) or arg is None else None
