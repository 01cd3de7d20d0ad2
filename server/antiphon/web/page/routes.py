"""Routes and WebSockets of the page: its files, the feed, and the sound of nodes.

GET /page/NAME                a file of the page
WebSocket /api/feed           what changes, and OSC messages from the page
WebSocket /api/sound?node=N   the sound of a node; &format=int16 for half of the bytes
WebSocket /api/input          sound from a browser, as the server's input
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from antiphon.kernel.io.tap_memory import INPUT_FRAMES, TapMemory, TapWord
from antiphon.web.access import TokenGuard
from antiphon.web.control_link import ControlLink
from antiphon.web.http_message import HttpRequest, Refusal, Response, answer
from antiphon.web.operations import convert
from antiphon.web.page import files
from antiphon.web.page.feed import PageFeed
from antiphon.web.page.node_sound import NodeSounds
from antiphon.web.page.page_secret import take_secret
from antiphon.web.protocol.websocket import WebSocket
from antiphon.web.server import HttpServer

# ---- Browser sound input: one WebSocket, forwarded to the engine's input
# A message is a 32-bit count of channels, little-endian, and interleaved float32 samples at the server's rate. Mono
# goes to all channels. Samples beyond the ring's space are dropped and counted.

HEAD_BYTES = 4
CHANNELS = 2
"""Maximum channels of a message."""
BUSY = 4009
"""WebSocket close status of a second browser."""


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


EXPIRED = "this address was used before or is over ten minutes old; `antiphon page` opens another"


class OpenBody(msgspec.Struct, forbid_unknown_fields=True):
    """Request body of the page."""

    secret: str


@dataclass(frozen=True, slots=True)
class PageKeyExchange:
    """Exchanges one-time secrets for the page's key."""

    folder: Path
    guard: TokenGuard

    def serve(self, request: HttpRequest) -> Response:
        """The key for a secret; `Refusal` unless it is the newest one and unused."""
        body: OpenBody = convert(request.json(), OpenBody)
        if not take_secret(self.folder, body.secret):
            self.guard.wrong(request.peer)
            raise Refusal(403, EXPIRED)
        return answer({"key": self.guard.page_key})


def install(
    server: HttpServer, control: ControlLink, status: Callable[[], Awaitable[dict[str, Any]]], taps: TapMemory | None
) -> PageFeed:
    """Adds the routes and WebSockets, and returns the page feed. `taps`: sound of single nodes, or None."""

    def file(request: HttpRequest) -> Response:
        name = request.path.removeprefix("/page/")
        body, headers = files.asset(name), files.extra(name)
        if "gzip" in request.headers.get("accept-encoding", "") and not name.endswith(".png"):
            body, headers = files.packed(name), (*headers, ("Content-Encoding", "gzip"))
        return Response(200, body, files.TYPES[name], (*headers, ("Vary", "Accept-Encoding")))

    for name in files.TYPES:
        server.add("GET", f"/page/{name}", file)

    feed = PageFeed(control, status)
    server.routes.add_websocket("/api/feed", feed.serve)
    server.closing.append(feed.stop)
    server.counts["pages"], server.counts["page_dropped"] = feed.__len__, lambda: feed.dropped
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
