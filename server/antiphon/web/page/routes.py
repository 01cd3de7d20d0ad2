"""Routes and WebSockets of the page: its files, the feed, and the sound of nodes.

GET /page/NAME                a file of the page
WebSocket /api/feed           what changes, and OSC messages from the page
WebSocket /api/sound?node=N   the sound of a node; &format=int16 for half of the bytes
WebSocket /api/input          sound from a browser, as the server's input
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from antiphon.kernel.io.tap_memory import TapMemory
from antiphon.web.access import TokenGuard
from antiphon.web.control_link import ControlLink
from antiphon.web.http_message import HttpRequest, Refusal, Response, answer
from antiphon.web.operations import convert
from antiphon.web.page import files
from antiphon.web.page.browser_input import BrowserSound
from antiphon.web.page.feed import PageFeed
from antiphon.web.page.node_sound import NodeSounds
from antiphon.web.page.page_secret import take_secret
from antiphon.web.protocol.websocket import WebSocket
from antiphon.web.server import HttpServer

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
