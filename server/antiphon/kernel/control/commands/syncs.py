"""Pending `/sync` messages: maps the engine's tokens to the senders and their numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

from antiphon.kernel.control.commands.executor import EngineClock
from antiphon.kernel.control.subscribers.replies import Replies
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

    def synced(self, token: int) -> None:
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
            self.synced(token)

    def dropped(self, address: str) -> None:
        """Answers `/fail` for the scheduled syncs dropped by `address`."""
        now = self._clock.moment()
        for token, waiting in list(self._waiting.items()):
            if isinstance(waiting.when, Sample) and waiting.when.n > now.sample:
                del self._waiting[token]
                self._replies.fail(waiting.peer, "/sync", f"{waiting.number} was dropped by {address} before its time")

    def again(self, scheduled: list[Action]) -> list[Action]:
        """Syncs to send again to a new engine: all not among the `scheduled` actions, which are sent anyway."""
        known = {e.token for e in scheduled if isinstance(e, Sync)}
        return [Sync(token) for token in self._waiting if token not in known]
