"""Messages that wait for an answer: `/sync`, by the engine's tokens; `/capture`, of the recorder."""

import json
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

from antiphon.kernel.control.commands.executor import EngineClock
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import EngineError
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session.actions import Action
from antiphon.kernel.session.commands import Sample, Sync, When
from antiphon.kernel.session.schedule import ScheduleFull
from antiphon.kernel.wire.osc import encode

MAX_WAITING = 65536


@dataclass(frozen=True, slots=True)
class _Waiting:
    peer: Peer
    number: int
    when: When


class Syncs:
    """Pending `/sync` messages that the engine has not reached."""

    def __init__(self, replies: Replies, clock: EngineClock) -> None:
        """Creates an empty table of syncs."""
        self._replies, self._clock = replies, clock
        self._waiting: dict[int, _Waiting] = {}
        self._reached: list[int] = []
        self.busy: list[Callable[[Peer], bool]] = []  # whether an answer to a sender is still made
        # unlike any token of an earlier process, whose answers may still arrive
        self._last = monotonic_ns()

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, peer: Peer, number: int, when: When) -> int:
        """Adds a client's `/sync number`; returns the token to send to the engine."""
        if len(self._waiting) >= MAX_WAITING:
            raise ScheduleFull(f"{MAX_WAITING} syncs wait already")
        self._last += 1
        self._waiting[self._last] = _Waiting(peer, number, when)
        return self._last

    def answer_synced(self, token: int) -> None:
        """Answers `/synced` for a token the engine has reached."""
        waiting = self._waiting.get(token)
        if waiting is not None and any(busy(waiting.peer) for busy in self.busy):
            self._reached.append(token)
        elif waiting is not None:
            del self._waiting[token]
            self._replies.reply(waiting.peer, encode("/synced", waiting.number))

    def release(self) -> None:
        """Answers syncs that waited for another answer to their sender."""
        reached, self._reached = self._reached, []
        for token in reached:
            self.answer_synced(token)

    def answer_dropped(self, address: str) -> None:
        """Answers `/fail` for the scheduled syncs dropped by `address`."""
        now = self._clock.moment()
        for token, waiting in list(self._waiting.items()):
            if isinstance(waiting.when, Sample) and waiting.when.n > now.sample:
                del self._waiting[token]
                self._replies.fail(waiting.peer, "/sync", f"{waiting.number} was dropped by {address} before its time")

    def syncs_to_repeat(self, scheduled: list[Action]) -> list[Action]:
        """Syncs to send again to a new engine: all not among the `scheduled` actions, which are sent anyway."""
        known = {e.token for e in scheduled if isinstance(e, Sync)}
        return [Sync(token) for token in self._waiting if token not in known]


TIMEOUT_SECONDS = 20.0
"""Timeout of a pending answer in seconds: the recorder was killed."""
MAX_CAPTURES = 16
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
        self, peer: Peer, path: str, node: int, bars: int, bar: int, done: Callable[[str, str], None] | None = None
    ) -> None:
        """Asks for the last `bars` bars of `bar` beats; `done` gets path and failure in place of the sender."""
        if len(self._waiting) >= MAX_CAPTURES:
            raise EngineError(f"{MAX_CAPTURES} captures are being written already; try again in a moment")
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
