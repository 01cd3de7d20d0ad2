"""Routes and WebSockets of the page: its files, the feed, and the sound of nodes.

GET /page/NAME                a file of the page
WebSocket /api/feed           changes, and OSC messages from the page
WebSocket /api/sound?node=N   the sound of a node; &format=int16 for half of the bytes
WebSocket /api/input          sound from a browser, as the server's input
"""

import asyncio
import contextlib
import math
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.io.tap_memory import INPUT_FRAMES, TAPS, TapMemory, TapWord
from antiphon.web.access import TokenGuard
from antiphon.web.control_link import ControlLink
from antiphon.web.http_message import HttpRefusal, HttpRequest, Response, answer
from antiphon.web.operations import convert
from antiphon.web.page import files
from antiphon.web.page.feed import PageFeed
from antiphon.web.page.files import use_up_secret
from antiphon.web.protocol.websocket import WebSocket
from antiphon.web.server import HttpServer

# ---- The web process's end of the memory of taps: what a listener has not heard yet


class TapReader:
    """Reads one tap's ring from now on. `missed`: blocks that were overwritten before they were read."""

    def __init__(self, memory: TapMemory, tap: int) -> None:
        """Starts at the block after the current one, which may hold another node's sound."""
        self._memory, self._at = memory, tap * memory.shape.slots
        self._next = memory.words[TapWord.WRITE] + 1
        self.missed = 0

    def read(self, most: int) -> tuple[int, int, bytes]:
        """At most `most` blocks since the last call: first number, count, float32 samples channel after channel."""
        memory, shape = self._memory, self._memory.shape
        end = memory.words[TapWord.WRITE]
        if end - self._next > shape.slots:
            self.missed += end - shape.slots - self._next
            self._next = end - shape.slots
        first = self._next
        pieces: list[bytes] = []
        while self._next < end and len(pieces) < most:
            piece = self._slot(self._at + self._next % shape.slots, self._next + 1)
            self._next += 1
            if piece is not None:
                pieces.append(piece)
            elif pieces:
                break
            else:
                first = self._next
        return first, len(pieces), b"".join(pieces)

    def _slot(self, slot: int, tag: int) -> bytes | None:
        """A slot's samples; None if it holds another block, such as an old one while the node is not in the plan."""
        memory, size = self._memory, self._memory.shape.slot_bytes
        if memory.tags[slot] == tag:
            piece = bytes(memory.sound[slot * size : (slot + 1) * size])
            if memory.tags[slot] == tag:
                return piece
            self.missed += 1
        else:
            self.missed += memory.tags[slot] > tag
        return None


# ---- Streams the sound of nodes to browsers: one WebSocket for each node that a browser listens to
# Browsers that listen to the same node share its tap. A message is a header (`HEADER`) and the blocks since the last
# one; a block is float32, channel after channel, or int16 on request: half of the bytes, for phones. A browser that
# reads too slowly loses the oldest messages of its queue, and the next header counts them; the others and the engine
# are unaffected.

HEADER = struct.Struct("<IIIIqII")
"""Hz, frames of a block, channels, blocks, number of the first frame, missed blocks and dropped messages so far."""
TURN_SECONDS = 0.01
"""Poll interval in seconds of the rings, which adds to the latency."""
BLOCKS = 64
"""Maximum blocks of one message."""
QUEUE = 64
"""Maximum queued messages of one browser: over half a second of sound."""
LISTENERS = 32
"""Maximum number of streams, for example four for each of nine browsers."""
FORMATS = ("float32", "int16")
"""Sample formats, by their names in the query. int16 clips at full scale, float32 does not."""
NAMES_SECONDS = 1.0
"""Interval in seconds of node number queries, since another patch may have another node of the same name."""


@dataclass(slots=True, eq=False)
class SoundListener:
    """Stream to one WebSocket. `queue`: headers' fields and blocks that are still to be sent."""

    format: str = FORMATS[0]  # one of `FORMATS`
    queue: deque[tuple[tuple[int, ...], bytes]] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: int = 0

    def offer(self, fields: tuple[int, ...], blocks: bytes) -> int:
        """Queues a message; returns the number of messages dropped for it."""
        full = len(self.queue) >= QUEUE
        if full:
            self.queue.popleft()
            self.dropped += 1
        self.queue.append((fields, blocks))
        self.more.set()
        return int(full)

    def take(self) -> Iterator[bytes]:
        """Removes and yields the queued messages, oldest first."""
        while self.queue:
            fields, blocks = self.queue.popleft()
            yield HEADER.pack(*fields, self.dropped) + blocks


@dataclass(slots=True)
class _TapListeners:
    node: str
    reader: TapReader
    listeners: list[SoundListener] = field(default_factory=list)


