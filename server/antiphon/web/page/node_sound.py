"""Streams the sound of nodes to browsers: one WebSocket for each node that a browser listens to.

Browsers that listen to the same node share its tap. A message is a header (`HEADER`) and the blocks since the last one;
a block is float32, channel after channel, or int16 on request: half of the bytes, for phones. A browser that reads too
slowly loses the oldest messages of its queue, and the next header counts them; the others and the engine are
unaffected.
"""

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.io.tap_memory import TAPS, TapMemory, TapReader
from antiphon.web.http_message import Refusal
from antiphon.web.protocol.websocket import WebSocket

HEADER = struct.Struct("<IIIIqII")
"""Hz, frames of a block, channels, blocks, number of the first frame, blocks missed, messages dropped (both so far)."""
TURN_SECONDS = 0.01
"""Poll interval in seconds of the rings: this process's share of the latency."""
BLOCKS = 64
"""Maximum blocks of one message."""
QUEUE = 64
"""Maximum queued messages of one browser: over half a second of sound."""
LISTENERS = 32
"""Maximum streams, four of nine browsers each, say."""
FORMATS = ("float32", "int16")
"""Sample formats, by their names in the query. int16 clips at full scale, float32 does not."""
NAMES_SECONDS = 1.0
"""Interval in seconds of node number queries: another patch may have another node of that name."""


@dataclass(slots=True, eq=False)
class SoundListener:
    """Stream to one WebSocket. `queue`: headers' fields and blocks that are still to be sent."""

    format: str = FORMATS[0]  # one of `FORMATS`
    queue: deque[tuple[tuple[int, ...], bytes]] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: int = 0

    def offer(self, fields: tuple[int, ...], blocks: bytes) -> int:
        """Queues a message; returns the number dropped for it."""
        full = len(self.queue) >= QUEUE
        if full:
            self.queue.popleft()
            self.dropped += 1
        self.queue.append((fields, blocks))
        self.more.set()
        return int(full)

    def take(self) -> Iterator[bytes]:
        """The queued messages, oldest first."""
        while self.queue:
            fields, blocks = self.queue.popleft()
            yield HEADER.pack(*fields, self.dropped) + blocks


@dataclass(slots=True)
class _Tap:
    node: str
    reader: TapReader
    listeners: list[SoundListener] = field(default_factory=list)


class NodeSounds:
    """All taps and their listeners. `dropped`: messages lost by slow browsers."""

    def __init__(self, memory: TapMemory, numbers: Callable[[], Awaitable[dict[str, int]]]) -> None:
        """`numbers` queries the nodes' numbers by name from control, `in` and `out` too."""
        self._memory, self._numbers = memory, numbers
        self._taps: list[_Tap | None] = [None] * TAPS
        self._running: asyncio.Task[None] | None = None
        self.dropped = 0
        for tap in range(TAPS):
            memory.words[tap] = 0  # of a web process before this one

    def __len__(self) -> int:
        return sum(len(tap.listeners) for tap in self._taps if tap is not None)

    async def serve(self, socket: WebSocket, node: str, form: str = FORMATS[0]) -> None:
        """Streams a node's sound to one WebSocket until it disconnects; an unknown `form` is answered in words."""
        listener = SoundListener(form)
        try:
            if form not in FORMATS:
                raise Refusal(400, f"sound comes as {' or '.join(FORMATS)}")
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
            raise Refusal(503, f"{LISTENERS} streams play already; close one")
        if node not in (numbers := await self._numbers()):
            raise Refusal(404, f"there is no node {node!r}")
        free = None
        for place, tap in enumerate(self._taps):
            if tap is not None and tap.node == node:
                tap.listeners.append(listener)
                return place
            if tap is None and free is None:
                free = place
        if free is None:
            raise Refusal(503, f"{TAPS} nodes are listened to already, in all browsers together; close one")
        self._memory.words[free] = numbers[node]
        self._taps[free] = _Tap(node, TapReader(self._memory, free), [listener])
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
                naming = asyncio.create_task(self._rename())
            await asyncio.sleep(TURN_SECONDS)
        if naming is not None:
            await naming

    async def _rename(self) -> None:
        """Updates the nodes' numbers; a missing node is silent until there is one of its name again."""
        with contextlib.suppress(AntiphonError):  # control is being restarted; the numbers stay as they were
            numbers = await self._numbers()
            for place, tap in enumerate(self._taps):
                if tap is not None and self._memory.words[place] != numbers.get(tap.node, 0):
                    self._memory.words[place] = numbers.get(tap.node, 0)

    def _turn(self, tap: _Tap) -> None:
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
    """float32 samples as int16, 32767 for full scale; clipped, with NaN as 0."""
    # most servers have no such listener, and it is a quarter of what this process's start costs
    import numpy as np

    samples = np.nan_to_num(np.frombuffer(blocks, "<f4"), posinf=1.0, neginf=-1.0)
    return bytes(np.rint(32767.0 * np.clip(samples, -1.0, 1.0)).astype("<i2"))
