"""Shared script editing: a Yjs document, whose state the server keeps.

A page sends updates of the document in pieces, each after a byte that is 0 while more follow and 1 on the last, and
JSON with its name and cursor. It gets the whole state, then each update and message of the others. A slow reader gets
the whole state in place of its queue, which makes the same text.
"""

import asyncio
import importlib
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from antiphon.kernel.errors import AntiphonError
from antiphon.web.http_message import Refusal
from antiphon.web.protocol.websocket import WebSocket

MAX_EDITORS = 8
"""Maximum pages that edit together."""
MAX_NAME_LETTERS = 24
"""Maximum characters of a name."""
MAX_UPDATE, MAX_STATE = 1 << 18, 1 << 20
"""Maximum bytes of an update and of the state, which holds deleted text in short form."""
SIZE_CHECK_BYTES = 1 << 16
"""Bytes of updates between two checks of the state's size."""
QUEUE = 256
"""Maximum queued messages of a page."""


@dataclass(slots=True, eq=False)
class EditingPage:
    """One editing page. `said`: its name and cursor, as sent to the others; "" before its first message."""

    number: int
    said: str = ""
    pieces: bytearray = field(default_factory=bytearray)
    queue: deque[str | bytes] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, message: str | bytes) -> None:
        """Queues a message."""
        self.queue.append(message)
        self.more.set()

    def take(self) -> Iterator[str | bytes]:
        """Removes and yields queued messages, oldest first."""
        while self.queue:
            yield self.queue.popleft()


class SharedText:
    """The document, kept after all pages have left, and its editing pages."""

    def __init__(self) -> None:
        self._document: Any = None
        self._people: list[EditingPage] = []
        self._last = self._grown = 0
        self._full = False

    def __len__(self) -> int:
        return len(self._people)

    async def serve(self, socket: WebSocket) -> None:
        """Serves one page until it disconnects."""
        crdt = await asyncio.to_thread(importlib.import_module, "pycrdt")  # only where it is used: 3 MB
        if len(self._people) >= MAX_EDITORS:
            socket.close(4029, f"{MAX_EDITORS} pages edit together already; one has to leave")
            return
        first = self._document is None
        if first:
            self._document, self._full = crdt.Doc(), False
        self._last += 1
        person = EditingPage(self._last)
        person.offer(json.dumps({"you": person.number, "first": first}))
        person.offer(self._document.get_update())
        for other in self._people:
            if other.said:
                person.offer(other.said)
        self._people.append(person)
        try:
            await socket.exchange(person.more, person.take, partial(self._handle, person))
        except AntiphonError as error:
            socket.close(4000, str(error)[:120])
        finally:
            self._people.remove(person)
            self._tell(person, json.dumps({"gone": person.number}))
            if self._full and not self._people:
                self._document = None

    def _handle(self, person: EditingPage, message: str | bytes) -> str:
        if isinstance(message, str):
            self._say(person, message)
            return ""
        person.pieces += message[1:]
        if len(person.pieces) > MAX_UPDATE:
            raise Refusal(413, f"a change of the shared script has at most {MAX_UPDATE >> 10} KiB")
        if message[:1] != b"\0":
            update = bytes(person.pieces)
            person.pieces.clear()
            self._update(person, update)
        return ""

    def _update(self, person: EditingPage, update: bytes) -> None:
        self._grown += len(update)
        if self._grown > SIZE_CHECK_BYTES:
            self._grown, self._full = 0, len(self._document.get_update()) > MAX_STATE
        if self._full:
            raise Refusal(413, "the shared script has become too large: all leave, then one shares it again")
        try:
            self._document.apply_update(update)
        except ValueError:
            raise Refusal(400, "this is no update of a Yjs document") from None
        self._tell(person, update)

    def _say(self, person: EditingPage, text: str) -> None:
        try:
            said = json.loads(text)
            name, cursor = str(said["name"])[:MAX_NAME_LETTERS], [said["anchor"], said["head"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Refusal(400, "a page says its name, anchor and head") from None
        person.said = json.dumps({"who": person.number, "name": name, "anchor": cursor[0], "head": cursor[1]})
        self._tell(person, person.said)

    def _tell(self, person: EditingPage, message: str | bytes) -> None:
        for other in self._people:
            if other is person:
                continue
            if len(other.queue) >= QUEUE:
                other.queue.clear()
                other.offer(self._document.get_update())
            other.offer(message)