class NodeSounds:
    """All taps and their listeners. `dropped`: messages lost by slow browsers."""

    def __init__(self, memory: TapMemory, numbers: Callable[[], Awaitable[dict[str, int]]]) -> None:
        """`numbers` queries control for the nodes' numbers by name, including `in` and `out`."""
        self._memory, self._numbers = memory, numbers
        self._taps: list[_TapListeners | None] = [None] * TAPS
        self._running: asyncio.Task[None] | None = None
        self.dropped = 0
        for tap in range(TAPS):
            memory.words[tap] = 0  # of a web process before this one

    def __len__(self) -> int:
        return sum(len(tap.listeners) for tap in self._taps if tap is not None)

    async def serve(self, socket: WebSocket, node: str, form: str = FORMATS[0]) -> None:
        """Streams a node's sound to one WebSocket until it disconnects; answers an unknown `form` with a sentence."""
        listener = SoundListener(form)
        try:
            if form not in FORMATS:
                raise HttpRefusal(400, f"sound comes as {' or '.join(FORMATS)}")
            tap = await self._join(node, listener)
        except AntiphonError as error:
            socket.close(4004, str(error)[:120])
            return
        try:
            await socket.exchange(listener.more, listener.take)
        finally:
            self._leave(tap, listener)

    async def stop(self) -> None:
        """Ends all streams."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        self._taps = [None] * TAPS

    async def _join(self, node: str, listener: SoundListener) -> int:
        if len(self) >= LISTENERS:
            raise HttpRefusal(503, f"{LISTENERS} streams play already; close one")
        if node not in (numbers := await self._numbers()):
            raise HttpRefusal(404, f"there is no node {node!r}")
        free = None
        for place, tap in enumerate(self._taps):
            if tap is not None and tap.node == node:
                tap.listeners.append(listener)
                return place
            if tap is None and free is None:
                free = place
        if free is None:
            raise HttpRefusal(503, f"{TAPS} nodes are listened to already, in all browsers together; close one")
        self._memory.words[free] = numbers[node]
        self._taps[free] = _TapListeners(node, TapReader(self._memory, free), [listener])
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return free

    def _leave(self, place: int, listener: SoundListener) -> None:
        tap = self._taps[place]
        if tap is None or listener not in tap.listeners:
            return
        tap.listeners.remove(listener)
        if not tap.listeners:
            self._memory.words[place] = 0
            self._taps[place] = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        naming: asyncio.Task[None] | None = None
        while any(self._taps):
            for tap in self._taps:
                if tap is not None:
                    self._turn(tap)
            if loop.time() - asked >= NAMES_SECONDS and (naming is None or naming.done()):
                asked = loop.time()
                naming = asyncio.create_task(self._update_node_numbers())
            await asyncio.sleep(TURN_SECONDS)
        if naming is not None:
            await naming

    async def _update_node_numbers(self) -> None:
        """Updates the nodes' numbers; a missing node is silent until there is one of its name again."""
        with contextlib.suppress(AntiphonError):  # control is being restarted; the numbers stay as they were
            numbers = await self._numbers()
            for place, tap in enumerate(self._taps):
                if tap is not None and self._memory.words[place] != numbers.get(tap.node, 0):
                    self._memory.words[place] = numbers.get(tap.node, 0)

    def _turn(self, tap: _TapListeners) -> None:
        shape = self._memory.shape
        first, count, blocks = tap.reader.read(BLOCKS)
        if count:
            fields = (shape.rate, shape.block, shape.channels, count, first * shape.block, tap.reader.missed)
            made = {FORMATS[0]: blocks}
            for listener in tap.listeners:
                if listener.format not in made:
                    made[listener.format] = int16(blocks)
                self.dropped += listener.offer(fields, made[listener.format])


def int16(blocks: bytes) -> bytes:
    """Converts float32 samples to int16, 32767 for full scale; clipped, with NaN as 0."""
    # most servers have no such listener, and it is a quarter of what this process's start costs
    import numpy as np

    samples = np.nan_to_num(np.frombuffer(blocks, "<f4"), posinf=1.0, neginf=-1.0)
    return bytes(np.rint(32767.0 * np.clip(samples, -1.0, 1.0)).astype("<i2"))


# ---- Browser sound input: one WebSocket, forwarded to the engine's input
# A message is a 32-bit count of channels, little-endian, and interleaved float32 samples at the server's rate. Mono
# goes to all channels. Samples beyond the ring's space are dropped and counted.

HEAD_BYTES = 4
CHANNELS = 2
"""Maximum channels of a message."""
BUSY = 4009
"""WebSocket close status for a second browser."""


