"""Web's end of the socket to the performer of `serve --live`, and its reports to pages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

from antiphon.kernel.errors import WireError
from antiphon.web.access import LIVE_REQUIRED
from antiphon.web.http_message import HttpRefusal
from antiphon.web.messages import MAX_MESSAGE_BYTES, pack, unpack
from antiphon.web.osc_socket import OscSocket

if TYPE_CHECKING:
    from antiphon.web.page.feed import PageFeed

TEXTS = 8
"""Maximum versions of scripts whose text is stored."""
MESSAGES = 64
"""Maximum messages read in one turn of the event loop."""
IDLE: dict[str, Any] = {
    "playing": False, "reading": False, "silent": False, "version": 0, "tried": 0, "begins": 0.0, "origin": 0.0,
    "name": "", "by": "", "fault": None, "tracks": [], "muted": [], "soloed": [],
}  # fmt: skip
"""State of an idle performer."""


class PerformerLink:
    """Sends scripts to the performer, and forwards its reports to pages.

    `script`: the script that was run last, with its version, name and sender; None before the first.
    """

    def __init__(self, sock: socket.socket | None, feed: PageFeed) -> None:
        """`sock`: socket to the performer; None if the server evaluates nothing. `feed`: the page feed."""
        self._sock, self._feed = sock, feed
        self.state: dict[str, Any] = dict(IDLE)
        self.script: dict[str, Any] | None = None
        self._texts: dict[int, str] = {}
        self.dropped = self._port = 0

    @property
    def on(self) -> bool:
        """True if the server evaluates the owner's scripts."""
        return self._sock is not None

    def start(self) -> None:
        """Starts reading, in the running event loop, and requests the state."""
        if self._sock is not None:
            self._sock.setblocking(False)
            asyncio.get_running_loop().add_reader(self._sock.fileno(), self._read, self._sock)
            with contextlib.suppress(HttpRefusal):
                self._send({"do": "state"})

    async def close(self) -> None:
        """Stops reading."""
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()

    def run(self, script: dict[str, Any], quantum: float, **how: bool) -> None:
        """Performs a script in place of the current one.

        `quantum`: beats at whose multiples it begins; 0 for its bars. `how`: `top` starts from its beat 0, on a bar;
        `keep` keeps the current one for `back`, which returns to a version at once. Raises HttpRefusal: nothing is
        evaluated, or the performer accepts no message now.
        """
        self._send({"do": "run", "quantum": quantum, **how, **script})
        self._remember_script_text(script)

    def _remember_script_text(self, script: dict[str, Any]) -> None:
        self.script = script
        self._texts.pop(script["version"], None)  # one that comes again is the newest
        self._texts[script["version"]] = script["text"]
        while len(self._texts) > TEXTS:
            del self._texts[next(iter(self._texts))]

    @property
    def playing(self) -> str | None:
        """Text of the playing version; "" while idle, None if unknown to this process."""
        return self._texts.get(self.state["version"]) if self.state["playing"] else ""

    def stop(self) -> None:
        """Ends the playing script. Raises `HttpRefusal` like `run`."""
        self._send({"do": "stop"})

    def rename(self, version: int, name: str) -> None:
        """Renames a version that has been run. Raises `HttpRefusal` like `run`."""
        self._send({"do": "rename", "version": version, "name": name})
        if self.script is not None and self.script["version"] == version:
            self.script = {**self.script, "name": name}

    def slide(self, version: int, place: int, value: float) -> None:
        """Moves a slider of the playing script, by the first character of its call. Raises `HttpRefusal` like `run`."""
        self._send({"do": "slide", "version": version, "place": place, "value": value})

    def hear(self, muted: list[str], soloed: list[str]) -> None:
        """Mutes tracks and loops, or solos some. Raises `HttpRefusal` like `run`."""
        self._send({"do": "tracks", "muted": muted, "soloed": soloed})

    def say(self, sentence: str) -> None:
        """Shows a line on the pages, below the text, like script output."""
        self.dropped += self._feed.add("said", [sentence])

    def tell(self, name: str, value: Any) -> None:
        """Sends a field to all pages; a later value replaces an unsent one."""
        self._feed.put(name, value)

    def _send(self, message: dict[str, Any]) -> None:
        if self._sock is None:
            raise HttpRefusal(403, LIVE_REQUIRED)
        try:
            self._sock.send(pack(message))
        except WireError as error:
            raise HttpRefusal(413, str(error)) from None
        except OSError:
            raise HttpRefusal(503, "the performer takes nothing now; try again", (("Retry-After", "1"),)) from None

    def _read(self, sock: socket.socket) -> None:
        for _ in range(MESSAGES):
            try:
                data = sock.recv(2 * MAX_MESSAGE_BYTES)
            except OSError:
                return  # nothing left to read
            if not data:
                return
            with contextlib.suppress(WireError):
                self._take(unpack(data))

    def _take(self, message: dict[str, Any]) -> None:
        if isinstance(message.get("script"), dict) and self.script is None:
            self._remember_script_text(message["script"])
        if isinstance(message.get("state"), dict):
            self.state = message["state"]
            OscSocket.ports.discard(self._port)
            self._port = int(message.get("port", 0))
            OscSocket.ports.add(self._port)
            self._feed.put("live", self.state)
        if isinstance(message.get("steps"), list):
            self.dropped += self._feed.add("steps", message["steps"]) + int(message.get("dropped", 0))
        if isinstance(message.get("coming"), list):
            self._feed.put("coming", message["coming"])
        if isinstance(message.get("said"), str):
            self.dropped += self._feed.add("said", [message["said"]])
