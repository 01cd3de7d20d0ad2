"""Routes and WebSockets of the page: its files, the patch with declarations, the feed, and the sound of nodes.

GET /page/NAME                a file of the page
GET /api/graph                the patch: nodes, parameters, wires, scenes
WebSocket /api/feed           what changes, and OSC messages from the page
WebSocket /api/sound?node=N   the sound of a node; &format=int16 for half of the bytes
WebSocket /api/input          sound from a browser, as the server's input
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qs

from antiphon.contract.catalog import Catalog
from antiphon.io.http_message import HttpRequest, Refusal, Response, answer
from antiphon.io.tap_memory import TapMemory
from antiphon.web.api import graph_json
from antiphon.web.control_link import ControlLink
from antiphon.web.page import files
from antiphon.web.page.browser_input import BrowserSound
from antiphon.web.page.feed import PageFeed
from antiphon.web.page.node_sound import NodeSounds
from antiphon.web.protocol.application import ServeWebSocket
from antiphon.web.protocol.asgi import Receive, Send
from antiphon.web.server import HttpServer


def install(server: HttpServer, control: ControlLink, catalog: Catalog, taps: TapMemory | None) -> PageFeed:
    """Adds the routes and WebSockets.

    Args:
        server: The HTTP server.
        control: Answers requests about the present state.
        catalog: The processor types there are.
        taps: Sound of single nodes, or None.

    Returns:
        What pages are sent.
    """

    async def graph(request: HttpRequest) -> Response:
        plan, nodes = await control.graph(), await control.nodes()
        return answer(graph_json.described(plan, {item.node.name: item.values for item in nodes}, catalog))

    def file(request: HttpRequest) -> Response:
        name = request.path.removeprefix("/page/")
        return Response(200, files.asset(name), files.TYPES[name], files.extra(name))

    for name in files.TYPES:
        server.add("GET", f"/page/{name}", file)

    server.add("GET", "/api/graph", graph)
    feed = PageFeed(control, lambda: status(server, control))

    async def serve_feed(query: str, receive: Receive, send: Send, protocol: str | None) -> None:
        await feed.serve(receive, send, protocol)

    _add_websocket(server, "/api/feed", serve_feed)
    server.closing.append(feed.stop)
    server.counts["pages"], server.counts["page_dropped"] = feed.__len__, lambda: feed.dropped
    if taps is None:
        return feed
    sounds = NodeSounds(taps, control.numbers)

    async def serve_sound(query: str, receive: Receive, send: Send, protocol: str | None) -> None:
        asked = parse_qs(query)
        node, form = asked.get("node", ["out"])[0], asked.get("format", ["float32"])[0]
        await sounds.serve(node, receive, send, protocol, form=form)

    _add_websocket(server, "/api/sound", serve_sound)
    server.closing.append(sounds.stop)
    browser = BrowserSound(taps)

    async def serve_input(query: str, receive: Receive, send: Send, protocol: str | None) -> None:
        await browser.serve(receive, send, protocol)

    _add_websocket(server, "/api/input", serve_input)
    server.counts["input_gaps"], server.counts["input_dropped"] = lambda: browser.gaps, lambda: browser.dropped
    server.counts["sound_streams"], server.counts["sound_dropped"] = sounds.__len__, lambda: sounds.dropped
    return feed


def _add_websocket(server: HttpServer, path: str, serve: ServeWebSocket) -> None:
    """Serves WebSockets at a path; a plain request is told so."""

    def upgrade(request: HttpRequest) -> Response:
        raise Refusal(426, "this address is for WebSockets")

    server.websockets[path] = serve
    server.add("GET", path, upgrade)


async def status(server: HttpServer, control: ControlLink) -> dict[str, Any]:
    """The object of `GET /api/status`."""
    own = {"web": {"pid": os.getpid(), "state": "running"}, "lan": server.tls is not None}
    return {**server.status(), **await control.status(), **own}
