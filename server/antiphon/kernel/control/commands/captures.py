"""Capture requests of `/capture` to the recorder, and its answers."""

import json
import socket
import time
from collections import deque
from collections.abc import Callable

from antiphon.kernel.control.commands.syncs import Syncs
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import EngineError
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.wire.osc import encode

TIMEOUT_SECONDS = 20.0
"""Seconds after which a pending answer is given up: the recorder was killed."""
MAX_WAITING = 16
"""Maximum pending captures."""


class Captures:
    """Forwards captures in order, as the recorder answers them."""

    def __init__(self, link: RemoteEngine, replies: Replies, syncs: Syncs) -> None:
        """Begins without pending captures. A sender's `/synced` comes after its captures."""
        self._link, self._replies, self._syncs = link, replies, syncs
        self._waiting: deque[tuple[Peer, int, Callable[[str, str], None] | None]] = deque()
        self._until = 0.0
        syncs.busy.append(self._busy)
        self._number = 0

    def ask(
        self,
        peer: Peer,
        path: str,
        node: int,
        bars: int,
        bar: int,
        done: Callable[[str, str], None] | None = None,
    ) -> None:
        """Request for the last `bars` bars of `bar` beats; `done` gets path and failure in place of the sender."""
        if len(self._waiting) >= MAX_WAITING:
            raise EngineError(f"{MAX_WAITING} captures are being written already; try again in a moment")
        self._number += 1
        self._link.capture(path, node, bars, bar, self._number)
        self._waiting.append((peer, self._number, done))
        self._until = time.monotonic() + TIMEOUT_SECONDS

    def _busy(self, peer: Peer) -> bool:
        return time.monotonic() < self._until and any(one.key == peer.key for one, *_ in self._waiting)

    def read(self, recorder: socket.socket) -> None:
        """Reads the recorder's answers; a recorder that was killed sends none."""
        while True:
            try:
                answer = json.loads(recorder.recv(1 << 16))
            except (OSError, ValueError):
                self._syncs.release()
                return
            while self._waiting and self._waiting[0][1] <= answer["capture"]:
                peer, number, done = self._waiting.popleft()
                why = answer["error"] if number == answer["capture"] else "the recorder ended; try again"
                if done is not None:
                    done(answer["path"], why)
                elif why:
                    self._replies.reply(peer, encode("/fail", "/capture", why))
                else:
                    self._replies.reply(peer, encode("/capture.reply", answer["path"]))