class BrowserSound:
    """Web's end of the input. One browser sends at a time."""

    def __init__(self, memory: TapMemory) -> None:
        self._words, self._shape = memory.words, memory.shape
        samples = memory.input.cast("f")
        self._rings = [samples[c * INPUT_FRAMES : (c + 1) * INPUT_FRAMES] for c in range(memory.shape.channels)]
        self.dropped = 0
        self._taken = False
        self._words[TapWord.INPUT_OPEN] = 0  # of a web process before this one

    @property
    def gaps(self) -> int:
        """Number of underruns and skips in the engine."""
        return self._words[TapWord.INPUT_GAPS]

    async def serve(self, socket: WebSocket) -> None:
        """Receives one browser's sound until it disconnects."""
        if self._taken:
            reason = "another browser sends sound already; stop it there first"
            socket.close(BUSY, reason)
            return
        self._taken = True
        try:
            while (message := await socket.receive()) is not None:
                if isinstance(message, str) or not self.put(message):
                    self.dropped += 1
        finally:
            self._taken = False
            self._words[TapWord.INPUT_OPEN] = 0

    def put(self, data: bytes) -> bool:
        """Writes a message into the ring; returns False if it is invalid, or the ring is full."""
        channels = int.from_bytes(data[:HEAD_BYTES], "little")
        size = len(data) - HEAD_BYTES
        if not 1 <= channels <= CHANNELS or size <= 0 or size % (4 * channels):
            return False
        samples = memoryview(data)[HEAD_BYTES:].cast("f")
        if not math.isfinite(sum(samples)):
            return False
        words, frames = self._words, size // (4 * channels)
        at = words[TapWord.INPUT_WRITE]
        if at + frames - words[TapWord.INPUT_READ] > INPUT_FRAMES // 2:
            if words[TapWord.INPUT_OPEN]:
                return False
            # discards an earlier browser's rest; the engine does not read before this one is open
            words[TapWord.INPUT_READ] = at
        start = at % INPUT_FRAMES
        first = min(frames, INPUT_FRAMES - start)
        for channel, ring in enumerate(self._rings):
            if channels > 1 and channel >= channels:
                break
            own = samples[channel % channels :: channels]
            ring[start : start + first] = own[:first]
            if first < frames:
                ring[: frames - first] = own[first:]
        words[TapWord.INPUT_WRITE] = at + frames
        words[TapWord.INPUT_OPEN] = 1
        return True


EXPIRED = (
    "this address was used before, is over ten minutes old, or the clock was set since; `antiphon page` opens another"
)


class OpenBody(msgspec.Struct, forbid_unknown_fields=True):
    """Request body of the page."""

    secret: str


@dataclass(frozen=True, slots=True)
class PageKeyExchange:
    """Exchanges one-time secrets for the page's key."""

    folder: Path
    guard: TokenGuard

    def serve(self, request: HttpRequest) -> Response:
        """Returns the key for a secret. Raises `HttpRefusal` unless it is the newest secret and unused."""
        body: OpenBody = convert(request.json(), OpenBody)
        if not use_up_secret(self.folder, body.secret):
            self.guard.wrong(request.peer)
            raise HttpRefusal(403, EXPIRED)
        return answer({"key": self.guard.page_key})


def install(
    server: HttpServer, control: ControlLink, status: Callable[[], Awaitable[dict[str, Any]]], taps: TapMemory | None
) -> PageFeed:
    """Adds the routes and WebSockets, and returns the page feed. `taps`: sound of single nodes, or None."""

    def file(request: HttpRequest) -> Response:
        name = request.path.removeprefix("/page/")
        body, headers = files.asset(name), files.extra(name)
        if "gzip" in request.headers.get("accept-encoding", "") and not name.endswith(".png"):
            body, headers = files.gzip_file(name), (*headers, ("Content-Encoding", "gzip"))
        return Response(200, body, files.TYPES[name], (*headers, ("Vary", "Accept-Encoding")))

    for name in files.TYPES:
        server.add("GET", f"/page/{name}", file)

    feed = PageFeed(control, status)
    server.routes.add_websocket("/api/feed", feed.serve)
    server.closing.append(feed.stop)
    server.counts["pages"], server.counts["page_dropped"] = feed.__len__, lambda: feed.drop_count
    if taps is None:
        return feed
    sounds = NodeSounds(taps, control.numbers)

    async def serve_sound(socket: WebSocket) -> None:
        await sounds.serve(socket, socket.query.get("node", "out"), socket.query.get("format", "float32"))

    server.routes.add_websocket("/api/sound", serve_sound)
    server.closing.append(sounds.stop)
    browser = BrowserSound(taps)
    server.routes.add_websocket("/api/input", browser.serve)
    server.counts["input_gaps"], server.counts["input_dropped"] = lambda: browser.gaps, lambda: browser.dropped
    server.counts["sound_streams"], server.counts["sound_dropped"] = sounds.__len__, lambda: sounds.dropped
    return feed
